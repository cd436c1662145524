"""The master keys, under which subjects' keys are wrapped: files of 32 bytes in the coordinator's key folder.

    master.key                            the one in force
    master.next.key                       its successor, while keys are re-wrapped; new ones go under it already
    master.until-20270131T120000Z.key     one that was replaced; until then it opens what older backups hold

Which one a key is wrapped under, nothing says: AES-GCM opens with the right one only.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings

from concordat.files import read_private, sync, write_private
from concordat.reasons import Reason, Refused

KEY_BYTES, ID_BYTES = 32, 4

_UNTIL = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Replaced:
    """A master key that was replaced, and until when it is kept."""

    path: Path
    until: datetime

    @property
    def key(self) -> bytes:
        return _read(self.path)


def create() -> None:
    """Make the first one, into a key folder that is there; one that exists is left as it is."""
    with suppress(FileExistsError):  # another process may have come first: its key counts
        write_private(in_force(), secrets.token_bytes(KEY_BYTES), replace=False)


def current() -> bytes:
    """The key in force. Raises Refused(KEYSTORE_UNSAFE)."""
    try:
        return _read(in_force())
    except FileNotFoundError as error:
        detail = "The master key is missing, and without it nothing private opens: `manage.py create_keys` makes one."
        raise Refused(Reason.KEYSTORE_UNSAFE, detail=detail) from error


def newest() -> bytes:
    """The key to wrap under. Raises Refused(KEYSTORE_UNSAFE)."""
    return successor() or current()


def successor() -> bytes | None:
    """The key to which a change is under way, if one is."""
    try:
        return _read(_next())
    except FileNotFoundError:
        return None


def each() -> Iterator[bytes]:
    """Every key, the newest first. Raises Refused(KEYSTORE_UNSAFE)."""
    # In this order: while the files change places, the one that is read first is either here or in force by then.
    following = successor()
    if following is not None:
        yield following
    yield current()
    yield from (each.key for each in replaced())


def named(key_id: bytes) -> bytes:
    """The key with this id. Raises Refused(KEYSTORE_UNSAFE) without it."""
    for key in each():
        if hmac.compare_digest(id_of(key), key_id):
            return key
    raise Refused(Reason.KEYSTORE_UNSAFE, detail="The master key that this needs is not in the key folder.")


def id_of(key: bytes) -> bytes:
    """A name for a key that says nothing of it, 4 bytes."""
    return hmac.digest(key, b"concordat.master-key-id.v1", hashlib.sha256)[:ID_BYTES]


def begin() -> None:
    """Make the successor, unless one is there."""
    with suppress(FileExistsError):
        write_private(_next(), secrets.token_bytes(KEY_BYTES), replace=False)


def promote(until: datetime) -> None:
    """Put the successor in force, and keep the other one until then. Repeatable wherever it is interrupted."""
    if not _next().exists():
        return
    while (kept := _kept(until)).exists() and _read(kept) != current():  # another one, of the same second
        until += timedelta(seconds=1)
    with suppress(FileExistsError):
        kept.hardlink_to(in_force())
    sync(kept.parent)
    _next().replace(in_force())
    sync(kept.parent)


def replaced() -> list[Replaced]:
    """The keys that were replaced and are still kept, the latest first."""
    found = []
    for path in in_force().parent.glob("master.until-*.key"):
        until = datetime.strptime(path.name.split("-", 1)[1].removesuffix(".key"), _UNTIL).replace(tzinfo=UTC)
        found.append(Replaced(path, until))
    return sorted(found, key=lambda each: each.until, reverse=True)


def destroy(kept: Replaced) -> None:
    """Remove a key that was replaced."""
    kept.path.unlink(missing_ok=True)
    sync(kept.path.parent)


def in_force() -> Path:
    """Where the key in force is kept."""
    return Path(settings.KEYS_DIR) / "master.key"


def _kept(until: datetime) -> Path:
    return in_force().with_name(f"master.until-{until.astimezone(UTC).strftime(_UNTIL)}.key")


def _next() -> Path:
    return in_force().with_name("master.next.key")


def _read(path: Path) -> bytes:
    key = read_private(path)
    if len(key) != KEY_BYTES:
        raise Refused(Reason.KEYSTORE_UNSAFE, detail="A master key is 32 bytes long.")
    return key
