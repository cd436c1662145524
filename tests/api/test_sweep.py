"""Every operation of the schema, against everybody who must not get through: generated, so that none is forgotten."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from api.models import Webhook
from api.scopes import BY_ROLE, Scope
from compute.models import Alarm, Job
from concordat import clock, record_number
from concordat.events import Event
from concordat.key_change import build_change
from concordat.keystore import Keystore
from governance import selectors
from governance.models import Attachment, Institution
from ledger.services.record import record
from tests.api.conftest import ROLES, SAMPLES, Caller
from tests.api.test_access import ENDPOINTS, PUBLIC, check_problem

SCHEMA = SchemaGenerator().get_schema(request=None, public=True)
OPERATIONS = [
    (method.upper(), path, operation) for path, item in SCHEMA["paths"].items() for method, operation in item.items()
]
MISSING = SAMPLES | {
    "study": "liver",
    "protocol": "sha256:" + "1" * 64,
    "model": "sha256:" + "1" * 64,
    "definition": "sha256:" + "1" * 64,
    **{name: str(UUID(int=9)) for name in ("attachment", "consent", "subject", "prediction", "audit", "training")},
    **{name: str(UUID(int=9)) for name in ("job", "webhook")},
    "record": record_number.format(8),
}
THERE = SAMPLES | {"record": record_number.format(7)}

READ_BY_ALL = {
    "/api/v1/institutions/{institution}": "everybody compares everybody's keys",
    "/api/v1/models/{model}": "a manifest names no secret; its shares are not shown",
    "/api/v1/models/{model}/card": "a card is written for everybody",
    "/api/v1/ledger/entries/{index}": "every institution may read all of the log",
    "/api/v1/log/tile/entries/{path}": "the same log, by the bundle",
    "/api/v1/log/tile/{level}/{path}": "hashes alone, for everybody",
}
"""What everybody reads, and why. Whatever else has a name in its path is looked for among the caller's own."""

WRITES = {f"/api/v1/models/{{model}}/{verb}" for verb in ("canaries", "card", "disclosure", "recall")}
"""Below an object of `READ_BY_ALL`, and for its owner alone."""

VOTE = {"approve": True, "institution": "mayo", "address": "0x", "nonce": 0, "deadline": 0, "signature": "0x"}
FILE = {
    "kind": "charter",
    "institution": "mayo",
    "name": "a.pdf",
    "media_type": "application/pdf",
    "content": "JVBERi0",
}
BODIES: dict[str, Callable[[dict[str, str]], dict[str, Any]]] = {
    "/api/v1/definitions/{definition}/votes": lambda names: VOTE | {"definition": names["definition"]},
    "/api/v1/studies/{study}/attachments": lambda _: FILE,
    "/api/v1/subjects/{subject}/erase": lambda _: {"ground": "objection"},
}
"""What the body must be before anybody looks for the object: then its refusal comes first, whatever is there."""

OWNED = [
    (method, path)
    for method, path, operation in OPERATIONS
    if any(each["in"] == "path" for each in operation.get("parameters", []))
    and not (method == "GET" and path in READ_BY_ALL)
]

IN_A_URL = {
    "path": {*SAMPLES, "level"},
    "query": {
        *("after", "state", "definition", "record", "study", "institution", "event"),
        *("since", "until", "asked", "index", "size", "first", "second", "old"),
        *("kind", "model", "name", "owner", "role"),
    },
}
"""Names that may stand in an address, which proxies and browsers write down: of institutions and what they do, of
studies, of models, of digests, of entries, of days; and random pseudonyms. None says anything about a person."""


class TestWhoHasNoRole:
    """A token covers what the roles of the institution include, whatever was asked for."""

    @pytest.mark.parametrize(
        ("method", "path", "scope", "role"),
        [(*each, role) for each in ENDPOINTS for role, scopes in BY_ROLE.items() if each[2] not in scopes],
    )
    def test_gets_no_further(
        self,
        client: Client,
        members: dict[str, Institution],
        ask_token: Callable[..., Any],
        assertion: Callable[..., str],
        method: str,
        path: str,
        scope: str,
        role: str,
    ) -> None:
        Institution.objects.filter(slug="mayo").update(roles=[role])
        answer = ask_token(assertion("mayo"), scope=f"{scope} ledger.read").json()
        assert answer["scope"] == "ledger.read"
        caller = Caller(client, {"Authorization": f"Bearer {answer['access_token']}"})
        assert check_problem(caller.call(method, path), 403, "role-missing")["field"] == scope


