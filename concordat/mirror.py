"""A copy of a log's entries in a folder, in the layout of C2SP tlog-tiles, so that other tools read it as well.

    checkpoint                            the signed head under which the entries were copied; written last
    tile/entries/<index>[.p/<width>]      the entries, 256 a file, each behind its length

Copying can be stopped anywhere and goes on from there. Nothing is kept that the head does not commit to: the roots of
all complete bundles (the log's tiles of level 1) must add up to the signed root, and each bundle to its own.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from concordat import merkle, tiles
from concordat.checkpoint import Checkpoint
from concordat.files import write_private
from concordat.merkle import HASH_BYTES
from concordat.reasons import Reason, Refused
from concordat.tiles import WIDTH, TilePath

CHECKPOINT = "checkpoint"

Get = Callable[[TilePath], bytes]
"""The bytes of a tile of the log that is copied. Raises Refused."""


def copy(folder: Path, get: Get, head: Checkpoint, note: str, *, size: int, progress: Callable[[int], object]) -> None:
    """Copy the log's first `size` entries, or what is still missing of them.

    Args:
        head: the log's head, which somebody else has verified, of at least `size` entries; `note` is its text.
        progress: told how many entries are there, after each bundle.

    Raises:
        Refused: LOG_DIVERGES for entries or hashes that the head does not commit to; what `get` refuses.
        OSError: for a folder that cannot be written to.
    """
    roots, rest = _roots(get, head)
    for index in range(-(-size // WIDTH)):
        path, expected = bundle_at(head.size, index), roots[index] if index < len(roots) else rest
        if not _is_there(folder, path, expected):
            data = get(path)
            if _root(data, path.width) != expected:
                raise _diverges(f"The bundle {path} holds other entries than the log's head says.")
            _write(folder / str(path), data)
        progress(min((index + 1) * WIDTH, size))
    write_private(folder / CHECKPOINT, note.encode(), replace=True)


def bundles(folder: Path, size: int) -> Iterator[list[bytes]]:
    """The first `size` entries, a bundle after the other; that they are the log's is for the reader to check.

    Raises:
        Refused: LOG_MISSING for a folder without entries; LOG_SHORT, naming the file that lacks or is cut short.
    """
    if not (folder / "tile" / "entries").is_dir():
        raise Refused(Reason.LOG_MISSING)
    for index in range(-(-size // WIDTH)):
        path = bundle_at(size, index)
        # A copy of a longer log has the whole bundle in the place of the partial one.
        files = [folder / str(each) for each in dict.fromkeys((TilePath(None, index), path))]
        files += sorted((folder / f"{TilePath(None, index)}.p").glob("[0-9]*"))
        for file in files:
            found = _entries(file)
            if len(found) >= path.width:
                yield found[: path.width]
                break
        else:
            detail = f"Of {size} entries, those from {index * WIDTH} on are missing ({path})."
            raise Refused(Reason.LOG_SHORT, detail=detail)


def bundle_at(size: int, index: int) -> TilePath:
    """The bundle of this index in a log of `size` entries."""
    return TilePath(None, index, tiles.width_at(size, 0, index))


def _roots(get: Get, head: Checkpoint) -> tuple[list[bytes], bytes]:
    """The root of each complete bundle, and that of the last one if it is not complete. They make up the head's."""
    complete, left = divmod(head.size, WIDTH)
    hashes = b"".join(
        get(TilePath(1, index, tiles.width_at(head.size, 1, index))) for index in range(-(-complete // WIDTH))
    )
    roots = [hashes[start : start + HASH_BYTES] for start in range(0, len(hashes), HASH_BYTES)]
    rest = merkle.root(_level0(get(TilePath(0, complete, left)))) if left else b""
    # A subtree's root stands for its leaves: what lies above is hashed in the same way (RFC 9162, 2.1.1).
    if len(roots) != complete or merkle.root([*roots, rest] if left else roots) != head.root:
        raise _diverges("The log's tiles do not add up to its signed head.")
    return roots, rest


def _level0(data: bytes) -> list[bytes]:
    return [data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES)]


def _is_there(folder: Path, path: TilePath, expected: bytes) -> bool:
    try:
        return _root((folder / str(path)).read_bytes(), path.width) == expected
    except OSError:
        return False


def _root(data: bytes, width: int) -> bytes | None:
    """The root of a bundle of so many entries, or None for something else."""
    try:
        found = tiles.entries(data)
    except ValueError:
        return None
    return merkle.root([merkle.leaf_hash(each) for each in found]) if len(found) == width else None


def _entries(file: Path) -> list[bytes]:
    """The file's entries; none if it is not there, or not whole."""
    try:
        return tiles.entries(file.read_bytes())
    except (OSError, ValueError):
        return []


def _write(file: Path, data: bytes) -> None:
    """Whole or not at all. It need not be on the disk yet: whoever goes on, or reads, hashes it again."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.new")
    new.write_bytes(data)
    new.replace(file)


def _diverges(detail: str) -> Refused:
    return Refused(Reason.LOG_DIVERGES, detail=detail)
