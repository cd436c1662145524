"""What reopens a decision, sealed to the requester's records key and its escrow."""

from django.db import models

from compute.models.job import Job
from ledger.triggers import Rule, register


class RecordsPackage(models.Model):
    """A records package as the requester handed it in: opaque here. Erasure blanks `content`; nothing else changes."""

    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="packages")
    stage = models.CharField(max_length=8, choices=[("request", "request"), ("result", "result")])
    digest = models.CharField(max_length=71)
    content = models.TextField(blank=True)
    statement = models.TextField(help_text="What the requester signed about it (JWS).")
    entry = models.PositiveBigIntegerField(help_text="Log index of the entry that names it.")
    received = models.DateTimeField()

    class Meta:
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(fields=["job", "stage"], name="compute_one_package_a_stage"),)

    def __str__(self) -> str:
        return f"{self.stage} of {self.job}"


_FIXED = " OR ".join(
    f"NEW.{name} <> OLD.{name}" for name in ("job_id", "stage", "digest", "statement", "entry", "received")
)

register(
    Rule(RecordsPackage, "no", ("delete", "truncate", "replace"), "records packages are kept"),
    Rule(
        RecordsPackage,
        "blanked",
        ("update",),
        "a records package is only ever blanked",
        f"NEW.content <> '' OR {_FIXED}",
    ),
)
