"""Which subjects' keys were destroyed, kept outside of the database: a backup of that does not know of later ones.

destroyed-keys.txt, in the coordinator's key folder, has a line for each: the fingerprint of the key, a hash of 32
random bytes, which says nothing of the person and opens nothing. It only grows. The database is where a destruction is
decided; whatever the list lacks of it, after a crash, is put there at the next opportunity.
"""

import hashlib
import os
import re
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from concordat.files import check_private, sync

_LINE = re.compile(r"^[0-9a-f]{64}$", re.MULTILINE)
_LABEL = b"concordat.subject-key.v1\0"


def fingerprint(key: bytes) -> str:
    """By which a subject's key is known after it is gone, 64 hexadecimal digits."""
    return hashlib.sha256(_LABEL + key).hexdigest()


def listed() -> frozenset[str]:
    """The fingerprints of all keys that are known to have been destroyed. Raises Refused(KEYSTORE_UNSAFE)."""
    try:
        status = _path().stat()
    except FileNotFoundError:
        return frozenset()
    check_private(status, _path())
    return _read(_path(), status.st_mtime_ns, status.st_size)


def add(fingerprints: Collection[str]) -> None:
    """Put these on the list; they are on the disk when this returns. Those that are there already are no harm."""
    new = sorted(set(fingerprints) - listed())
    if not new:
        return
    # One write at the end of the file: what another process adds at the same time stands before or behind it. It begins
    # on a line of its own, whatever a crash left of the last one.
    handle = os.open(_path(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, ("\n" + "".join(f"{each}\n" for each in new)).encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    sync(_path().parent)


@lru_cache(maxsize=2)
def _read(path: Path, changed: int, size: int) -> frozenset[str]:
    # A line that a crash cut short names no key; what it was to name, the database still knows.
    return frozenset(_LINE.findall(path.read_bytes()[:size].decode(errors="replace")))


def _path() -> Path:
    return Path(settings.KEYS_DIR) / "destroyed-keys.txt"
