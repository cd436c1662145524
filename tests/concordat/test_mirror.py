"""A copy of a log in a folder: whole, only what the head commits to, and wherever it was stopped it goes on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from concordat import merkle, mirror, tiles
from concordat.checkpoint import Checkpoint
from concordat.reasons import Reason, Refused
from concordat.tiles import TilePath

LEAVES = [b'{"n":%d}' % number for number in range(70_000)]
HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES]
ROOTS = [merkle.root(HASHES[start : start + 256]) for start in range(0, len(HASHES) - 255, 256)]
SIZES = [0, 1, 2, 255, 256, 257, 512, 700, 65_536, 65_537, 70_000]


class Log:
    """A log of so many entries, as it serves its tiles; it counts what it was asked for."""

    def __init__(self, size: int, leaves: list[bytes] = LEAVES) -> None:
        self.size, self.leaves = size, leaves
        self.asked: list[str] = []

    @property
    def head(self) -> Checkpoint:
        return Checkpoint("log", self.size, merkle.root(HASHES[: self.size]))

    def get(self, path: TilePath) -> bytes:
        self.asked.append(str(path))
        start, stop = path.index * 256, path.index * 256 + path.width
        assert stop <= self.size >> 8 * (path.level or 0)
        if path.level is None:
            return tiles.bundle(self.leaves[start:stop])
        return b"".join((HASHES if path.level == 0 else ROOTS)[start:stop])

    def copy(self, folder: Path, size: int | None = None, get: Callable[[TilePath], bytes] | None = None) -> list[int]:
        told: list[int] = []
        wanted = self.size if size is None else size
        mirror.copy(folder, get or self.get, self.head, "the note", size=wanted, progress=told.append)
        return told


def read(folder: Path, size: int) -> list[bytes]:
    return [leaf for bundle in mirror.bundles(folder, size) for leaf in bundle]


def refusal(reason: Reason) -> pytest.RaisesExc[Refused]:
    return pytest.raises(Refused, match=f"^{reason}:")


@pytest.mark.parametrize("size", SIZES)
def test_it_has_every_entry_in_the_layout_of_the_specification(tmp_path: Path, size: int) -> None:
    log = Log(size)
    told = log.copy(tmp_path)
    assert read(tmp_path, size) == LEAVES[:size] if size else not (tmp_path / "tile").exists()
    assert (tmp_path / "checkpoint").read_text() == "the note"
    assert told == [min(done, size) for done in range(256, size + 256, 256)]
    files = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    expected = {str(mirror.bundle_at(size, index)) for index in range(-(-size // 256))}
    assert files == {"checkpoint", *expected}
    assert all(TilePath.parse(path).level is None for path in expected)


def test_a_shorter_head_s_entries_are_read_from_a_longer_copy_and_none_of_a_longer_one(tmp_path: Path) -> None:
    Log(700).copy(tmp_path)
    for size in (1, 256, 300, 512, 600, 700):
        assert read(tmp_path, size) == LEAVES[:size]
    for size in (701, 768, 1000):
        with refusal(Reason.LOG_SHORT):
            read(tmp_path, size)


def test_only_the_first_entries_are_copied_if_no_more_are_wanted(tmp_path: Path) -> None:
    log = Log(70_000)
    log.copy(tmp_path, 300)
    assert read(tmp_path, 300) == LEAVES[:300]
    assert [path for path in log.asked if "entries" in path] == ["tile/entries/000", "tile/entries/001"]


def test_it_goes_on_where_it_was_stopped_and_asks_for_nothing_twice(tmp_path: Path) -> None:
    log = Log(1000)

    class Killed(BaseException):
        pass

    def once(path: TilePath) -> bytes:
        if str(path) == "tile/entries/002":
            raise Killed
        return log.get(path)

    with pytest.raises(Killed):
        log.copy(tmp_path, get=once)
    assert not (tmp_path / "checkpoint").exists()
    (tmp_path / "tile/entries/.002.new").write_bytes(b"half of it")
    again = Log(1000)
    again.copy(tmp_path)
    assert [path for path in again.asked if "entries" in path] == ["tile/entries/002", "tile/entries/003.p/232"]
    assert read(tmp_path, 1000) == LEAVES[:1000]


def test_what_has_come_since_is_fetched_and_nothing_else(tmp_path: Path) -> None:
    Log(300).copy(tmp_path)
    later = Log(600)
    later.copy(tmp_path)
    assert [path for path in later.asked if "entries" in path] == ["tile/entries/001", "tile/entries/002.p/88"]
    assert read(tmp_path, 600) == LEAVES[:600]
    assert read(tmp_path, 300) == LEAVES[:300]


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:-1] + b"?"])
def test_a_file_that_was_damaged_since_is_fetched_again(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    Log(600).copy(tmp_path)
    file = tmp_path / "tile/entries/001"
    file.write_bytes(damage(file.read_bytes()))
    again = Log(600)
    again.copy(tmp_path)
    assert [path for path in again.asked if "entries" in path] == ["tile/entries/001"]
    assert read(tmp_path, 600) == LEAVES[:600]


CHANGES = st.sampled_from(["altered", "left out", "doubled", "swapped", "longer"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(2, 700), CHANGES, st.data())
def test_nothing_is_kept_that_the_head_does_not_commit_to(
    tmp_path_factory: pytest.TempPathFactory, size: int, change: str, data: st.DataObject
) -> None:
    place, leaves = data.draw(st.integers(0, size - 2)), LEAVES[: size + 1]
    match change:
        case "altered":
            leaves[place] = leaves[place] + b" "
        case "left out":
            del leaves[place]
        case "doubled":
            leaves.insert(place, leaves[place])
        case "swapped":
            leaves[place], leaves[place + 1] = leaves[place + 1], leaves[place]
        case "longer":
            leaves[place] += leaves.pop(place + 1)
    folder = tmp_path_factory.mktemp("copy")
    with refusal(Reason.LOG_DIVERGES):
        Log(size, leaves).copy(folder)
    index = place // 256
    assert not (folder / str(mirror.bundle_at(size, index))).exists()
    assert not (folder / "checkpoint").exists()


def test_tiles_of_another_log_are_refused_before_any_entry_is_asked_for(tmp_path: Path) -> None:
    log, other = Log(700), Checkpoint("log", 700, merkle.root(HASHES[1:701]))
    with refusal(Reason.LOG_DIVERGES):
        mirror.copy(tmp_path, log.get, other, "", size=700, progress=lambda done: None)
    assert not any("entries" in path for path in log.asked)


def test_what_is_no_copy_or_not_whole_says_so(tmp_path: Path) -> None:
    with refusal(Reason.LOG_MISSING):
        read(tmp_path, 1)
    with refusal(Reason.LOG_MISSING):
        read(tmp_path / "nowhere", 1)
    Log(700).copy(tmp_path)
    (tmp_path / "tile/entries/001").unlink()
    with refusal(Reason.LOG_SHORT) as caught:
        read(tmp_path, 700)
    assert "from 256 on" in caught.value.detail
    with refusal(Reason.LOG_SHORT):
        read(tmp_path, 300)
    assert read(tmp_path, 256) == LEAVES[:256]


def test_a_bundle_is_read_as_it_was_written() -> None:
    for entries in ([], [b""], [b"", b"x" * 65_535, b"y"]):
        assert tiles.entries(tiles.bundle(entries)) == entries
    for cut in (b"\0", b"\0\1", b"\0\2x", tiles.bundle([b"abc"])[:-1]):
        with pytest.raises(ValueError, match="ends with an entry"):
            tiles.entries(cut)


@given(st.integers(0, 1200), st.sampled_from([1, 2, 64, 256]))
def test_a_tree_that_grows_has_the_root_of_all_its_leaves(size: int, run: int) -> None:
    tree = merkle.Growing()
    for start in range(0, size, run):
        tree.add(HASHES[start : min(start + run, size)])
    assert (tree.size, tree.root) == (size, merkle.root(HASHES[:size]))


@pytest.mark.parametrize("runs", [[3, 3], [3, 1], [256, 3, 1], [1, 256], [0]])
def test_runs_that_do_not_lie_where_subtrees_do_are_refused(runs: list[int]) -> None:
    tree, (*before, last) = merkle.Growing(), runs
    for run in before:
        tree.add(HASHES[:run])
    with pytest.raises(ValueError, match="run of hashes"):
        tree.add(HASHES[:last])
