"""Keys that make private fields readable, and how destroying one of them erases.

    master key            a file in the coordinator's key folder (`ledger.masters`)
      └ wraps, a subject  subject key (KEK): random, AES-256-GCM under the master key, in the database
          └ derives       entry key (DEK) = HMAC-SHA256(KEK, entry id): encrypts the entry's payload
              └ derives   salt of a field = HMAC-SHA256(DEK, field name): hides its commitment

Without the KEK neither payload nor salts can be had, so the commitments say nothing any more; the tree is not touched.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import connection

from concordat import canonical, clock, commitments
from concordat.canonical import Json
from concordat.reasons import Reason, Refused
from ledger import erased, masters
from ledger.models import LogEntry, Payload, SubjectKey

log = structlog.get_logger(__name__)

KEY_BYTES, NONCE_BYTES = 32, 12


def create_master_key() -> None:
    """Make the master key, into a key folder that is there; one that exists is left as it is.

    Raises:
        Refused: KEYSTORE_UNSAFE if there are keys that a lost one has wrapped: a new one would hide the loss.
    """
    table = SubjectKey._meta.db_table
    if masters.in_force().exists():
        return
    if table in connection.introspection.table_names() and SubjectKey.objects.filter(wrapped__isnull=False).exists():
        detail = "The master key is missing, and what is in the database opens with that one only: restore it."
        raise Refused(Reason.KEYSTORE_UNSAFE, detail=detail)
    masters.create()


def entry_key(holder: str, subject: UUID, entry: UUID) -> bytes:
    """The DEK of one entry; makes the subject's key if there is none. Raises Refused(ERASED) for a destroyed one."""
    row = SubjectKey.objects.filter(holder=holder, subject=subject).first()
    if row is None:
        key = secrets.token_bytes(KEY_BYTES)
        made = {"wrapped": wrap(holder, subject, key), "created": clock.now(), "fingerprint": erased.fingerprint(key)}
        # Two first entries about one subject may meet here; the one that comes second uses the first one's key.
        row, _ = SubjectKey.objects.get_or_create(holder=holder, subject=subject, defaults=made)
    return _derive(unwrap(row), entry)


def derived(purpose: str, value: bytes, *, master: bytes | None = None) -> bytes:
    """32 secret bytes that follow from the master key in force, or another one, and `value` and are stored nowhere: a
    copy of the database alone does not give them."""
    key = masters.current() if master is None else master
    return hmac.digest(key, purpose.encode() + b"\0" + value, hashlib.sha256)


def salt(key: bytes, field: str) -> bytes:
    """The salt of a private field of the entry whose DEK is `key`, 32 bytes."""
    return hmac.digest(key, field.encode(), hashlib.sha256)


def commit(key: bytes, field: str, value: Json) -> str:
    """The commitment to a private field, as it stands in the leaf."""
    return commitments.commit(commitments.FIELD, salt(key, field), canonical.encode(value))


def seal(key: bytes, entry: UUID, private: Mapping[str, Json]) -> bytes:
    """An entry's private fields, encrypted, bound to this entry."""
    return _encrypt(key, canonical.encode(private), entry.bytes)


def unseal(entry: LogEntry, payload: Payload | None = None) -> tuple[bytes, Mapping[str, Any]]:
    """The entry's DEK and its private fields. Raises Refused(ERASED), or ENTRY_ALTERED if the payload was changed.

    Args:
        payload: the entry's own, if it was read before, together with its key.
    """
    payload = payload or Payload.objects.select_related("key").filter(entry=entry).first()
    if payload is None:
        return b"", {}
    key = _derive(unwrap(payload.key), entry.uuid)
    fields: Mapping[str, Any] = canonical.decode(_decrypt(key, bytes(payload.sealed), entry.uuid.bytes))
    return key, fields


def seal_file(key: bytes, of: UUID, content: bytes) -> bytes:
    """A file, encrypted under the key that :func:`entry_key` gives for `of`, and bound to that."""
    return _encrypt(key, content, of.bytes)


def unseal_file(key: bytes, of: UUID, sealed: bytes) -> bytes:
    """The file. Raises Refused(ENTRY_ALTERED) if it was changed."""
    return _decrypt(key, sealed, of.bytes)


def checkpoint_wal() -> None:
    """Write SQLite's journal back into the database and empty it: a key that was destroyed still stands in it.

    Outside of a transaction only. It waits for readers; if they outlast the database's timeout, the log says so.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            busy = cursor.fetchone()[0]
        if busy:
            log.warning("erasure.journal-busy")


def wrap(holder: str, subject: UUID, key: bytes) -> bytes:
    """A subject's key under the newest master key, bound to the subject."""
    return _encrypt(masters.newest(), key, _whose(holder, subject))


def unwrap(row: SubjectKey) -> bytes:
    """The subject's key. Raises Refused: ERASED for one that was destroyed, even if it is back; ENTRY_ALTERED."""
    key = opened(row)
    if key is None or erased.fingerprint(key) in erased.listed():
        raise Refused(Reason.ERASED)
    return key


def opened(row: SubjectKey, *masters_only: bytes) -> bytes | None:
    """The key as the row has it, even if it was destroyed and is back from a backup; None where there is none.

    Args:
        masters_only: the master keys with which to try; all of them if none is given.

    Raises:
        Refused: ENTRY_ALTERED if none of them opens it.
    """
    if row.wrapped is None:
        return None
    for master in masters_only or masters.each():
        with suppress(Refused):
            return _decrypt(master, bytes(row.wrapped), _whose(row.holder, row.subject))
    raise Refused(Reason.ENTRY_ALTERED, detail="No master key opens this subject's key: it was changed, or is older.")


def resurrected() -> Iterator[SubjectKey]:
    """Keys that were destroyed and are in the database again, which shows that a backup was restored.

    Those without a fingerprint of their own are opened to find out.
    """
    gone = erased.listed()
    for row in SubjectKey.objects.filter(wrapped__isnull=False).order_by("pk").iterator() if gone else ():
        if (fingerprint(row)) in gone:
            yield row


def fingerprint(row: SubjectKey) -> str:
    """That of the row's key, as the row says it or, if it is older than fingerprints, the key itself; empty for a key
    that no master key opens, which is as good as destroyed."""
    if row.fingerprint or row.wrapped is None:
        return row.fingerprint
    try:
        return erased.fingerprint(opened(row) or b"")
    except Refused:
        return ""


def _whose(holder: str, subject: UUID) -> bytes:
    return subject.bytes + holder.encode()


def _derive(key: bytes, entry: UUID) -> bytes:
    return hmac.digest(key, entry.bytes, hashlib.sha256)


def _encrypt(key: bytes, plaintext: bytes, bound_to: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, bound_to)


def _decrypt(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)
    except InvalidTag as error:
        raise Refused(Reason.ENTRY_ALTERED, detail="The encrypted payload was changed, or its key was.") from error
