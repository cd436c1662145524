"""Files for their owner alone: whole or not there at all, and refused where others may read them."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from concordat.reasons import Reason, Refused


@contextmanager
def about(file: Path | str) -> Iterator[None]:
    """What is refused in here says of which file it is."""
    try:
        yield
    except Refused as refused:
        more = refused.detail != refused.info.sentence
        detail = f"{file}: {refused.detail}" if more else f"The file is {file}."
        raise Refused(refused.reason, detail=detail, field=refused.field) from refused


def write_private(path: Path, data: bytes, *, replace: bool) -> None:
    """Write a file (mode 0600); it is on the disk when this returns.

    Raises:
        FileExistsError: unless `replace`, if the file is there already; it is then left as it is.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")  # 0600 from the start
    new = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            new.replace(path)
        else:
            path.hardlink_to(new)
    finally:
        new.unlink(missing_ok=True)
    sync(path.parent)


def read_private(path: Path) -> bytes:
    """A file's content. Raises Refused(KEYSTORE_UNSAFE) if others may read it, and FileNotFoundError."""
    with path.open("rb") as file:
        check_private(os.fstat(file.fileno()), path)
        return file.read()


def check_private(status: os.stat_result, path: Path) -> None:
    """Raises Refused(KEYSTORE_UNSAFE) unless the file or folder is ours and nobody else may reach it."""
    if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
        detail = f"“{path.name}” must belong to the user who runs this, and nobody else may read it."
        raise Refused(Reason.KEYSTORE_UNSAFE, detail=detail)


def sync(folder: Path) -> None:
    """What was renamed, linked or removed in this folder is on the disk when this returns."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def append_private(path: Path, data: bytes) -> None:
    """Append to a file (mode 0600), in one write; it is on the disk when this returns."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(handle, "wb", buffering=0) as file:
        file.write(data)
        os.fsync(file.fileno())
