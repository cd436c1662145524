"""Who may call what: every endpoint, every way of not being allowed."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from api.scopes import BY_ROLE, SCOPES, Scope, allowed
from compute.models import Job, ModelVersion
from concordat import clock, record_number
from governance import selectors
from governance.models import DefinitionVote, Institution
from ledger.models import ChainTransaction
from tests.api.conftest import DIGEST, JOB, ROLES, SAMPLES, Caller

PUBLIC = frozenset(
    {
        "/api/v1/.well-known/smart-configuration",
        "/api/v1/token",
        "/api/v1/key-changes",
        "/api/v1/log/checkpoint",
        "/api/v1/log/tile/{level}/{path}",
    }
)
"""What needs no token: sign-in and how it is done, what an offline key signs, and the log's heads and hashes."""


def endpoints() -> list[tuple[str, str, str]]:
    """(method, path, scope) of every operation that needs a token, read from the schema itself."""
    schema = SchemaGenerator().get_schema(request=None, public=True)
    return [
        (method.upper(), path.removeprefix("/api/v1/").format(**SAMPLES), operation["security"][0]["machine"][0])
        for path, item in schema["paths"].items()
        for method, operation in item.items()
        if path not in PUBLIC
    ]


ENDPOINTS = endpoints()


def check_problem(answer: Any, status: int, code: str) -> dict[str, str]:
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, str] = json.loads(answer.content)
    assert set(body) == {"type", "title", "status", "detail", "field", "remedy", "instance"}
    assert body["type"] == f"urn:concordat:reason:{code}"
    assert body["status"] == status
    return body


def test_the_table_covers_the_interface() -> None:
    assert len(ENDPOINTS) >= 60
    assert {scope for _, _, scope in ENDPOINTS} == set(Scope)


@pytest.mark.parametrize(("method", "path", "scope"), ENDPOINTS)
class TestEveryEndpoint:
    """Each row of the table."""

    def test_without_a_token(self, client: Client, db: None, method: str, path: str, scope: str) -> None:
        answer = Caller(client, {}).call(method, path)
        check_problem(answer, 401, "sign-in-required")
        assert answer["WWW-Authenticate"].startswith("Bearer")

    def test_with_a_token_that_nobody_issued(
        self, client: Client, db: None, method: str, path: str, scope: str
    ) -> None:
        answer = Caller(client, {"Authorization": "Bearer guessed"}).call(method, path)
        check_problem(answer, 401, "sign-in-required")

    def test_with_an_expired_token(self, signed_in: Callable[..., Caller], method: str, path: str, scope: str) -> None:
        check_problem(
            signed_in("zurich", scopes=" ".join(Scope), seconds=-1).call(method, path), 401, "sign-in-required"
        )

    def test_with_every_scope_but_the_one(
        self, signed_in: Callable[..., Caller], method: str, path: str, scope: str
    ) -> None:
        others = " ".join(each for each in Scope if each != scope)
        missing = "scope-missing" if scope in allowed(ROLES["zurich"]) else "role-missing"
        body = check_problem(signed_in("zurich", scopes=others).call(method, path), 403, missing)
        assert body["field"] == scope

    def test_with_a_method_that_it_does_not_have(
        self, signed_in: Callable[..., Caller], method: str, path: str, scope: str
    ) -> None:
        its_own = {each for each, same, _ in ENDPOINTS if same == path}
        for other in {"PUT", "PATCH", "DELETE", "OPTIONS"} - its_own:
            answer = signed_in("zurich", scopes=" ".join(Scope)).call(other, path)
            check_problem(answer, 405, "method-not-allowed")
            assert method in answer["Allow"]


def test_basic_authentication_is_no_way_in(client: Client, db: None) -> None:
    answer = client.get("/api/v1/institutions", headers={"Authorization": "Basic enVyaWNoOnp1cmljaA=="})
    check_problem(answer, 401, "sign-in-required")


def test_a_session_of_the_admin_site_is_no_way_in(admin_client: Client) -> None:
    check_problem(admin_client.get("/api/v1/institutions"), 401, "sign-in-required")


def test_every_scope_is_described_and_open_to_some_role() -> None:
    assert set(SCOPES) == set(Scope) == frozenset().union(*BY_ROLE.values())


