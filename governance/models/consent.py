"""Consent: one person's yes, as the institution that asked for it signed it, and the withdrawal."""

from django.db import models

from governance.models.institution import Institution
from governance.models.study import Study


class Consent(models.Model):
    """The subject is a pseudonym; only the institution can tell who it is. Withdrawal is prospective and immediate
    (GDPR Art. 7(3))."""

    uuid = models.UUIDField(unique=True)
    subject = models.UUIDField(db_index=True, null=True, help_text="Nobody once the person is erased.")
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="consents")
    institution = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="consents")
    purposes = models.JSONField()
    signer = models.CharField(max_length=16, default="self", help_text="In which capacity the form was signed.")
    reconsent = models.DateTimeField(
        null=True, blank=True, help_text="From then on the person decides for themself, and this no longer counts."
    )
    given = models.DateTimeField()
    until = models.DateTimeField()
    digest = models.CharField(max_length=71, help_text="Of the signed consent; it stays when the person is erased.")
    statement = models.TextField(blank=True, help_text="The signed consent.")
    withdrawn = models.DateTimeField(null=True, blank=True)
    withdrawal = models.TextField(blank=True, help_text="The signed withdrawal.")
    lapsed = models.DateTimeField(null=True, blank=True, help_text="When the person was said to decide for themself.")
    lapse = models.TextField(blank=True, help_text="The signed statement that says so.")
    epoch = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("-given",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(withdrawn=None, withdrawal="") | models.Q(withdrawn__isnull=False, epoch__gt=0),
                name="governance_withdrawal_ends_the_epoch",
            ),
            models.CheckConstraint(
                condition=models.Q(lapsed=None, lapse="") | models.Q(lapsed__isnull=False, epoch__gt=0),
                name="governance_lapse_ends_the_epoch",
            ),
        )

    def __str__(self) -> str:
        return str(self.uuid)
