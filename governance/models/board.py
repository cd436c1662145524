"""Boards: who sits on one, whose hands are tied, and to whom the chair has delegated what."""

import uuid

from django.db import models
from django.db.models import F, Q

from governance.models.institution import Institution
from governance.models.people import OfficerProfile
from governance.models.signature import Signature
from governance.models.study import Study


class BoardSeat(models.Model):
    """A seat on an institution's board (45 CFR 46.107). The seats without `alternate_for` are the roster whose majority
    is a quorum; an alternate sits in for one of them."""

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    board = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="seats")
    officer = models.ForeignKey(OfficerProfile, on_delete=models.PROTECT, related_name="seats")
    scientist = models.BooleanField(help_text="Whether the primary concerns are in scientific areas (46.107(b)).")
    affiliated = models.BooleanField(help_text="Otherwise affiliated with the institution (46.107(c)).")
    alternate_for = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="alternates"
    )
    since = models.DateTimeField()
    until = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("board", "since")
        constraints = (
            models.UniqueConstraint(
                fields=("board", "officer"), condition=Q(until=None), name="governance_one_seat_each"
            ),
            models.CheckConstraint(condition=~Q(alternate_for=F("id")), name="governance_no_alternate_of_oneself"),
        )

    def __str__(self) -> str:
        return f"{self.officer} on the board of {self.board.slug}"


class Conflict(models.Model):
    """A declared conflict of interest (45 CFR 46.107(d)): its holder takes no part in anything about the study."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="conflicts")
    officer = models.ForeignKey(OfficerProfile, on_delete=models.PROTECT, related_name="conflicts")
    board = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="+")
    ground = models.TextField()
    declared = models.DateTimeField()
    withdrawn = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("study", "declared")
        constraints = (
            models.UniqueConstraint(
                fields=("study", "officer"), condition=Q(withdrawn=None), name="governance_conflict_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.officer} on {self.study}"


class Delegation(models.Model):
    """A power of the chair's in a member's hands: signed, dated and scoped (45 CFR 46.110(b))."""

    uuid = models.UUIDField(unique=True)
    board = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="delegations")
    delegate = models.ForeignKey(OfficerProfile, on_delete=models.PROTECT, related_name="delegations")
    study = models.ForeignKey(Study, null=True, blank=True, on_delete=models.PROTECT, related_name="delegations")
    scope = models.CharField(max_length=24)
    starts = models.DateTimeField()
    ends = models.DateTimeField()
    ended = models.DateTimeField(null=True, blank=True)
    document = models.JSONField()
    digest = models.CharField(max_length=71, unique=True)
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="delegation")

    class Meta:
        ordering = ("board", "-starts")
        constraints = (
            models.CheckConstraint(condition=Q(ends__gt=F("starts")), name="governance_a_delegation_has_a_period"),
        )

    def __str__(self) -> str:
        return f"{self.delegate}: {self.scope}"
