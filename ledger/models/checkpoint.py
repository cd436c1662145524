"""The log's signed heads, and what witnesses signed under them."""

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

    @property
    def body(self) -> str:
        """The text that the coordinator and every witness signed."""
        return self.note.rpartition("\n\n")[0] + "\n"


@append_only
class Cosignature(models.Model):
    """A witness's verified signature line under a checkpoint (C2SP tlog-cosignature), the first by each of its keys."""

    checkpoint = models.ForeignKey(SignedCheckpoint, models.PROTECT, related_name="cosignatures")
    witness = models.CharField(max_length=63)
    key_id = models.BinaryField(max_length=4)
    line = models.TextField()
    time = models.DateTimeField(help_text="As the witness says.")
    received = models.DateTimeField()

    class Meta:
        ordering = ("checkpoint", "witness", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["checkpoint", "witness", "key_id"], name="one_cosignature_by_a_key_of_a_witness"
            ),
        )

    def __str__(self) -> str:
        return f"{self.witness} under {self.checkpoint_id} entries"
