"""Looking for secret numbers in bytes, in every form in which one could leak."""

import base64
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from concordat.ring import BITS

_PLACES = (4, 5, 6, 8)
_EVERYWHERE = (0.0, 1.0)
_TEXT = re.compile(rb"[0-9][0-9.e+-]*")


def forms(value: float) -> Iterator[bytes]:
    """One number as decimal text and as IEEE double."""
    if value not in _EVERYWHERE:
        texts = (f"{abs(value):.{places}f}" for places in _PLACES)
        yield from (text.encode() for text in texts if float(text))  # 0.0000 stands for no number
        yield repr(abs(value)).encode()
        yield from spellings(struct.pack("<d", value))
        yield from spellings(struct.pack(">d", value))


def fixed_forms(pair: tuple[float, float]) -> Iterator[bytes]:
    """Two neighbours of a vector in fixed point. One alone is mostly zero bytes, which stand in every file."""
    numbers = [round(value * (1 << BITS)) for value in pair]
    if all(numbers):
        yield from spellings(struct.pack("<qq", *numbers))
        yield from spellings(struct.pack(">qq", *numbers))


def spellings(data: bytes) -> Iterator[bytes]:
    """Bytes as they are, in hexadecimal, and in base64 at each of its three alignments."""
    yield data
    yield data.hex().encode()
    for start in range(3):  # the outer characters depend on the neighbours and are left out
        encoded = base64.urlsafe_b64encode(bytes(start) + data + bytes(2))
        yield encoded[4 if start else 0 : (len(data) + start) // 3 * 4]


def leaks(vectors: Iterable[Sequence[float]], places: Iterable[tuple[str, bytes]]) -> list[str]:
    """Where any number of any vector stands in any of its forms; the answer names the place, not the number."""
    needles = {form for vector in vectors for value in vector for form in forms(value)}
    needles |= {form for vector in vectors for pair in pairwise(vector) for form in fixed_forms(pair)}
    found = [(name, needle) for name, data in places for needle in sorted(needles) if _stands_in(needle, data)]
    return [f"{name}: {len(needle)} bytes that begin with {needle[:4]!r}" for name, needle in found]


def _stands_in(needle: bytes, data: bytes) -> bool:
    """A number's text counts where a number begins: a clock's 1763890010.7321 is no leaked 0.7321."""
    if needle not in data or not _TEXT.fullmatch(needle):
        return needle in data
    return re.search(rb"(?<![0-9])" + re.escape(needle), data) is not None


def files(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below the folders, by name; not the web site's public static files, which are full of numbers."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "static" not in path.relative_to(folder).parts:
                yield str(path), path.read_bytes()
