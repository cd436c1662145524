"""Legal matters: by whose authority an institution lets dossiers be read, of which decisions, by whom, how long."""

import uuid
from datetime import datetime

from django.db import models
from django.db.models import F, Q

from concordat import record_number
from concordat.matters import ASSURANCES, AUTHORITIES, PARTS, PRIVILEGES
from governance.models.institution import Institution
from governance.models.people import OfficerProfile
from governance.states import MatterState
from ledger.triggers import append_only


class Matter(models.Model):
    """A subpoena, an order, an authorization … that an institution answers. What it says of people and courts is the
    matter's own: nothing of it stands in the open part of the log."""

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    institution = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="matters")
    title = models.CharField(max_length=200)
    docket = models.CharField(max_length=200)
    kind = models.CharField(max_length=16, choices=list(AUTHORITIES.items()))
    authority = models.TextField()
    dated = models.DateField()
    paper = models.CharField(max_length=71, blank=True)
    assurance = models.CharField(max_length=20, blank=True, choices=list(ASSURANCES.items()))
    party = models.CharField(max_length=200)
    purpose = models.TextField()
    protective_order = models.TextField(blank=True)
    prefix = models.CharField(max_length=12)
    state = models.CharField(
        max_length=8, choices=[(state.value, state.value) for state in MatterState], default=MatterState.OPEN
    )
    opened_by = models.ForeignKey(OfficerProfile, on_delete=models.PROTECT, related_name="+")
    opened = models.DateTimeField()
    ends = models.DateTimeField()
    closed = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-opened", "-pk")
        constraints = (
            # Two matters with one prefix would give one number to two pages.
            models.UniqueConstraint(fields=("institution", "prefix"), name="governance_prefix_of_one_matter"),
            models.CheckConstraint(condition=Q(ends__gt=F("opened")), name="governance_matter_has_a_period"),
        )

    def __str__(self) -> str:
        return f"matter {self.uuid}"

    def state_at(self, now: datetime) -> MatterState:
        """An open matter expires by the clock alone."""
        if self.state == MatterState.OPEN and now >= self.ends:
            return MatterState.EXPIRED
        return MatterState(self.state)


@append_only
class MatterDecision(models.Model):
    """A decision that the matter names, by its index in the log."""

    matter = models.ForeignKey(Matter, on_delete=models.PROTECT, related_name="decisions")
    index = models.PositiveBigIntegerField()
    named_by = models.ForeignKey(OfficerProfile, on_delete=models.PROTECT, related_name="+")
    named = models.DateTimeField()

    class Meta:
        ordering = ("matter", "index")
        constraints = (models.UniqueConstraint(fields=("matter", "index"), name="governance_decision_named_once"),)

    def __str__(self) -> str:
        return self.record

    @property
    def record(self) -> str:
        """Its number, `C-0000042-3`."""
        return record_number.format(self.index)


class Grant(models.Model):
    """A legal reviewer is let into a matter, for some time."""

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    matter = models.ForeignKey(Matter, on_delete=models.PROTECT, related_name="grants")
    officer = models.ForeignKey(OfficerProfile, on_delete=models.PROTECT, related_name="grants")
    starts = models.DateTimeField()
    until = models.DateTimeField()
    given_by = models.ForeignKey(OfficerProfile, on_delete=models.PROTECT, related_name="+")
    ended = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey(OfficerProfile, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ("matter", "-starts", "-pk")
        constraints = (
            models.CheckConstraint(condition=Q(until__gt=F("starts")), name="governance_grant_has_a_period"),
            models.CheckConstraint(condition=~Q(officer=F("given_by")), name="governance_grant_is_from_another"),
        )

    def __str__(self) -> str:
        return f"grant {self.uuid}"

    def live_at(self, now: datetime) -> bool:
        """Whether it lets in now; the matter must be open besides, and the role still held."""
        return self.ended is None and self.starts <= now < self.until


class PrivilegeMark(models.Model):
    """Something of a decision that is withheld as privileged, and what may be said of it (Fed. R. Civ. P. 26(b)(5))."""

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    matter = models.ForeignKey(Matter, on_delete=models.PROTECT, related_name="marks")
    decision = models.ForeignKey(MatterDecision, on_delete=models.PROTECT, related_name="marks")
    part = models.CharField(max_length=20, choices=list(PARTS.items()))
    ground = models.CharField(max_length=20, choices=list(PRIVILEGES.items()))
    basis = models.TextField()
    by = models.ForeignKey(OfficerProfile, on_delete=models.PROTECT, related_name="+")
    marked = models.DateTimeField()
    withdrawn = models.DateTimeField(null=True, blank=True)
    withdrawn_by = models.ForeignKey(OfficerProfile, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ("matter", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=("decision", "part"), condition=Q(withdrawn=None), name="governance_marked_once"
            ),
        )

    def __str__(self) -> str:
        return f"mark {self.uuid}"
