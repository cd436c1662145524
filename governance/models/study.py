"""Studies, the immutable versions of their protocols, and the boards' reviews of each version."""

import uuid
from datetime import datetime

from django.conf import settings
from django.db import models

from governance.models.institution import Institution
from governance.states import StudyState
from ledger.triggers import append_only


class Study(models.Model):
    """A piece of research under review. `epoch` counts the ends of its authority: a running job from an earlier
    epoch is stale, whatever it was told when it started."""

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=63, unique=True, help_text="The name that definitions and consents use.")
    title = models.CharField(max_length=200)
    institution = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="led_studies")
    sites = models.ManyToManyField(Institution, related_name="studies")
    state = models.CharField(
        max_length=24, choices=[(s.value, s.value) for s in StudyState], default=StudyState.SUBMITTED
    )
    epoch = models.PositiveIntegerField(default=0)
    expires = models.DateTimeField(null=True, blank=True)
    created = models.DateTimeField()
    reinstating_boards = models.ManyToManyField(
        Institution,
        related_name="suspended_studies",
        help_text="Since a suspension: the boards that must approve the next version, whichever sites it names.",
    )

    class Meta:
        ordering = ("-created",)
        verbose_name_plural = "studies"

    def __str__(self) -> str:
        return self.title

    def state_at(self, now: datetime) -> StudyState:
        """The state in force: an approval lapses by the clock, whether or not anyone has looked since."""
        state = StudyState(self.state)
        if state is StudyState.APPROVED and self.expires is not None and now >= self.expires:
            return StudyState.EXPIRED
        return state


@append_only
class ProtocolVersion(models.Model):
    """One immutable version of a protocol; its digest is what officers sign. The text is a document of the ledger."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=71, unique=True)
    content = models.JSONField()
    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="submissions"
    )
    submitted = models.DateTimeField()

    class Meta:
        ordering = ("study", "-number")
        constraints = (models.UniqueConstraint(fields=("study", "number"), name="governance_version_number_once"),)

    def __str__(self) -> str:
        return f"{self.study} · version {self.number}"


class Review(models.Model):
    """What one board thinks of one protocol version."""

    class Determination(models.TextChoices):
        PENDING = "pending", "Pending"
        APPROVED = "approved", "Approved"
        MODIFICATIONS_REQUIRED = "modifications-required", "Modifications required"
        DISAPPROVED = "disapproved", "Disapproved"

    version = models.ForeignKey(ProtocolVersion, on_delete=models.PROTECT, related_name="reviews")
    board = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="reviews")
    determination = models.CharField(max_length=24, choices=Determination, default=Determination.PENDING)
    determined = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("version", "board")
        constraints = (
            models.UniqueConstraint(fields=("version", "board"), name="governance_one_review_a_board"),
            models.CheckConstraint(
                condition=models.Q(determination="pending", determined=None)
                | (~models.Q(determination="pending") & models.Q(determined__isnull=False)),
                name="governance_determination_has_its_time",
            ),
        )

    def __str__(self) -> str:
        return f"{self.board.slug}: {self.get_determination_display()}"