@pytest.mark.parametrize(("method", "path", "scope"), ENDPOINTS)
class TestSignInThatCounts:
    """What bought a token once, or a token that counted once."""

    def test_a_replayed_assertion_opens_nothing(
        self,
        client: Client,
        ask_token: Callable[..., Any],
        assertion: Callable[..., str],
        method: str,
        path: str,
        scope: str,
    ) -> None:
        once = assertion(_somebody_with(scope))
        assert ask_token(once, scope=scope).json()["scope"] == scope
        again = ask_token(once, scope=scope)
        check_problem(Caller(client, _bearer(again)).call(method, path), 401, "sign-in-required")

    def test_a_token_ends_with_the_key_that_bought_it(
        self,
        client: Client,
        members: dict[str, Institution],
        keystores: dict[str, Keystore],
        ask_token: Callable[..., Any],
        assertion: Callable[..., str],
        method: str,
        path: str,
        scope: str,
    ) -> None:
        slug = _somebody_with(scope)
        caller = Caller(client, _bearer(ask_token(assertion(slug), scope=scope)))
        assert caller.call(method, path).status_code not in {401, 403}
        change = build_change(
            selectors.key_history(members[slug]),
            kind="client",
            key=None,
            ground="compromise",
            issued=clock.now(),
            offline=keystores[slug].offline,
        )
        handed_in = client.post("/api/v1/key-changes", {"change": change}, content_type="application/json")
        assert handed_in.status_code == 201
        check_problem(caller.call(method, path), 401, "sign-in-required")


@pytest.fixture
def everything(objects: Job) -> None:
    """Something behind every sample name; none of it is mayo's."""
    Webhook.objects.create(
        uuid=SAMPLES["webhook"],
        institution=objects.requester,
        url="https://a.example/",
        events=[],
        cursor=0,
        created=clock.now(),
    )
    Alarm.objects.create(job=objects, document="", received=clock.now())
    Attachment.objects.create(
        uuid=SAMPLES["attachment"],
        study=objects.definition.study,
        kind="charter",
        name="charter.pdf",
        media_type="application/pdf",
        digest=SAMPLES["model"],
        content=b"%PDF-1.7",
        added=clock.now(),
    )
    with transaction.atomic():
        record(
            event=Event.CONSENT_GIVEN,
            public={"study": "heart", "institution": "long-beach", "consent": SAMPLES["consent"]},
            private={"subject": SAMPLES["subject"], "statement": "signed"},
            subject=UUID(SAMPLES["subject"]),
        )


@pytest.mark.parametrize(("method", "path"), OWNED)
def test_a_strangers_object_cannot_be_told_from_none(
    everything: None, signed_in: Callable[..., Caller], method: str, path: str
) -> None:
    stranger = signed_in("mayo", scopes=" ".join(Scope))

    def call(names: dict[str, str]) -> dict[str, str]:
        given = BODIES.get(path, lambda _: {})(names)
        answer = stranger.client.generic(
            method, path.format(**names), json.dumps(given), content_type="application/json", headers=stranger.headers
        )
        return check_problem(answer, 404, "not-found") | {"instance": ""}

    assert call(THERE) == call(MISSING)


EMPTY_HERE = {"/api/v1/dossiers/{record}", "/api/v1/predictions/{prediction}/packages"}
"""What only a decision that was really computed has: tests/e2e fetches both."""


@pytest.mark.parametrize(("method", "path"), [each for each in OWNED if each[0] == "GET" and each[1] not in EMPTY_HERE])
def test_whose_it_is_finds_it(everything: None, signed_in: Callable[..., Caller], method: str, path: str) -> None:
    """Or the test above would say nothing: what nobody finds looks like what is not there."""
    callers = [signed_in(slug, scopes=" ".join(Scope)) for slug in ("long-beach", "cleveland", "zurich")]
    answers = [
        caller.client.get(path.format(**THERE), headers=caller.headers, content_type="application/json")
        for caller in callers
    ]
    assert any(answer.status_code != 404 for answer in answers)


def test_every_operation_is_public_or_needs_a_scope_and_owned_or_read_by_all() -> None:
    needing = {(method, path) for method, path, operation in OPERATIONS if operation.get("security")}
    assert {path for method, path, _ in OPERATIONS if (method, path) not in needing} == PUBLIC
    assert len(ENDPOINTS) == len(needing)
    assert READ_BY_ALL.keys() | PUBLIC <= SCHEMA["paths"].keys()
    assert {path for _, path in OWNED} >= WRITES


def test_an_address_holds_nothing_about_a_person() -> None:
    for method, path, operation in OPERATIONS:
        for each in operation.get("parameters", []):
            if each["in"] in IN_A_URL:
                assert each["name"] in IN_A_URL[each["in"]], f"{method} {path} has {each['name']} in its address"


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in OPERATIONS])
def test_no_page_of_another_site_gets_in(client: Client, db: None, method: str, path: str) -> None:
    """A browser asks before it sends a token or JSON to another origin, and nothing here says yes (Fetch standard)."""
    asks = {
        "Origin": "https://elsewhere.example",
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    url = path.format(**SAMPLES, level="0")
    for answer in (
        client.options(url, headers=asks),
        client.generic(method, url, b"{}", content_type="application/json", headers={"Origin": asks["Origin"]}),
    ):
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    assert client.options(url, headers=asks).status_code in {401, 405}


def _somebody_with(scope: str) -> str:
    return next(slug for slug, roles in ROLES.items() if any(scope in BY_ROLE[role] for role in roles))


def _bearer(answer: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json().get('access_token', uuid4().hex)}"}
