"""What an agency has had left out of the account of disclosures of one person, and until when."""

from django.db import models


class AccountingSuspension(models.Model):
    """A suspension of the right to an account of disclosures to an agency or official (45 CFR 164.528(a)(2)).

    `recipient` is what the log knows of who received something (`compute.disclosures.To.key`). An erasure of the person
    deletes the row; the log keeps that there was one, and not of whom.
    """

    holder = models.CharField(max_length=63)
    subject = models.UUIDField(db_index=True)
    recipient = models.CharField(max_length=200)
    ground = models.CharField(max_length=200)
    oral = models.BooleanField(help_text="The agency has said so, and not written it yet.")
    placed = models.DateTimeField()
    until = models.DateTimeField()
    ended = models.DateTimeField(null=True)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"suspension {self.pk}"
