"""Publish the log: new entries into the tree, its head signed, an anchor in the outbox."""

from django.conf import settings
from django.db import transaction
from django.dispatch import Signal

from concordat import checkpoint, clock, merkle
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from ledger.models import (
    Anchor,
    ChainTransaction,
    LogEntry,
    LogHead,
    SignedCheckpoint,
    TransactionKind,
    TransactionState,
)
from ledger.tree import Tree

_AT_ONCE = 1 << 14
"""How many entries are held in memory at once."""

head_published = Signal()
"""Sent by the task that publishes, with the head's `size`, once it is committed."""


@transaction.atomic
def publish() -> SignedCheckpoint | None:
    """Integrate what was recorded since the last checkpoint, and sign the new head. None when there is nothing new.

    Raises:
        Refused: SEQUENCE_BROKEN when the stored tree no longer has the last published root, or an entry is missing;
            ENTRY_ALTERED when an entry's bytes no longer hash to its leaf. Nothing is published then.
    """
    head = LogHead.objects.select_for_update().filter(pk=1).first()
    last = SignedCheckpoint.objects.last()
    size = last.size if last else 0
    if head is None or head.size == size:
        return None
    tree = Tree()
    if last and tree.root(size) != bytes(last.root):
        raise Refused(Reason.SEQUENCE_BROKEN, detail=f"The tree no longer has the root published at {size} entries.")
    for start in range(size, head.size, _AT_ONCE):
        tree.append(start, _leaves(start, min(start + _AT_ONCE, head.size)))
    published = _sign(head.size, tree.root(head.size))
    if settings.ANCHOR_ADDRESS:
        _queue_anchor(published)
    return published


def _leaves(start: int, stop: int) -> list[bytes]:
    leaves: list[bytes] = []
    found = LogEntry.objects.filter(index__gte=start, index__lt=stop).order_by("index")
    for index, leaf, leaf_hash in found.values_list("index", "leaf", "leaf_hash"):
        expected = start + len(leaves)
        if index != expected:
            raise Refused(Reason.SEQUENCE_BROKEN, detail=f"Entry {expected} is missing.")
        if merkle.leaf_hash(bytes(leaf)) != bytes(leaf_hash):
            raise Refused(Reason.ENTRY_ALTERED, detail=f"Entry {index} was changed after it was recorded.")
        leaves.append(bytes(leaf_hash))
    if start + len(leaves) != stop:
        raise Refused(Reason.SEQUENCE_BROKEN, detail=f"Entry {start + len(leaves)} is missing.")
    return leaves


def _sign(size: int, root: bytes) -> SignedCheckpoint:
    key = Keystore(settings.KEYS_DIR).identity
    head = checkpoint.Checkpoint(settings.LOG_ORIGIN, size, root)
    note = checkpoint.sign(head, key, settings.LOG_ORIGIN)
    return SignedCheckpoint.objects.create(size=size, root=root, note=note, time=clock.now())


def _queue_anchor(published: SignedCheckpoint) -> None:
    last = Anchor.objects.last()
    if last and ChainTransaction.objects.select_for_update().get(anchor=last).state == TransactionState.QUEUED:
        last.checkpoint = published  # one transaction covers all that gathered while the chain was busy or away
        last.save(update_fields=["checkpoint"])
        return
    queued = ChainTransaction.objects.create(kind=TransactionKind.ANCHOR, created=clock.now())
    Anchor.objects.create(sequence=last.sequence + 1 if last else 1, checkpoint=published, transaction=queued)