def test_only_nodes_are_nodes_and_only_requesters_ask() -> None:
    assert [role for role, scopes in BY_ROLE.items() if Scope.NODE in scopes] == ["party", "dealer"]
    assert [role for role, scopes in BY_ROLE.items() if Scope.PREDICTIONS_WRITE in scopes] == ["requester"]


OTHERS = [
    ("mayo", "GET", "studies/heart"),
    ("mayo", "GET", "studies/heart/submissions"),
    ("mayo", "GET", f"studies/heart/protocols/{SAMPLES['protocol']}"),
    ("mayo", "GET", f"studies/heart/attachments/{SAMPLES['attachment']}"),
    ("mayo", "GET", f"definitions/{DIGEST}"),
    ("mayo", "GET", f"definitions/{DIGEST}/votes"),
    ("mayo", "GET", f"consents/{SAMPLES['consent']}"),
    ("mayo", "POST", f"consents/{SAMPLES['consent']}/withdraw"),
    ("mayo", "POST", f"consents/{SAMPLES['consent']}/capacity"),
    ("mayo", "GET", f"predictions/{JOB}"),
    ("mayo", "POST", f"predictions/{JOB}/cancel"),
    ("mayo", "GET", f"predictions/{JOB}/result"),
    ("mayo", "POST", f"predictions/{JOB}/display"),
    ("mayo", "GET", f"predictions/{JOB}/packages"),
    ("mayo", "POST", f"predictions/{JOB}/packages"),
    ("mayo", "POST", f"predictions/{JOB}/alarm"),
    ("mayo", "GET", f"audits/{SAMPLES['audit']}"),
    ("mayo", "POST", f"audits/{SAMPLES['audit']}/cancel"),
    ("mayo", "GET", f"audits/{SAMPLES['audit']}/result"),
    ("long-beach", "GET", f"trainings/{SAMPLES['training']}"),
    ("long-beach", "POST", f"trainings/{SAMPLES['training']}/cancel"),
    ("long-beach", "GET", f"trainings/{SAMPLES['training']}/result"),
    ("long-beach", "GET", f"audits/{JOB}"),
    ("long-beach", "GET", f"predictions/{SAMPLES['audit']}"),
    ("mayo", "GET", f"dossiers/{record_number.format(7)}"),
    ("zurich", "GET", f"dossiers/{record_number.format(7)}"),
    ("zurich", "GET", f"node/jobs/{JOB}"),
    ("zurich", "POST", f"node/jobs/{JOB}/answer"),
    ("zurich", "POST", f"node/jobs/{JOB}/result"),
    ("zurich", "GET", f"node/jobs/{JOB}/alarm"),
    ("zurich", "POST", f"node/jobs/{JOB}/testimony"),
]


@pytest.mark.parametrize(("slug", "method", "path"), OTHERS)
def test_another_institutions_objects_look_as_if_they_were_not_there(
    objects: Job, signed_in: Callable[..., Caller], slug: str, method: str, path: str
) -> None:
    missing = path.replace(JOB, str(uuid.uuid4())).replace(DIGEST, "sha256:" + "1" * 64).replace("heart", "liver")
    for sample in (SAMPLES["consent"], SAMPLES["audit"], SAMPLES["training"]):
        missing = missing.replace(sample, str(uuid.uuid4()))
    missing = missing.replace(*map(record_number.format, (7, 8)))
    caller = signed_in(slug, scopes=" ".join(Scope))
    theirs = check_problem(caller.call(method, path), 404, "not-found")
    nobodys = check_problem(caller.call(method, missing), 404, "not-found")
    assert theirs | {"instance": ""} == nobodys | {"instance": ""}


def test_the_requester_itself_sees_its_prediction(objects: Job, signed_in: Callable[..., Caller]) -> None:
    assert signed_in("long-beach").get(f"predictions/{JOB}").json()["state"] == "reserved"


def test_lists_hold_the_institutions_own_only(objects: Job, signed_in: Callable[..., Caller]) -> None:
    assert signed_in("mayo").get("predictions").json() == {"items": [], "next": ""}
    assert signed_in("mayo").get("audits").json() == {"items": [], "next": ""}
    assert signed_in("mayo").get("studies").json() == {"items": [], "next": ""}
    assert signed_in("mayo").get("definitions").json() == {"items": [], "next": ""}
    assert signed_in("mayo").get("consents").json() == {"items": [], "next": ""}
    assert [each["prediction"] for each in signed_in("long-beach").get("predictions").json()["items"]] == [JOB]
    assert [each["job"] for each in signed_in("long-beach").get("audits").json()["items"]] == [SAMPLES["audit"]]


