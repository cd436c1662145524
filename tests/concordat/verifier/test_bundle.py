"""The outer form of a dossier: nothing that is packed in another way is believed, or costs more than it weighs."""

import struct
import tracemalloc
import zlib

import pytest

from concordat.reasons import Reason, Refused
from concordat.verifier import bundle

FILES = {"about.json": b"{}", "documents/" + "0" * 64: b"x" * 1000, "entries/0000001.json": b""}


def header(name: bytes, crc: int, packed: int, size: int) -> bytes:
    """That of a stored file, which stands before its content (APPNOTE.TXT, 4.3.7)."""
    return struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 33, crc, packed, size, len(name), 0) + name


def listed(name: bytes, crc: int, packed: int, size: int, offset: int) -> bytes:
    """Its place in the list at the end (4.3.12)."""
    numbers = (0x314, 20, 0, 0, 0, 33, crc, packed, size, len(name), 0, 0, 0, 0, 0o644 << 16, offset)
    return struct.pack("<4s6H3I5H2I", b"PK\1\2", *numbers) + name


def zipped(body: bytes, central: list[bytes]) -> bytes:
    listing = b"".join(central)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(central), len(central), len(listing), len(body), 0)
    return body + listing + end


def inside_one_another(count: int, size: int, *, claimed: int | None = None) -> bytes:
    """Every file's content is all the files after it; `claimed` is what the list says of each one's size."""
    body, found = b"\0" * size, []
    for number in reversed(range(count)):
        name, crc = b"documents/%064x" % number, zlib.crc32(body)
        found.append((name, crc, len(body)))
        body = header(name, crc, len(body), len(body)) + body
    central = [
        listed(name, crc, inner, inner if claimed is None else claimed, len(body) - inner - 30 - len(name))
        for name, crc, inner in reversed(found)
    ]
    return zipped(body, central)


def test_what_is_written_is_unpacked() -> None:
    assert bundle.unpack(bundle.write(FILES)) == FILES


@pytest.mark.parametrize("claimed", [None, 0, 1])
def test_files_inside_one_another_are_refused_before_they_are_many(claimed: int | None) -> None:
    data = inside_one_another(100, 200_000, claimed=claimed)
    tracemalloc.start()
    try:
        with pytest.raises(Refused, match=f"^{Reason.BUNDLE_ALTERED}:.*packed in another way"):
            bundle.unpack(data)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(data)
    finally:
        tracemalloc.stop()


def test_files_that_share_their_content_are_refused() -> None:
    """However small: what is there twice in the list is not there twice in the bundle."""
    names = [b"documents/%064x" % number for number in range(2)]
    crc = zlib.crc32(b"x")
    body = header(names[0], crc, 1, 1) + b"x"
    both = [listed(name, crc, 1, 1, 0) for name in names]
    with pytest.raises(Refused, match=f"^{Reason.BUNDLE_ALTERED}:"):
        bundle.unpack(zipped(body, both))
