"""What each board makes of a submission: its review, its determinations, its members' opinions."""

import uuid

from django.db import models
from django.db.models import Q

from concordat.determination import Outcome, Path
from governance.models.institution import Institution
from governance.models.people import OfficerProfile
from governance.models.signature import Signature
from governance.models.study import Submission
from ledger.triggers import append_only


class Review(models.Model):
    """One board's review of one submission. A deferred or referred one is decided again."""

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    submission = models.ForeignKey(Submission, on_delete=models.PROTECT, related_name="reviews")
    board = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="reviews")
    sites = models.ManyToManyField(Institution, related_name="+", help_text="For which sites this board reviews.")
    path = models.CharField(max_length=16, choices=[(path.value, path.value) for path in Path])
    category = models.CharField(max_length=24, blank=True)
    outcome = models.CharField(max_length=24, blank=True, choices=[(each.value, each.value) for each in Outcome])
    conditions_met = models.BooleanField(default=False)
    determined = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("submission", "board")
        constraints = (
            models.UniqueConstraint(fields=("submission", "board"), name="governance_one_review_a_board"),
            models.CheckConstraint(
                condition=Q(outcome="", determined=None) | (~Q(outcome="") & Q(determined__isnull=False)),
                name="governance_outcome_has_its_time",
            ),
            models.CheckConstraint(
                condition=~Q(path__in=[Path.EXPEDITED, Path.EXEMPT], outcome=Outcome.DISAPPROVED),
                name="governance_only_the_convened_board_disapproves",
            ),
        )

    def __str__(self) -> str:
        return f"{self.board.slug}: {self.outcome or 'pending'}"

    @property
    def open(self) -> bool:
        """Whether the board has still to decide."""
        return self.outcome in ("", Outcome.DEFERRED, Outcome.REFERRED)

    @property
    def lets_pass(self) -> bool:
        """Whether nothing of this board stands in the way any more."""
        return self.outcome == Outcome.APPROVED or (
            self.outcome == Outcome.APPROVED_WITH_CONDITIONS and self.conditions_met
        )


@append_only
class Determination(models.Model):
    """A decision of a board, as its officer signed it; the last one of a review counts."""

    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="determinations")
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="determination")
    outcome = models.CharField(max_length=24, choices=[(each.value, each.value) for each in Outcome])
    digest = models.CharField(max_length=71, unique=True)
    document = models.JSONField()
    made = models.DateTimeField()

    class Meta:
        ordering = ("review", "-pk")

    def __str__(self) -> str:
        return f"{self.review.board.slug}: {self.outcome}"


@append_only
class ConditionsCheck(models.Model):
    """An officer's word that the conditions of a determination have been met."""

    determination = models.OneToOneField(Determination, on_delete=models.PROTECT, related_name="conditions_check")
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="conditions_check")
    document = models.JSONField()

    def __str__(self) -> str:
        return f"conditions of {self.determination}"


@append_only
class Opinion(models.Model):
    """What one reviewer thinks before the meeting. Nobody else reads it until the board takes the item up."""

    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="opinions")
    reviewer = models.ForeignKey(OfficerProfile, on_delete=models.PROTECT, related_name="opinions")
    recommendation = models.CharField(max_length=24, choices=[(each.value, each.value) for each in Outcome])
    findings = models.JSONField(default=dict)
    comment = models.TextField(blank=True)
    given = models.DateTimeField()

    class Meta:
        ordering = ("review", "given")
        constraints = (models.UniqueConstraint(fields=("review", "reviewer"), name="governance_one_opinion_each"),)

    def __str__(self) -> str:
        return f"opinion on {self.review}"
