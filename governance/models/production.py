"""Productions: what was handed out in a matter, file by file, under numbers without a gap."""

import uuid

from django.db import models
from django.db.models import F, Q

from concordat.matters import FIELDS, FILES, GROUNDS
from governance.models.matter import Matter, MatterDecision, PrivilegeMark
from governance.models.people import OfficerProfile
from ledger.triggers import append_only


@append_only
class Production(models.Model):
    """The matter's n-th production. Its pages and files have the numbers from `first` to `last`, which go on from the
    production before; `digest` is that of the one zip file that was made."""

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    matter = models.ForeignKey(Matter, on_delete=models.PROTECT, related_name="productions")
    number = models.PositiveIntegerField()
    first = models.PositiveIntegerField()
    last = models.PositiveIntegerField()
    digest = models.CharField(max_length=71)
    made_by = models.ForeignKey(OfficerProfile, on_delete=models.PROTECT, related_name="+")
    made = models.DateTimeField()

    class Meta:
        ordering = ("matter", "number")
        constraints = (
            models.UniqueConstraint(fields=("matter", "number"), name="governance_production_numbered_once"),
            models.CheckConstraint(condition=Q(last__gte=F("first")), name="governance_production_has_pages"),
        )

    def __str__(self) -> str:
        return f"production {self.number} of {self.matter}"


@append_only
class ProducedFile(models.Model):
    """The zip file of a production, encrypted under the matter's key: whoever destroys that key destroys the copy."""

    production = models.OneToOneField(Production, primary_key=True, on_delete=models.PROTECT, related_name="file")
    sealed = models.BinaryField()

    def __str__(self) -> str:
        return f"file of {self.production}"


@append_only
class ProductionItem(models.Model):
    """One file in it."""

    production = models.ForeignKey(Production, on_delete=models.PROTECT, related_name="items")
    decision = models.ForeignKey(MatterDecision, on_delete=models.PROTECT, related_name="+")
    form = models.CharField(max_length=8, choices=list(FILES.items()))
    name = models.CharField(max_length=64)
    first = models.PositiveIntegerField()
    last = models.PositiveIntegerField()
    digest = models.CharField(max_length=71)

    class Meta:
        ordering = ("production", "first")
        constraints = (models.UniqueConstraint(fields=("production", "first"), name="governance_item_numbered_once"),)

    def __str__(self) -> str:
        return self.name


@append_only
class Redaction(models.Model):
    """A field that is closed in all files of one decision in a production, and why."""

    production = models.ForeignKey(Production, on_delete=models.PROTECT, related_name="redactions")
    number = models.PositiveIntegerField()
    decision = models.ForeignKey(MatterDecision, on_delete=models.PROTECT, related_name="+")
    field = models.CharField(max_length=20, choices=list(FIELDS.items()))
    ground = models.CharField(max_length=20, choices=list(GROUNDS.items()))
    mark = models.ForeignKey(PrivilegeMark, null=True, blank=True, on_delete=models.PROTECT, related_name="redactions")

    class Meta:
        ordering = ("production", "number")
        constraints = (
            models.UniqueConstraint(fields=("production", "number"), name="governance_redaction_numbered_once"),
        )

    def __str__(self) -> str:
        return f"redaction {self.number} in {self.production}"
