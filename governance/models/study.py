"""Studies, their drafts, the immutable versions of their protocols, and what is put before the boards."""

import uuid
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q

from concordat.determination import SubmissionKind
from governance.models.institution import Institution
from governance.states import OPEN, StudyState, SubmissionState
from ledger.triggers import append_only


class Study(models.Model):
    """A piece of research under review. `epoch` counts the ends of its authority: a running job from an earlier
    epoch is stale, whatever it was told when it started."""

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=63, unique=True, help_text="The name that definitions and consents use.")
    title = models.CharField(max_length=200)
    institution = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="led_studies")
    sites = models.ManyToManyField(Institution, related_name="studies")
    state = models.CharField(max_length=24, choices=[(s.value, s.value) for s in StudyState], default=StudyState.DRAFT)
    in_force = models.ForeignKey(
        "ProtocolVersion",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="The version that every board has approved last.",
    )
    epoch = models.PositiveIntegerField(default=0)
    expires = models.DateTimeField(null=True, blank=True, db_index=True)
    created = models.DateTimeField()
    reinstating_boards = models.ManyToManyField(
        Institution,
        related_name="suspended_studies",
        help_text="Since a suspension: the boards that must approve the next version, whichever sites it names.",
    )

    class Meta:
        ordering = ("-created",)
        verbose_name_plural = "studies"
        constraints = (
            models.CheckConstraint(
                condition=~Q(state=StudyState.APPROVED) | Q(in_force__isnull=False, expires__isnull=False),
                name="governance_an_approval_has_a_version_and_an_end",
            ),
        )

    def __str__(self) -> str:
        return self.title

    def state_at(self, now: datetime) -> StudyState:
        """The state in force: an approval lapses by the clock, whether or not anyone has looked since."""
        state = StudyState(self.state)
        return StudyState.EXPIRED if state is StudyState.APPROVED and self.lapsed(now) else state

    @staticmethod
    def in_state(state: str, now: datetime) -> Q:
        """The studies that are in this state by :meth:`state_at`."""
        lapsed = Q(state=StudyState.APPROVED, expires__lte=now)
        return Q(state=state) | lapsed if state == StudyState.EXPIRED else Q(state=state) & ~lapsed

    def lapsed(self, now: datetime) -> bool:
        """Whether the last approval's time is over."""
        return self.expires is not None and now >= self.expires


class Draft(models.Model):
    """A protocol in the making. Only members of the leading institution see it; nothing rests on it."""

    study = models.OneToOneField(Study, on_delete=models.PROTECT, related_name="draft")
    content = models.JSONField()
    edited_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    edited = models.DateTimeField()

    def __str__(self) -> str:
        return f"draft of {self.study}"


@append_only
class ProtocolVersion(models.Model):
    """One immutable version of a protocol; officers sign its digest. The text is a document of the ledger.

    `base` is the digest of the last version before which only minor amendments came: definitions rest on it."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=71, unique=True)
    base = models.CharField(max_length=71, db_index=True)
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


class Submission(models.Model):
    """A version put before the boards of its sites: at first, as an amendment, for another year, or after a suspension.
    A study in force goes on while one is pending."""

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="submissions")
    version = models.ForeignKey(ProtocolVersion, on_delete=models.PROTECT, related_name="submissions")
    kind = models.CharField(max_length=24, choices=[(kind.value, kind.value) for kind in SubmissionKind])
    material = models.BooleanField(help_text="An amendment that needs the full board.")
    state = models.CharField(
        max_length=24, choices=[(s.value, s.value) for s in SubmissionState], default=SubmissionState.SUBMITTED
    )
    report = models.TextField(blank=True, help_text="What the investigator reports: reasons, progress, events.")
    submitted_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    submitted = models.DateTimeField()
    settled = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-submitted", "-pk")
        constraints = (
            models.UniqueConstraint(
                fields=("study",), condition=Q(state__in=sorted(OPEN)), name="governance_one_open_submission_a_study"
            ),
        )

    def __str__(self) -> str:
        return f"{self.study} · {self.kind} · version {self.version.number}"
