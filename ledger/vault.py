"""Keys that make private fields readable, and how destroying one of them erases.

    master key            a file in the coordinator's key folder, 32 bytes, mode 0600
      └ wraps, a subject  subject key (KEK): random, AES-256-GCM under the master key, in the database
          └ derives       entry key (DEK) = HMAC-SHA256(KEK, entry id): encrypts the entry's payload
              └ derives   salt of a field = HMAC-SHA256(DEK, field name): hides its commitment

Without the KEK neither payload nor salts can be had, so the commitments say nothing any more; the tree is not touched.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import connection

from concordat import canonical, clock, commitments
from concordat.canonical import Json
from concordat.files import read_private, write_private
from concordat.reasons import Reason, Refused
from ledger.models import LogEntry, Payload, SubjectKey

log = structlog.get_logger(__name__)

KEY_BYTES, NONCE_BYTES = 32, 12


def create_master_key() -> None:
    """Make the master key, into a key folder that is there; one that exists is left as it is.

    Raises:
        Refused: KEYSTORE_UNSAFE if there are keys that a lost one has wrapped: a new one would hide the loss.
    """
    path, table = _master_key_path(), SubjectKey._meta.db_table
    if path.exists():
        return
    if table in connection.introspection.table_names() and SubjectKey.objects.filter(wrapped__isnull=False).exists():
        detail = "The master key is missing, and what is in the database opens with that one only: restore it."
        raise Refused(Reason.KEYSTORE_UNSAFE, detail=detail)
    with suppress(FileExistsError):  # another process may have come first: its key counts
        write_private(path, secrets.token_bytes(KEY_BYTES), replace=False)


def entry_key(holder: str, subject: UUID, entry: UUID) -> bytes:
    """The DEK of one entry; makes the subject's key if there is none. Raises Refused(ERASED) for a destroyed one."""
    row = SubjectKey.objects.filter(holder=holder, subject=subject).first()
    if row is None:
        key = secrets.token_bytes(KEY_BYTES)
        wrapped = _encrypt(_master_key(), key, _whose(holder, subject))
        # Two first entries about one subject may meet here; the one that comes second uses the first one's key.
        row, _ = SubjectKey.objects.get_or_create(
            holder=holder, subject=subject, defaults={"wrapped": wrapped, "created": clock.now()}
        )
    return _derive(_unwrap(row), entry)


def derived(purpose: str, value: bytes) -> bytes:
    """32 secret bytes that follow from the master key and `value` and are stored nowhere: a copy of the database alone
    does not give them."""
    return hmac.digest(_master_key(), purpose.encode() + b"\0" + value, hashlib.sha256)


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
    key = _derive(_unwrap(payload.key), entry.uuid)
    fields: Mapping[str, Any] = canonical.decode(_decrypt(key, bytes(payload.sealed), entry.uuid.bytes))
    return key, fields


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


def _unwrap(row: SubjectKey) -> bytes:
    if row.wrapped is None:
        raise Refused(Reason.ERASED)
    return _decrypt(_master_key(), bytes(row.wrapped), _whose(row.holder, row.subject))


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


def _master_key() -> bytes:
    try:
        key = read_private(_master_key_path())
    except FileNotFoundError as error:
        detail = "The master key is missing, and without it nothing private opens: `manage.py create_keys` makes one."
        raise Refused(Reason.KEYSTORE_UNSAFE, detail=detail) from error
    if len(key) != KEY_BYTES:
        raise Refused(Reason.KEYSTORE_UNSAFE, detail="The master key is 32 bytes long.")
    return key


def _master_key_path() -> Path:
    return Path(settings.KEYS_DIR) / "master.key"
