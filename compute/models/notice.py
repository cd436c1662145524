"""Who was told that a person was erased of whom they had been given something."""

from django.db import models

from governance.models import Institution
from ledger.triggers import append_only


@append_only
class ErasureNotice(models.Model):
    """One institution and one erasure. `records` are numbers of decisions; nothing here says whose they were."""

    notice = models.UUIDField(unique=True)
    institution = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="erasure_notices")
    destroyed = models.CharField(max_length=20, help_text="Record number of the key's destruction.")
    records = models.JSONField()
    told = models.DateTimeField()

    class Meta:
        ordering = ("-pk",)
        constraints = (
            models.UniqueConstraint(fields=["institution", "destroyed"], name="compute_one_notice_an_erasure"),
        )

    def __str__(self) -> str:
        return f"{self.institution.slug} of {self.destroyed}"
