"""The log as a stranger reads it: with nothing but the C2SP specification, from the heads and tiles that are served."""

import base64
import hashlib
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from concordat.events import Event
from governance.models import Institution
from ledger.models import LogEntry
from ledger.services.publish import publish
from ledger.services.record import Draft, record_all
from tests.api.conftest import Caller
from tests.api.test_access import check_problem

SIZE = 600


@pytest.fixture
def log(members: dict[str, Institution]) -> int:
    """The members' enrolments and more, published."""
    with transaction.atomic():
        missing = SIZE - LogEntry.objects.count()
        record_all([Draft(event=Event.DOSSIER_READ, public={"role": f"entry {i}"}) for i in range(missing)])
    publish()
    return SIZE


def tile_path(index: int, width: int) -> str:
    """The specification's example: 1234067 is x001/x234/067."""
    assert index < 1000
    return f"{index:03d}" + (f".p/{width}" if width < 256 else "")


class Reader:
    """Recomputes the root from level 0 alone, and compares every higher tile with it."""

    def __init__(self, get: Callable[[str], bytes], size: int) -> None:
        self.get, self.size = get, size

    def level(self, level: int) -> list[bytes]:
        count = self.size // 256**level
        found: list[bytes] = []
        for index in range(-(-count // 256)):
            width = min(256, count - 256 * index)
            tile = self.get(f"tile/{level}/{tile_path(index, width)}")
            assert len(tile) == 32 * width
            found += [tile[32 * place : 32 * (place + 1)] for place in range(width)]
        return found

    def entries(self) -> Iterator[bytes]:
        for index in range(-(-self.size // 256)):
            data = self.get(f"tile/entries/{tile_path(index, min(256, self.size - 256 * index))}")
            while data:
                (length,) = struct.unpack_from(">H", data)
                yield data[2 : 2 + length]
                data = data[2 + length :]


def tree_head(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, of leaf hashes."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + tree_head(leaves[:split]) + tree_head(leaves[split:])).digest()


def public(client: Client) -> Callable[[str], Any]:
    return lambda path: client.get(f"/api/v1/log/{path}")


def test_a_stranger_recomputes_the_signed_root_without_a_token(client: Client, log: int) -> None:
    get = public(client)
    origin, size, root, _, signed = get("checkpoint").content.decode().split("\n")[:5]
    assert (origin, int(size)) == ("localhost/concordat", log)
    assert signed.startswith(f"— {origin} ")
    reader = Reader(lambda path: get(path).content, log)
    leaves = reader.level(0)
    assert base64.b64encode(tree_head(leaves)).decode() == root
    assert reader.level(1) == [tree_head(leaves[:256]), tree_head(leaves[256:512])]


def test_an_institution_reads_the_entries_and_each_hashes_to_its_leaf(
    client: Client, signed_in: Callable[..., Caller], log: int
) -> None:
    caller = signed_in("zurich")
    reader = Reader(lambda path: caller.get(f"log/{path}").content, log)
    entries = list(reader.entries())
    assert [hashlib.sha256(b"\0" + entry).digest() for entry in entries] == reader.level(0)
    assert len(entries) == log


def test_what_is_served_has_the_specification_s_types_and_may_be_kept(
    client: Client, signed_in: Callable[..., Caller], log: int
) -> None:
    head, tile = public(client)("checkpoint"), public(client)("tile/0/000")
    bundle = signed_in("zurich").get("log/tile/entries/000")
    assert (head["Content-Type"], head["Cache-Control"]) == ("text/plain; charset=utf-8", "no-cache")
    assert tile["Content-Type"] == bundle["Content-Type"] == "application/octet-stream"
    assert (tile["Cache-Control"], bundle["Cache-Control"]) == (
        "public, max-age=31536000, immutable",
        "private, max-age=31536000, immutable",
    )


@pytest.mark.parametrize("accept", ["", "application/octet-stream", "text/plain", "*/*"])
def test_a_reader_need_not_say_what_it_accepts(client: Client, log: int, accept: str) -> None:
    assert client.get("/api/v1/log/tile/0/000", headers={"Accept": accept}).status_code == 200
    assert client.get("/api/v1/log/checkpoint", headers={"Accept": accept}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/002",  # is partial still
        "tile/0/003",
        "tile/0/002.p/89",
        "tile/1/000",
        "tile/1/000.p/3",
        "tile/2/000.p/1",
        "tile/63/000",
        "tile/64/000",
        "tile/0/0",
        "tile/0/x000/000",
        "tile/0/000.p/256",
        "tile/0/x999/x999/x999/x999/x999/999",
        "tile/00/000",
        "tile/other/000",
    ],
)
def test_no_other_tile_is_there(client: Client, log: int, path: str) -> None:
    check_problem(public(client)(path), 404, "not-found")


def test_a_partial_tile_is_there_for_every_head_before(client: Client, log: int) -> None:
    whole = public(client)("tile/0/002.p/88").content
    for width in (1, 40, 88):
        assert public(client)(f"tile/0/002.p/{width}").content == whole[: 32 * width]


def test_entries_that_are_not_published_are_not_served(signed_in: Callable[..., Caller], log: int) -> None:
    with transaction.atomic():
        record_all([Draft(event=Event.DOSSIER_READ, public={"role": "later"})])
    check_problem(signed_in("zurich").get("log/tile/entries/002.p/89"), 404, "not-found")
    assert signed_in("zurich").get("log/tile/entries/002.p/88").status_code == 200


def test_entries_are_for_institutions(client: Client, log: int) -> None:
    check_problem(public(client)("tile/entries/000"), 401, "sign-in-required")


def test_before_the_first_head_there_is_nothing(client: Client, db: None) -> None:
    for path in ("checkpoint", "tile/0/000", "tile/0/000.p/1"):
        check_problem(public(client)(path), 404, "not-found")


def test_a_stranger_that_asks_too_much_waits(client: Client, log: int, settings: Any) -> None:
    settings.CALLS_A_MINUTE = settings.CALLS_A_MINUTE | {"tiles": 2}
    assert [public(client)("tile/0/000").status_code for _ in range(3)] == [200, 200, 429]


def test_a_wrong_method_is_refused(client: Client, log: int) -> None:
    check_problem(client.post("/api/v1/log/checkpoint"), 405, "method-not-allowed")
