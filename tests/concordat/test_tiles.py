"""Paths and bundles of C2SP tlog-tiles."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat import tiles
from concordat.reasons import Reason, Refused
from concordat.tiles import TilePath

LEVELS = st.none() | st.integers(0, 63)


def unbundled(data):
    """The entries of a bundle, read as the specification words it."""
    entries = []
    while data:
        (length,) = struct.unpack_from(">H", data)
        assert len(data) >= 2 + length
        entries.append(data[2 : 2 + length])
        data = data[2 + length :]
    return entries


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (TilePath(0, 0), "tile/0/000"),
        (TilePath(0, 1234067), "tile/0/x001/x234/067"),  # the specification's example
        (TilePath(2, 999), "tile/2/999"),
        (TilePath(2, 1000), "tile/2/x001/000"),
        (TilePath(63, 0, 1), "tile/63/000.p/1"),
        (TilePath(1, 273, 112), "tile/1/273.p/112"),
        (TilePath(None, 0), "tile/entries/000"),
        (TilePath(None, 1234067, 255), "tile/entries/x001/x234/067.p/255"),
    ],
)
def test_a_tile_has_this_path(tile, path):
    assert str(tile) == path
    assert TilePath.parse(path) == tile


@given(LEVELS, st.integers(0, 10**18 - 1), st.integers(1, 256))
def test_every_tile_has_one_path_and_is_found_by_it(level, index, width):
    tile = TilePath(level, index, width)
    assert TilePath.parse(str(tile)) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/000/",
        "/tile/0/000",
        "tile/00/000",
        "tile/01/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/000.p/0",
        "tile/0/000.p/00",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/٠٠٠",
        "tile/data/000",
        "tile/entries/0",
        "tile/entries/x000/001",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
    ],
)
def test_no_other_path_names_a_tile(path):
    with pytest.raises(Refused) as caught:
        TilePath.parse(path)
    assert caught.value.reason is Reason.NOT_FOUND


@given(st.text("0123x/.pentris", max_size=24))
def test_a_path_is_refused_or_is_the_one_of_its_tile(text):
    try:
        tile = TilePath.parse(f"tile/{text}")
    except Refused:
        return
    assert str(tile) == f"tile/{text}"


def test_the_tiles_of_a_tree_of_70_000_are_those_of_the_specification():
    def there(level):
        found = [tiles.width_at(70_000, level, index) for index in range(300)]
        return [width for width in found if width]

    assert there(0) == [256] * 273 + [112]
    assert there(1) == [256, 17]
    assert there(2) == [1]
    assert there(3) == []
    assert (tiles.width_at(256, 0, 0), tiles.width_at(256, 1, 0)) == (256, 1)


@given(st.integers(0, 2**50), st.integers(0, 7))
def test_a_partial_tile_is_as_wide_as_the_specification_s_formula(size, level):
    last = (size // 256**level) // 256
    assert tiles.width_at(size, level, last) == size // 256**level % 256


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_a_bundle_reads_back(entries):
    assert unbundled(tiles.bundle(entries)) == entries


def test_the_longest_entry_fits_and_a_longer_one_does_not():
    longest = bytes(tiles.LARGEST_ENTRY)
    assert unbundled(tiles.bundle([longest, b"", b"x"])) == [longest, b"", b"x"]
    with pytest.raises(ValueError, match="65,535"):
        tiles.bundle([longest + b"x"])
