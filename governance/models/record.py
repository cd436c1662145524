"""What belongs to a study besides its protocol: attachments, decisions on data use, incidents, comments."""

import uuid

from django.db import models
from django.db.models import Q

from concordat.protocol import AttachmentKind
from governance.models.institution import Institution
from governance.models.people import OfficerProfile
from governance.models.signature import Signature
from governance.models.study import Study
from governance.states import IncidentState
from ledger.triggers import append_only


@append_only
class Attachment(models.Model):
    """A file, named by its digest. A newer one of the same kind and institution takes its place."""

    uuid = models.UUIDField(unique=True, default=uuid.uuid4)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="attachments")
    institution = models.ForeignKey(
        Institution, null=True, on_delete=models.PROTECT, related_name="attachments", help_text="Empty: of the study."
    )
    kind = models.CharField(max_length=32, choices=[(kind.value, kind.value) for kind in AttachmentKind])
    name = models.CharField(max_length=200)
    media_type = models.CharField(max_length=100)
    digest = models.CharField(max_length=71, db_index=True)
    content = models.BinaryField()
    expires = models.DateTimeField(null=True, blank=True)
    added_by = models.ForeignKey(OfficerProfile, null=True, on_delete=models.PROTECT, related_name="+")
    added = models.DateTimeField()

    class Meta:
        ordering = ("study", "kind", "-pk")

    def __str__(self) -> str:
        return f"{self.kind} of {self.institution or self.study}"


@append_only
class DataUseDecision(models.Model):
    """A data steward's answer where the terms of the institution's data leave the question to a person."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="data_use_decisions")
    institution = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="data_use_decisions")
    base = models.CharField(max_length=71)
    allowed = models.BooleanField()
    document = models.JSONField()
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="data_use_decision")
    decided = models.DateTimeField()

    class Meta:
        ordering = ("study", "-pk")

    def __str__(self) -> str:
        return f"{self.institution.slug}: {'allowed' if self.allowed else 'denied'}"


class Incident(models.Model):
    """Something that went wrong, and whose clock runs."""

    class Kind(models.TextChoices):
        UNANTICIPATED_PROBLEM = "unanticipated-problem", "Unanticipated problem"
        BREACH = "breach", "Breach of personal data"
        NONCOMPLIANCE = "noncompliance", "Serious or continuing noncompliance"
        ADVERSE_EVENT = "adverse-event", "Serious adverse event"

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="incidents")
    institution = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="incidents")
    kind = models.CharField(max_length=24, choices=Kind)
    state = models.CharField(
        max_length=16, choices=[(s.value, s.value) for s in IncidentState], default=IncidentState.REPORTED
    )
    discovered = models.DateTimeField()
    reported = models.DateTimeField()
    due = models.DateTimeField(help_text="By when those who must know have been told.")
    summary = models.TextField()
    reported_by = models.ForeignKey(OfficerProfile, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ("-reported",)
        constraints = (
            models.CheckConstraint(
                condition=Q(reported__gte=models.F("discovered")), name="governance_found_before_it_is_reported"
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} at {self.institution.slug}"


@append_only
class IncidentStep(models.Model):
    """What was done about an incident, and whether it was in time."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="steps")
    to = models.CharField(max_length=16, choices=[(s.value, s.value) for s in IncidentState])
    text = models.TextField()
    late = models.BooleanField()
    by = models.ForeignKey(OfficerProfile, on_delete=models.PROTECT, related_name="+")
    taken = models.DateTimeField()

    class Meta:
        ordering = ("incident", "pk")

    def __str__(self) -> str:
        return f"{self.incident}: {self.to}"


@append_only
class Comment(models.Model):
    """A word in a study's timeline: to everybody whom the study concerns, or within one institution."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="comments")
    institution = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="+")
    officer = models.ForeignKey(OfficerProfile, on_delete=models.PROTECT, related_name="+")
    internal = models.BooleanField(help_text="For the own institution's eyes only.")
    text = models.TextField()
    written = models.DateTimeField()

    class Meta:
        ordering = ("study", "written")

    def __str__(self) -> str:
        return f"comment on {self.study}"
