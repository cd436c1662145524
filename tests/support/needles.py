"""Looking for secret numbers in bytes, in every form in which one could leak."""

import base64
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from concordat.ring import BITS

_PLACES = (4, 5, 6, 8)
_SMALLEST_FIXED = 1 << 13  # shorter ones are mostly zeros, which stand in every file


def forms(value: float) -> Iterator[bytes]:
    """`value` as decimal text, as IEEE double, and as fixed point; the binary ones also in hexadecimal and base64."""
    for places in _PLACES:
        yield f"{abs(value):.{places}f}".encode()
    yield repr(abs(value)).encode()
    fixed = round(value * (1 << BITS))
    binary = [struct.pack("<d", value), struct.pack(">d", value)]
    if abs(fixed) >= _SMALLEST_FIXED:
        binary += [struct.pack("<q", fixed), struct.pack(">q", fixed)]
    for data in binary:
        yield data
        yield data.hex().encode()
        for start in range(3):  # base64 has three alignments; the outer characters depend on the neighbours
            encoded = base64.urlsafe_b64encode(bytes(start) + data + bytes(2))
            yield encoded[4 if start else 0 : (len(data) + start) // 3 * 4]


def leaks(values: Iterable[float], places: Iterable[tuple[str, bytes]]) -> list[str]:
    """Where any of the values stands in any of its forms; the answer names the place, not the value."""
    needles = [(number, form) for number, value in enumerate(values) for form in set(forms(value)) if len(form) >= 6]
    return [
        f"{name}: value {number} as {form[:4]!r}…" for name, data in places for number, form in needles if form in data
    ]


def files(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below the folders, by name."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield str(path), path.read_bytes()
