"""Reliance of one institution on another's board (45 CFR 46.114), and what is particular about a relying site."""

import uuid

from django.db import models
from django.db.models import F, Q

from governance.models.institution import Institution
from governance.models.signature import Signature
from governance.models.study import Study
from ledger.triggers import append_only


class RelianceAgreement(models.Model):
    """It is in force from the second signature on: one of each institution."""

    uuid = models.UUIDField(unique=True, default=uuid.uuid4)
    relying = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="reliances")
    reviewing = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="reviews_for")
    study = models.CharField(max_length=63, blank=True, help_text="The one study it is for; empty: all.")
    starts = models.DateTimeField()
    ends = models.DateTimeField()
    document = models.JSONField()
    digest = models.CharField(max_length=71, unique=True)
    signatures = models.ManyToManyField(Signature, related_name="agreements")
    agreed = models.DateTimeField(null=True, blank=True)
    ended = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("relying", "-starts")
        constraints = (
            models.CheckConstraint(condition=~Q(relying=F("reviewing")), name="governance_reliance_is_on_another"),
            models.CheckConstraint(condition=Q(ends__gt=F("starts")), name="governance_reliance_has_a_period"),
        )

    def __str__(self) -> str:
        return f"{self.relying.slug} relies on {self.reviewing.slug}"


@append_only
class LocalContext(models.Model):
    """What a relying site says of its law, population and resources. The last one on a base counts."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="local_contexts")
    site = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="local_contexts")
    board = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="+")
    base = models.CharField(max_length=71)
    document = models.JSONField()
    digest = models.CharField(max_length=71, unique=True)
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="local_context")
    filed = models.DateTimeField()

    class Meta:
        ordering = ("study", "-pk")

    def __str__(self) -> str:
        return f"local context of {self.site.slug} for {self.study}"
