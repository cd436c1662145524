"""Meetings of a board: agenda, attendance for each item, ballots, minutes."""

import uuid

from django.db import models
from django.db.models import Q

from governance.models.board import BoardSeat
from governance.models.institution import Institution
from governance.models.review import Review
from governance.states import ItemState, MeetingState
from ledger.triggers import append_only


class Meeting(models.Model):
    """One convened meeting. An urgent one is called without the usual notice; its quorum is the same."""

    class Kind(models.TextChoices):
        REGULAR = "regular", "Regular"
        URGENT = "urgent", "Urgent"

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    board = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="meetings")
    kind = models.CharField(max_length=8, choices=Kind)
    at = models.DateTimeField()
    place = models.CharField(max_length=200)
    state = models.CharField(
        max_length=16, choices=[(s.value, s.value) for s in MeetingState], default=MeetingState.SCHEDULED
    )
    opened = models.DateTimeField(null=True, blank=True)
    closed = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-at",)

    def __str__(self) -> str:
        return f"{self.board.slug}, {self.at:%Y-%m-%d %H:%M} UTC"


class AgendaItem(models.Model):
    """One sitting over one review. Its minutes are written when it ends, and hashed; a review that is taken up again is
    another item."""

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    meeting = models.ForeignKey(Meeting, on_delete=models.PROTECT, related_name="items")
    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="items")
    position = models.PositiveIntegerField()
    state = models.CharField(max_length=16, choices=[(s.value, s.value) for s in ItemState], default=ItemState.WAITING)
    opened = models.DateTimeField(null=True, blank=True)
    motion = models.JSONField(default=dict, help_text="What is voted on: outcome, findings, conditions, reasons.")
    outcome = models.CharField(max_length=24, blank=True, help_text="What the vote gave.")
    minutes = models.JSONField(null=True, blank=True)
    minutes_digest = models.CharField(max_length=71, blank=True)
    ended = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("meeting", "position")
        constraints = (
            models.UniqueConstraint(fields=("meeting", "position"), name="governance_an_agenda_is_in_order"),
            models.UniqueConstraint(
                fields=("meeting",), condition=Q(state=ItemState.OPEN), name="governance_one_item_at_a_time"
            ),
            models.UniqueConstraint(
                fields=("review",),
                condition=Q(state__in=[ItemState.WAITING, ItemState.OPEN]),
                name="governance_a_review_is_on_one_agenda",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=[ItemState.STOPPED, ItemState.LOST, ItemState.DECIDED]) | ~Q(minutes_digest=""),
                name="governance_a_sitting_is_minuted",
            ),
            models.CheckConstraint(
                condition=(Q(state=ItemState.DECIDED) & ~Q(outcome="")) | (~Q(state=ItemState.DECIDED) & Q(outcome="")),
                name="governance_a_decision_has_an_outcome",
            ),
        )

    def __str__(self) -> str:
        return f"{self.position}. {self.review.submission.study}"


@append_only
class Attendance(models.Model):
    """Who is there for one item. People come and leave: the last row of a seat is what holds now."""

    class Status(models.TextChoices):
        PRESENT = "present", "Present"
        ABSENT = "absent", "Absent"
        RECUSED = "recused", "Recused"

    item = models.ForeignKey(AgendaItem, on_delete=models.PROTECT, related_name="attendance")
    seat = models.ForeignKey(BoardSeat, on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=8, choices=Status)
    marked = models.DateTimeField()

    class Meta:
        ordering = ("item", "pk")

    def __str__(self) -> str:
        return f"{self.seat.officer}: {self.status}"


@append_only
class Ballot(models.Model):
    """One member's vote on one item, with reasons where they want them minuted (45 CFR 46.115(a)(2))."""

    class Choice(models.TextChoices):
        FOR = "for", "For"
        AGAINST = "against", "Against"
        ABSTAIN = "abstain", "Abstain"

    item = models.ForeignKey(AgendaItem, on_delete=models.PROTECT, related_name="ballots")
    seat = models.ForeignKey(BoardSeat, on_delete=models.PROTECT, related_name="+")
    choice = models.CharField(max_length=8, choices=Choice)
    reason = models.TextField(blank=True)
    cast = models.DateTimeField()

    class Meta:
        ordering = ("item", "cast", "pk")
        constraints = (models.UniqueConstraint(fields=("item", "seat"), name="governance_a_ballot_once"),)

    def __str__(self) -> str:
        return f"ballot on {self.item_id}"
