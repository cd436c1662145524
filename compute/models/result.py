"""What came out of a job: receipts, sealed output shares, and what the requester says it has shown."""

from django.db import models

from compute.models.job import Job
from governance.models import Institution


class PartyResult(models.Model):
    """A node's signed receipt and, from a compute party, its output share sealed to the requester."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="results")
    node = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="+")
    receipt = models.TextField(help_text="The receipt as the node signed it (JWS).")
    sealed = models.TextField(blank=True)
    received = models.DateTimeField()

    class Meta:
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(fields=["job", "node"], name="compute_one_result_a_node"),)

    def __str__(self) -> str:
        return f"result of {self.node.slug}"


class Display(models.Model):
    """A display receipt that was logged, by the digest of its JWS: handing it in twice logs it once."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="displays")
    digest = models.CharField(max_length=71, unique=True)

    def __str__(self) -> str:
        return self.digest
