"""Append one entry to the log: the only way in."""

from collections.abc import Mapping
from uuid import UUID, uuid4

from django.db import transaction

from concordat import canonical, clock, merkle
from concordat.canonical import Json
from concordat.events import EVENTS, Event
from concordat.reasons import Reason, Refused
from ledger import vault
from ledger.models import LogEntry, LogHead, Payload, Reference, SubjectKey
from ledger.services.documents import store

LEAF_VERSION = 1


def record(
    *,
    event: Event,
    public: Mapping[str, Json],
    private: Mapping[str, Json] | None = None,
    subject: UUID | None = None,
    holder: str = "",
    documents: Mapping[str, Json | bytes | str] | None = None,
) -> LogEntry:
    """Append an entry, inside the caller's transaction: either both the deed and its record happen, or neither.

    `public` fields stand in the leaf as they are; `private` ones as salted commitments, their values encrypted under
    the key of `subject` (a pseudonym of the institution `holder`: the public field `institution`, unless that is named
    here) and gone when that key is destroyed; `documents` as digests, their content kept
    in the clear: bytes as they are, text (a JWS) as UTF-8, any other value in canonical form.

    Raises:
        Refused: FIELD_UNKNOWN for a name that `concordat.events` does not allow this event; ERASED for a subject whose
            key was destroyed; MALFORMED for a value without a canonical form.
        TransactionManagementError: outside a transaction.
    """
    private, documents = private or {}, documents or {}
    allowed = EVENTS[event]
    _check_names("public", public, allowed.public)
    _check_names("private", private, allowed.private)
    _check_names("documents", documents, allowed.documents)
    head = _locked_head()
    uuid, now = uuid4(), clock.now()
    holder = holder or str(public.get("institution", ""))
    key = vault.entry_key(holder, subject or uuid, uuid) if private else b""
    content: dict[str, Json] = {
        "v": LEAF_VERSION,
        "event": event.value,
        "id": str(uuid),
        "time": clock.rfc3339(now),
        "public": dict(public),
        "documents": {name: store(content=content) for name, content in documents.items()},
        "commitments": {field: vault.commit(key, field, value) for field, value in private.items()},
    }
    leaf = canonical.encode(content)
    entry = LogEntry.objects.create(
        index=head.size, uuid=uuid, event=event.value, time=now, leaf=leaf, leaf_hash=merkle.leaf_hash(leaf)
    )
    Reference.objects.bulk_create(
        Reference(entry=entry, name=name, value=str(public[name])) for name in Reference.NAMES if public.get(name)
    )
    if private:
        row = SubjectKey.objects.get(holder=holder, subject=subject or uuid)
        Payload.objects.create(entry=entry, key=row, sealed=vault.seal(key, uuid, private))
    head.size += 1
    head.save(update_fields=["size"])
    return entry


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
