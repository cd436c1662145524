"""The log's signed heads."""

from django.db import models

from ledger.triggers import append_only


@append_only
class SignedCheckpoint(models.Model):
    """A head of the log as it was published: C2SP checkpoint, signed by the coordinator."""

    size = models.PositiveBigIntegerField(primary_key=True)
    root = models.BinaryField(max_length=32)
    note = models.TextField()
    time = models.DateTimeField()

    class Meta:
        ordering = ("size",)

    def __str__(self) -> str:
        return f"checkpoint of {self.size} entries"
