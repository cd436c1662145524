"""Reading the log: entries, proofs, documents, and how far an entry has come."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from concordat import canonical, tiles
from concordat.events import Event
from concordat.merkle import HASH_BYTES
from concordat.reasons import Reason, Refused
from concordat.tiles import WIDTH, TilePath
from ledger import vault
from ledger.models import (
    Anchor,
    ChainTransaction,
    Document,
    LogEntry,
    Reference,
    SignedCheckpoint,
    StampAttempt,
    Tile,
    TimeStamp,
    TransactionState,
)
from ledger.tree import Tree


class EntryStatus(StrEnum):
    """How far an entry has come: logged, published under a signed checkpoint, and its anchor's way to the chain."""

    LOGGED = "logged"
    PUBLISHED = "published"
    QUEUED = "queued"
    SENT = "sent"
    MINED = "mined"
    FINAL = "final"


@dataclass(frozen=True)
class OutboxStatus:
    """What waits for the chain, since when, and why (the reason code of the last failure, or empty)."""

    waiting: int
    oldest: datetime | None
    reason: str


def entry(index: int) -> LogEntry:
    """Raises Refused(NOT_FOUND)."""
    found = LogEntry.objects.filter(index=index).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, field="index")
    return found


def entries(*, event: Event | None = None, **references: str) -> QuerySet[LogEntry]:
    """Entries in log order, of one event or all, by public fields (`study=…`). Raises ValueError for unknown ones."""
    found = LogEntry.objects.all()
    if event is not None:
        found = found.filter(event=event.value)
    for name, value in references.items():
        if name not in Reference.NAMES:
            raise ValueError(f"entries are not found by {name}")
        found = found.filter(references__name=name, references__value=value)
    return found


def latest_checkpoint() -> SignedCheckpoint | None:
    """The last published head."""
    return SignedCheckpoint.objects.last()


def published_head() -> SignedCheckpoint:
    """The last published head. Raises Refused(NOT_FOUND) while there is none."""
    latest = latest_checkpoint()
    if latest is None:
        raise Refused(Reason.NOT_FOUND, detail="The log has not published a head yet.")
    return latest


def checkpoint(size: int | None = None) -> SignedCheckpoint | None:
    """The published head of that size, or the last one."""
    return latest_checkpoint() if size is None else SignedCheckpoint.objects.filter(size=size).first()


def inclusion(index: int, size: int) -> list[bytes]:
    """The RFC 9162 proof of entry `index` in the published tree of `size`. Raises Refused(NOT_FOUND)."""
    _check_published(size)
    if not 0 <= index < size:
        raise Refused(Reason.NOT_FOUND, field="index")
    return Tree().inclusion(index, size)


def consistency(first: int, second: int) -> list[bytes]:
    """The RFC 9162 proof between the published trees of `first` and `second` entries. Raises Refused(NOT_FOUND)."""
    _check_published(second)
    if not 0 < first <= second:
        raise Refused(Reason.NOT_FOUND, field="first")
    return Tree().consistency(first, second)


def tile(path: TilePath) -> bytes:
    """The bytes of a tile (C2SP tlog-tiles): hashes, or a bundle of entries.

    Raises Refused(NOT_FOUND) for one that the published tree does not have, or not that wide.
    """
    published = latest_checkpoint()
    if path.width > tiles.width_at(published.size if published else 0, path.level or 0, path.index):
        raise Refused(Reason.NOT_FOUND, detail="The published log has no such tile.", field="path")
    if path.level is not None:
        hashes = Tile.objects.values_list("hashes", flat=True).get(level=path.level, index=path.index)
        return bytes(hashes)[: path.width * HASH_BYTES]
    start = path.index * WIDTH
    leaves = LogEntry.objects.filter(index__gte=start, index__lt=start + path.width).order_by("index")
    return tiles.bundle(bytes(leaf) for leaf in leaves.values_list("leaf", flat=True))


def document(digest: str) -> bytes:
    """A document's bytes. Raises Refused: NOT_FOUND, or DOCUMENT_ALTERED if they no longer have this digest."""
    return documents([digest])[digest]


def documents(digests: Collection[str]) -> dict[str, bytes]:
    """Documents' bytes by digest, in one query. Raises Refused as `document` does."""
    found = {
        digest: bytes(content)
        for digest, content in Document.objects.filter(digest__in=digests).values_list("digest", "content")
    }
    for digest in digests:
        if digest not in found:
            raise Refused(Reason.NOT_FOUND, field="digest")
        if canonical.digest(found[digest]) != digest:
            raise Refused(Reason.DOCUMENT_ALTERED)
    return found


def about(holder: str, subject: UUID) -> QuerySet[LogEntry]:
    """The entries whose private fields are under the key of this subject of an institution."""
    return LogEntry.objects.filter(payload__key__holder=holder, payload__key__subject=subject)


def private_fields(entry: LogEntry) -> Mapping[str, Any]:
    """The entry's private fields in the clear. Raises Refused(ERASED) once the subject's key is destroyed."""
    return vault.unseal(entry)[1]


def anchor_of(index: int) -> Anchor | None:
    """The first anchor whose checkpoint covers the entry."""
    anchors = Anchor.objects.select_related("checkpoint", "transaction")
    return anchors.filter(checkpoint__size__gt=index).first()


def status(index: int) -> EntryStatus:
    """How far the entry has come. Raises Refused(NOT_FOUND)."""
    entry(index)
    anchor = anchor_of(index)
    if anchor is not None:
        return EntryStatus(anchor.transaction.state)
    published = latest_checkpoint()
    return EntryStatus.PUBLISHED if published and index < published.size else EntryStatus.LOGGED


def statuses(indexes: Collection[int]) -> dict[int, EntryStatus]:
    """How far each of these entries has come, by its index, in two queries. Unknown ones are left out."""
    anchors = Anchor.objects.filter(checkpoint__size__gt=OuterRef("index")).order_by("checkpoint_id")
    state = Subquery(anchors.values("transaction__state")[:1])
    found = LogEntry.objects.filter(index__in=indexes).annotate(anchored=state).values_list("index", "anchored")
    published = latest_checkpoint()
    size = published.size if published else 0
    return {
        index: EntryStatus(anchored) if anchored else EntryStatus.PUBLISHED if index < size else EntryStatus.LOGGED
        for index, anchored in found
    }


def outbox() -> OutboxStatus:
    """What has not reached the chain yet."""
    waiting = ChainTransaction.objects.filter(state__in=(TransactionState.QUEUED, TransactionState.SENT))
    first = waiting.first()
    return OutboxStatus(
        waiting=waiting.count(), oldest=first.created if first else None, reason=first.reason if first else ""
    )


def stamp_of(index: int, most: int | None = None) -> TimeStamp | None:
    """The time stamp of the first stamped head that covers the entry, of at most so many entries."""
    stamps = TimeStamp.objects.select_related("checkpoint").filter(checkpoint_id__gt=index)
    return (stamps if most is None else stamps.filter(checkpoint_id__lte=most)).order_by("checkpoint_id").first()


def unstamped() -> str:
    """Why the last question to the time-stamping authority came to nothing (a reason code), or empty."""
    return StampAttempt.objects.values_list("reason", flat=True).first() or ""


def _check_published(size: int) -> None:
    published = latest_checkpoint()
    if published is None or size > published.size:
        raise Refused(Reason.NOT_FOUND, detail="The log has no published head of that size.", field="size")
