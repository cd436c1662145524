"""The log as files that anyone can fetch: paths and entry bundles of https://c2sp.org/tlog-tiles.

    tile/<level>/<index>[.p/<width>]      hashes, 32 bytes each, of complete subtrees of 256^level entries
    tile/entries/<index>[.p/<width>]      the entries themselves, each behind its length (uint16, big-endian)

An index is written in groups of three digits, all but the last behind an `x`: 1234067 is `x001/x234/067`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from concordat.reasons import Reason, Refused

HEIGHT = 8
WIDTH = 1 << HEIGHT
HIGHEST_LEVEL = 63
LARGEST_ENTRY = 2**16 - 1
"""Bytes: what a length of 16 bits can say."""

_PATH = re.compile(
    r"(?:(?P<level>0|[1-9][0-9]?)|entries)/"
    r"(?P<index>(?:x[0-9]{3}/){0,5}[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True)
class TilePath:
    """One tile: `level` is None for a bundle of entries; `width` is below 256 for a partial one."""

    level: int | None
    index: int
    width: int = WIDTH

    def __str__(self) -> str:
        kind = "entries" if self.level is None else str(self.level)
        partial = f".p/{self.width}" if self.width < WIDTH else ""
        return f"tile/{kind}/{_digits(self.index)}{partial}"

    @classmethod
    def parse(cls, path: str) -> "TilePath":
        """The tile at a path, which has one only. Raises Refused(NOT_FOUND) for any other."""
        kind, _, rest = path.partition("/")
        found = _PATH.fullmatch(rest) if kind == "tile" else None
        if found is not None:
            tile = cls(
                None if found["level"] is None else int(found["level"]),
                int(re.sub("[x/]", "", found["index"])),
                int(found["width"] or WIDTH),
            )
            # Refuses what has leading zeros, a width of 256 or more, or a level above the highest.
            if str(tile) == path and (tile.level or 0) <= HIGHEST_LEVEL:
                return tile
        raise Refused(Reason.NOT_FOUND, detail="No tile has this path.", field="path")


def width_at(size: int, level: int, index: int) -> int:
    """How many hashes the tile has in a tree of `size` entries: 256 for a full one, 0 for one that is not there."""
    return min(max((size >> HEIGHT * level) - index * WIDTH, 0), WIDTH)


def bundle(entries: Iterable[bytes]) -> bytes:
    """An entry bundle. Raises ValueError for an entry beyond 65,535 bytes."""
    parts = []
    for entry in entries:
        if len(entry) > LARGEST_ENTRY:
            raise ValueError("an entry of a bundle has at most 65,535 bytes")
        parts.append(len(entry).to_bytes(2, "big") + entry)
    return b"".join(parts)


def entries(data: bytes) -> list[bytes]:
    """The entries of a bundle. Raises ValueError for one that ends in the middle of an entry."""
    found, place = [], 0
    while place < len(data):
        start = place + 2
        place = start + int.from_bytes(data[place:start], "big")
        found.append(data[start:place])
    if place != len(data):
        raise ValueError("a bundle ends with an entry")
    return found


def _digits(index: int) -> str:
    text = str(index)
    text = text.zfill(-(-len(text) // 3) * 3)
    groups = [text[start : start + 3] for start in range(0, len(text), 3)]
    return "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
