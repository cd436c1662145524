"""Time stamps of the log's heads, and how the last question to the authority went."""

from django.db import models

from ledger.models.checkpoint import SignedCheckpoint
from ledger.triggers import append_only


@append_only
class TimeStamp(models.Model):
    """An authority's verified answer (TimeStampResp, DER) over the exact note of a head, one a head.

    `time` is by when the head existed: genTime and its accuracy. It and `authority` are copies of what the answer says.
    """

    checkpoint = models.OneToOneField(SignedCheckpoint, models.PROTECT, primary_key=True, related_name="stamp")
    answer = models.BinaryField()
    authority = models.CharField(max_length=200)
    time = models.DateTimeField()
    received = models.DateTimeField()

    class Meta:
        ordering = ("checkpoint",)

    def __str__(self) -> str:
        return f"time stamp of {self.checkpoint_id} entries"


class StampAttempt(models.Model):
    """One row: when the authority was last asked, and how often in a row that came to nothing, and why.

    Whoever asks writes this first, so that two workers do not both ask, and one that is killed is followed by another.
    """

    asked = models.DateTimeField()
    failures = models.PositiveIntegerField(default=0)
    reason = models.CharField(max_length=40, blank=True)
    detail = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.reason or "no failure"