def test_a_list_does_not_say_whether_anothers_item_exists(objects: Job, signed_in: Callable[..., Caller]) -> None:
    theirs = check_problem(signed_in("mayo").get(f"predictions?after={JOB}"), 404, "not-found")
    nobodys = check_problem(signed_in("mayo").get(f"predictions?after={uuid.uuid4()}"), 404, "not-found")
    assert theirs | {"instance": ""} == nobodys | {"instance": ""}
    assert signed_in("long-beach").get(f"predictions?after={JOB}").json() == {"items": [], "next": ""}
    assert check_problem(signed_in("long-beach").get("predictions?after=1"), 404, "not-found")["field"] == "after"


def test_after_a_vote_that_the_contract_refused_its_nonce_is_to_be_used_again(
    objects: Job, members: dict[str, Institution], signed_in: Callable[..., Caller]
) -> None:
    address = selectors.chain_addresses(["cleveland"])["cleveland"]
    sent = ChainTransaction.objects.create(kind="vote", created=clock.now())
    DefinitionVote.objects.create(
        definition=objects.definition,
        institution=members["cleveland"],
        approve=True,
        address=address,
        nonce=0,
        deadline=1,
        signature="0x",
        transaction=sent,
        received=clock.now(),
    )
    path = f"definitions/{DIGEST}/votes"
    assert signed_in("cleveland").get(path).json()["next_nonce"] == 1
    ChainTransaction.objects.update(state="failed")
    answer = signed_in("cleveland").get(path).json()
    assert (answer["next_nonce"], answer["on_chain"]) == (0, [])


def test_nobody_votes_for_another_institution(objects: Job, signed_in: Callable[..., Caller]) -> None:
    vote = {
        "definition": DIGEST,
        "approve": True,
        "institution": "budapest",
        "address": "0x" + "1" * 40,
        "nonce": 0,
        "deadline": 0,
        "signature": "0x",
    }
    check_problem(signed_in("cleveland").post(f"definitions/{DIGEST}/votes", vote), 403, "wrong-institution")


def test_a_models_weights_are_disclosed_by_its_owner_alone(
    objects: Job, members: dict[str, Institution], signed_in: Callable[..., Caller]
) -> None:
    ModelVersion.objects.update(owner=members["budapest"])
    answer = signed_in("cleveland").post(f"models/{DIGEST}/disclosure", {"disclosure": "…"})
    check_problem(answer, 404, "not-found")


@pytest.mark.parametrize(("method", "path"), [("GET", "testimonies"), ("POST", "finding")])
def test_another_owners_false_canaries_look_as_if_they_were_not_there(
    objects: Job, members: dict[str, Institution], signed_in: Callable[..., Caller], method: str, path: str
) -> None:
    ModelVersion.objects.update(owner=members["budapest"])
    theirs = check_problem(signed_in("cleveland").call(method, f"predictions/{JOB}/{path}"), 404, "not-found")
    other = f"predictions/{uuid.uuid4()}/{path}"
    nobodys = check_problem(signed_in("cleveland").call(method, other), 404, "not-found")
    assert theirs | {"instance": ""} == nobodys | {"instance": ""}


def test_a_models_canaries_are_sealed_by_its_owner_alone(
    objects: Job, members: dict[str, Institution], signed_in: Callable[..., Caller]
) -> None:
    canaries = {"design": DIGEST, "target": "log-odds", "sealed": {"long-beach": "…"}}
    answer = signed_in("cleveland").post(f"models/{DIGEST}/canaries", canaries)
    assert (answer.status_code, answer.json()["requesters"]) == (201, ["long-beach"])
    wrong = canaries | {"sealed": {"zurich": "…"}}
    check_problem(signed_in("cleveland").post(f"models/{DIGEST}/canaries", wrong), 403, "role-missing")
    wrong = canaries | {"target": "odds"}
    check_problem(signed_in("cleveland").post(f"models/{DIGEST}/canaries", wrong), 422, "field-invalid")
    ModelVersion.objects.update(owner=members["budapest"])
    check_problem(signed_in("cleveland").post(f"models/{DIGEST}/canaries", canaries), 404, "not-found")
