"""A node witnesses over the interface: it is told what it needs, and its cosignature appears under the head."""

from collections.abc import Callable

import pytest
from django.test import Client

from concordat import clock, cosignature, note, witness
from concordat.keystore import Keystore
from governance.models import Institution
from ledger.services.publish import publish
from tests.api.conftest import Caller
from tests.api.test_access import check_problem

ORIGIN = "localhost/concordat"


@pytest.fixture
def head(members: dict[str, Institution]) -> int:
    published = publish()
    assert published is not None
    return published.size


def signed(caller: Caller, key: Keystore, slug: str) -> dict[str, object]:
    call = witness.read(caller.get("node/checkpoint?old=0").json()["call"])
    body = note.parse(call.note).text
    line = cosignature.cosign(body, key.identity, cosignature.name_of(ORIGIN, slug), clock.now())
    return {"size": int(body.split("\n")[1]), "cosignature": line}


def test_a_node_s_cosignature_appears_under_the_head_for_everyone(
    client: Client, head: int, signed_in: Callable[..., Caller], keystores: dict[str, Keystore]
) -> None:
    caller = signed_in("zurich")
    answer = caller.post("node/cosignature", signed(caller, keystores["zurich"], "zurich"))
    assert (answer.status_code, answer.json()["size"], answer.json()["witness"]) == (201, head, "zurich")
    served = client.get("/api/v1/log/checkpoint").content.decode()
    assert f"— {ORIGIN}/witnesses/zurich " in served
    listed = signed_in("mayo").get("ledger/checkpoint").json()
    assert listed["note"] == served
    assert (listed["cosigned"], listed["needed"]) == (["zurich"], 3)
    assert listed["witnesses"] == ["budapest", "cleveland", "notary", "zurich"]


def test_another_node_s_cosignature_is_refused(
    head: int, signed_in: Callable[..., Caller], keystores: dict[str, Keystore]
) -> None:
    said = signed(signed_in("zurich"), keystores["zurich"], "zurich")
    check_problem(signed_in("notary").post("node/cosignature", said), 403, "key-unknown")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"size": 4711}, 404, "not-found"),
        ({"size": 0}, 422, "field-invalid"),
        ({"cosignature": "nonsense"}, 409, "checkpoint-invalid"),
        ({"more": 1}, 422, "field-unknown"),
    ],
)
def test_what_is_no_cosignature_of_a_head_is_refused(
    head: int,
    signed_in: Callable[..., Caller],
    keystores: dict[str, Keystore],
    changes: dict[str, object],
    status: int,
    code: str,
) -> None:
    caller = signed_in("zurich")
    said = signed(caller, keystores["zurich"], "zurich") | changes
    check_problem(caller.post("node/cosignature", said), status, code)


@pytest.mark.parametrize(("query", "code"), [("", "field-missing"), ("?old=-1", "field-invalid")])
def test_a_node_says_where_it_stands(head: int, signed_in: Callable[..., Caller], query: str, code: str) -> None:
    check_problem(signed_in("zurich").get(f"node/checkpoint{query}"), 422, code)


def test_whoever_has_no_node_is_not_asked(head: int, signed_in: Callable[..., Caller]) -> None:
    check_problem(signed_in("mayo").get("node/checkpoint?old=0"), 403, "role-missing")
