"""Correlated randomness that nodes hold for later jobs: here only what it is called."""

from django.db import models

from governance.models import Definition


class Batch(models.Model):
    """A batch that was dealt in a recorded job and that no ticket has named yet. The row goes with the ticket."""

    uuid = models.UUIDField(unique=True)
    definition = models.ForeignKey(Definition, on_delete=models.PROTECT, related_name="batches")
    what_ifs = models.PositiveSmallIntegerField()
    runs = models.PositiveSmallIntegerField(help_text="How many records it was dealt for.")
    dealt = models.DateTimeField()

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return str(self.uuid)
