"""The outbox to the chain: what is to be sent, by which account, and how far it has come."""

from django.db import models
from django.db.models import Q

from ledger.models.checkpoint import SignedCheckpoint


class TransactionKind(models.TextChoices):
    ANCHOR = "anchor"
    VOTE = "vote"


class TransactionState(models.TextChoices):
    """queued → sent → mined → final; a reorganisation puts a mined one back to sent. Failed: the contract refused."""

    QUEUED = "queued"
    SENT = "sent"
    MINED = "mined"
    FINAL = "final"
    FAILED = "failed"


class ChainAccount(models.Model):
    """An account that sends. Whoever sends holds the row's lock, so that no nonce is used twice."""

    address = models.CharField(max_length=42, unique=True)
    nonce = models.PositiveBigIntegerField()

    def __str__(self) -> str:
        return self.address


class ChainTransaction(models.Model):
    """One transaction. The signed bytes are stored before they are first sent, and only these are ever sent again."""

    kind = models.CharField(max_length=10, choices=TransactionKind.choices)
    content = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=TransactionState.choices, default=TransactionState.QUEUED)
    created = models.DateTimeField()
    account = models.ForeignKey(ChainAccount, models.PROTECT, null=True)
    nonce = models.PositiveBigIntegerField(null=True)
    raw = models.BinaryField(null=True)
    hash = models.CharField(max_length=66, blank=True)
    block = models.PositiveBigIntegerField(null=True)
    block_hash = models.CharField(max_length=66, blank=True)
    reason = models.CharField(max_length=40, blank=True)
    detail = models.TextField(blank=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=["account", "nonce"], name="one_transaction_of_a_nonce"),
            models.CheckConstraint(
                condition=Q(raw__isnull=True) | Q(nonce__isnull=False), name="signed_bytes_have_a_nonce"
            ),
        )
        indexes = (models.Index(fields=["state"]),)

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"


class Anchor(models.Model):
    """A checkpoint's place on the chain. Until it is sent, a newer checkpoint takes the older one's place."""

    sequence = models.PositiveBigIntegerField(primary_key=True)
    checkpoint = models.OneToOneField(SignedCheckpoint, models.PROTECT, related_name="anchor")
    transaction = models.OneToOneField(ChainTransaction, models.PROTECT, related_name="anchor")

    class Meta:
        ordering = ("sequence",)

    def __str__(self) -> str:
        return f"anchor {self.sequence}"
