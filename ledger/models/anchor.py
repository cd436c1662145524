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
    """One transaction. The signed bytes are stored before they are first sent, and only these are ever sent again, or
    others of the same nonce with higher fees. `raw` and `hash` are of the latest, or of the one that is in a block."""

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

    IN_A_BLOCK = frozenset({TransactionState.MINED, TransactionState.FINAL})

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=["account", "nonce"], name="one_transaction_of_a_nonce"),
            models.CheckConstraint(
                condition=Q(raw__isnull=True) | Q(nonce__isnull=False), name="signed_bytes_have_a_nonce"
            ),
            # It would stop all later ones without a word; a refused anchor is queued again, and says why.
            models.CheckConstraint(
                condition=~Q(kind=TransactionKind.ANCHOR, state=TransactionState.FAILED), name="an_anchor_never_fails"
            ),
        )
        indexes = (models.Index(fields=["state"]),)

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"

    @property
    def in_a_block(self) -> bool:
        return self.state in self.IN_A_BLOCK


class Attempt(models.Model):
    """One signing of a transaction. Each of a nonce may be mined, whichever was sent last, so all of them are kept.
    `block` was the chain's last one then."""

    transaction = models.ForeignKey(ChainTransaction, models.PROTECT, related_name="attempts")
    account = models.ForeignKey(ChainAccount, models.PROTECT, related_name="+")
    nonce = models.PositiveBigIntegerField()
    block = models.PositiveBigIntegerField()
    raw = models.BinaryField()
    hash = models.CharField(max_length=66, unique=True)
    signed = models.DateTimeField()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.hash


class Anchor(models.Model):
    """A checkpoint's place on the chain. Until it is sent, a newer checkpoint takes the older one's place."""

    sequence = models.PositiveBigIntegerField(primary_key=True)
    checkpoint = models.OneToOneField(SignedCheckpoint, models.PROTECT, related_name="anchor")
    transaction = models.OneToOneField(ChainTransaction, models.PROTECT, related_name="anchor")

    class Meta:
        ordering = ("sequence",)

    def __str__(self) -> str:
        return f"anchor {self.sequence}"
