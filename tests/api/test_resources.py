"""What single resources promise beyond who may call them."""

import base64
import uuid
from collections.abc import Callable

import pytest

from api.views import base
from compute.models import Job
from concordat import merkle
from concordat.canonical import unb64
from concordat.enrolment import verify_enrolment
from governance.models import Institution
from ledger.services.publish import publish
from tests.api.conftest import ROLES, Caller


def test_institutions_come_with_the_enrolment_to_pin(signed_in: Callable[..., Caller]) -> None:
    found = signed_in("mayo").get("institutions").json()["items"]
    assert {each["institution"] for each in found} == set(ROLES)
    for each in found:
        assert verify_enrolment(each["enrolment"]).institution == each["institution"]


def test_a_list_goes_on_where_its_link_leads_until_there_is_none(
    signed_in: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "PAGE", 4)
    caller = signed_in("mayo")
    first = caller.get("institutions").json()
    second = caller.get(first["next"].removeprefix("/api/v1/")).json()
    assert [len(page["items"]) for page in (first, second)] == [4, len(ROLES) - 4]
    assert second["next"] == ""
    assert [each["institution"] for each in first["items"] + second["items"]] == list(reversed(ROLES))


@pytest.mark.parametrize("path", ["institutions?after=atlantis", "studies?after=x", "models?after=x"])
def test_a_list_does_not_go_on_behind_what_is_not_in_it(signed_in: Callable[..., Caller], path: str) -> None:
    assert signed_in("mayo").get(path).json()["type"] == "urn:concordat:reason:not-found"


def test_nobody_publishes_another_institutions_roster(signed_in: Callable[..., Caller]) -> None:
    header, payload = "e30", "eyJpbnN0aXR1dGlvbiI6Im1heW8ifQ"  # {"institution": "mayo"}
    answer = signed_in("zurich").post("rosters", {"roster": f"{header}.{payload}."})
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:concordat:reason:wrong-institution")


@pytest.mark.parametrize("key", ["", "x" * 65, "schlüssel"])
def test_a_prediction_needs_a_sound_idempotency_key(signed_in: Callable[..., Caller], key: str) -> None:
    headers = {"Idempotency-Key": key} if key else {}
    answer = signed_in("long-beach").post("predictions", {"request": "x", "sealed": {}}, **headers)
    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")
    assert not Job.objects.exists()


class TestLedger:
    """Proofs that anybody can check with the published algorithm alone."""

    @pytest.fixture
    def caller(self, members: dict[str, Institution], signed_in: Callable[..., Caller]) -> Caller:
        publish()
        return signed_in("zurich")

    def test_before_the_first_head(self, signed_in: Callable[..., Caller]) -> None:
        assert signed_in("zurich").get("ledger/checkpoint").status_code == 404

    def test_entries_are_included(self, caller: Caller) -> None:
        head = caller.get("ledger/checkpoint").json()
        root = _root(head["note"])
        for index in range(head["size"]):
            entry = caller.get(f"ledger/entries/{index}").json()
            proof = caller.get(f"ledger/inclusion?index={index}&size={head['size']}").json()["proof"]
            leaf = merkle.leaf_hash(unb64(entry["leaf"]))
            assert merkle.verify_inclusion(leaf, index, head["size"], [unb64(each) for each in proof], root)

    def test_a_head_extends_an_earlier_one(self, caller: Caller) -> None:
        head = caller.get("ledger/checkpoint").json()
        assert caller.get(f"ledger/consistency?first=1&second={head['size']}").json()["proof"]

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ("inclusion", 422),
            ("inclusion?index=0", 422),
            ("inclusion?index=-1&size=2", 422),
            ("inclusion?index=x&size=2", 422),
            ("inclusion?index=0&size=99", 404),
            ("inclusion?index=7&size=2", 404),
            ("inclusion?index=0&size=9999999999999999999", 422),
            ("consistency?first=0&second=2", 404),
            ("entries/99", 404),
        ],
    )
    def test_what_cannot_be_proved(self, caller: Caller, query: str, status: int) -> None:
        assert caller.get(f"ledger/{query}").status_code == status


def test_an_unknown_dossier_is_not_found_and_a_mistyped_number_is_named(signed_in: Callable[..., Caller]) -> None:
    caller = signed_in("zurich")
    assert caller.get("dossiers/C-0000042-3").json()["type"] == "urn:concordat:reason:not-found"
    assert caller.get("dossiers/C-0000042-4").json()["type"] == "urn:concordat:reason:record-number-invalid"


def test_identifiers_outside_are_uuids(signed_in: Callable[..., Caller]) -> None:
    assert signed_in("long-beach").get(f"predictions/{uuid.uuid4()}").status_code == 404
    assert signed_in("long-beach").get("predictions/1").status_code == 404


def _root(note: str) -> bytes:
    return base64.b64decode(note.splitlines()[2])
