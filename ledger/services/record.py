"""Append to the log: the only way in, one entry at a time or many at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from django.db import DEFAULT_DB_ALIAS, transaction

from concordat import canonical, clock, merkle, tiles
from concordat.canonical import Json
from concordat.events import EVENTS, LEAF_VERSION, Event
from concordat.reasons import Reason, Refused
from ledger import rows, vault
from ledger.models import LogEntry, LogHead, Payload, Reference, SubjectKey
from ledger.services.documents import store

_ENTRY = ("index", "uuid", "event", "time", "leaf", "leaf_hash")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What an entry is to say. `public` fields stand in the leaf as they are; `private` ones as salted commitments,
    their values encrypted under the key of `subject` (a pseudonym of the institution `holder`: the public field
    `institution`, unless that is named here) and gone when that key is destroyed; `documents` as digests, their content
    kept in the clear: bytes as they are, text (a JWS) as UTF-8, any other value in canonical form.
    """

    event: Event
    public: Mapping[str, Json]
    private: Mapping[str, Json] = field(default_factory=dict)
    subject: UUID | None = None
    holder: str = ""
    documents: Mapping[str, Json | bytes | str] = field(default_factory=dict)


def record(
    *,
    event: Event,
    public: Mapping[str, Json],
    private: Mapping[str, Json] | None = None,
    subject: UUID | None = None,
    holder: str = "",
    documents: Mapping[str, Json | bytes | str] | None = None,
) -> LogEntry:
    """Append one entry: what `Draft` says, as `record_all` does it."""
    draft = Draft(
        event=event, public=public, private=private or {}, subject=subject, holder=holder, documents=documents or {}
    )
    return record_all([draft])[0]


def record_all(drafts: Sequence[Draft]) -> list[LogEntry]:
    """Append entries in this order, inside the caller's transaction: either both the deeds and their record happen, or
    neither.

    Raises:
        Refused: FIELD_UNKNOWN for a name that `concordat.events` does not allow this event; ERASED for a subject whose
            key was destroyed; MALFORMED for a value without a canonical form; TOO_LARGE for a leaf beyond 65,535 bytes.
        TransactionManagementError: outside a transaction.
    """
    for draft in drafts:
        allowed = EVENTS[draft.event]
        _check_names("public", draft.public, allowed.public)
        _check_names("private", draft.private, allowed.private)
        _check_names("documents", draft.documents, allowed.documents)
    head, now = _locked_head(), clock.now()
    time = clock.rfc3339(now)
    entries: list[tuple[Any, ...]] = []
    references: list[tuple[int, str, str]] = []
    payloads: list[tuple[int, int, bytes]] = []
    for index, draft in enumerate(drafts, start=head.size):
        uuid = uuid4()
        holder = draft.holder or str(draft.public.get("institution", ""))
        key = vault.entry_key(holder, draft.subject or uuid, uuid) if draft.private else b""
        leaf = _leaf(draft, uuid, time, key)
        entries.append((index, uuid, draft.event.value, now, leaf, merkle.leaf_hash(leaf)))
        references += [(index, name, str(value)) for name in Reference.NAMES if (value := draft.public.get(name))]
        if draft.private:
            row = SubjectKey.objects.get(holder=holder, subject=draft.subject or uuid)
            payloads.append((index, row.pk, vault.seal(key, uuid, draft.private)))
    rows.insert(LogEntry, _ENTRY, entries)
    rows.insert(Reference, ("entry", "name", "value"), references)
    rows.insert(Payload, ("entry", "key", "sealed"), payloads)
    head.size += len(entries)
    head.save(update_fields=["size"])
    return [LogEntry.from_db(DEFAULT_DB_ALIAS, _ENTRY, entry) for entry in entries]


def _leaf(draft: Draft, uuid: UUID, time: str, key: bytes) -> bytes:
    content: dict[str, Json] = {
        "v": LEAF_VERSION,
        "event": draft.event.value,
        "id": str(uuid),
        "time": time,
        "public": dict(draft.public),
        "documents": {name: store(content=content) for name, content in draft.documents.items()},
        "commitments": {field: vault.commit(key, field, value) for field, value in draft.private.items()},
    }
    leaf = canonical.encode(content)
    if len(leaf) > tiles.LARGEST_ENTRY:  # it could not be served in a bundle
        detail = f"An entry of the log has at most {tiles.LARGEST_ENTRY:,} bytes; put what is long into a document."
        raise Refused(Reason.TOO_LARGE, detail=detail)
    return leaf


def _locked_head() -> LogHead:
    # On SQLite the lock is the IMMEDIATE transaction itself: one writer at a time.
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("record() belongs into the transaction of what it records.")
    LogHead.objects.get_or_create(pk=1)
    return LogHead.objects.select_for_update().get(pk=1)


def _check_names(part: str, given: Mapping[str, object], allowed: tuple[str, ...]) -> None:
    for name in given:
        if name not in allowed:
            raise Refused(Reason.FIELD_UNKNOWN, detail=f"This event has no such {part} field.", field=f"{part}.{name}")
