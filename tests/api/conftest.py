"""A small consortium, enrolled for real, and ways to call the API as one of its members."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from django.test import Client
from joserfc import jwt

from api.models import AccessToken
from api.oauth import token_url
from api.scopes import allowed
from compute.models import Job, ModelVersion
from concordat import clock
from concordat.enrolment import build_enrolment
from concordat.keystore import Keystore
from governance.models import Consent, Definition, Institution, ProtocolVersion, Study
from governance.services import institutions
from tests.support.approval import approve
from tests.support.consortium import DOMAIN, Consortium
from tests.support.coordinator import World
from tests.support.redis import redis_server

FORM = "application/x-www-form-urlencoded"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

ROLES = {
    "cleveland": ("party", "owner"),
    "budapest": ("party",),
    "zurich": ("party",),
    "long-beach": ("requester",),
    "mayo": ("requester",),
    "notary": ("dealer",),
}


DIGEST = "sha256:" + "0" * 64
SAMPLES = {
    "institution": "zurich",
    "study": "heart",
    "protocol": DIGEST,
    "attachment": str(UUID(int=7)),
    "model": DIGEST,
    "definition": DIGEST,
    "consent": str(UUID(int=1)),
    "subject": str(UUID(int=3)),
    "prediction": str(UUID(int=2)),
    "audit": str(UUID(int=5)),
    "training": str(UUID(int=6)),
    "job": str(UUID(int=2)),
    "webhook": str(UUID(int=4)),
    "index": "0",
    "record": "C-0000000-1",
    "path": "000",
}
JOB = SAMPLES["job"]


@pytest.fixture
def client() -> Client:
    """A browserless client on this machine: Authlib allows plain HTTP on loopback alone."""
    return Client(SERVER_NAME="localhost")


@pytest.fixture(scope="session")
def keystores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Keystore]:
    """Each member's keys."""
    folder = tmp_path_factory.mktemp("institutions")
    return {slug: Keystore(folder / slug).create() for slug in ROLES}


@pytest.fixture
def members(db: None, keystores: dict[str, Keystore]) -> dict[str, Institution]:
    """The members, enrolled."""
    return {
        slug: institutions.enrol(
            token=build_enrolment(
                keystores[slug],
                institution=slug,
                name=f"Hospital of {slug}",
                jurisdiction="CH",
                roles=list(roles),
                issued=clock.now(),
            )
        )
        for slug, roles in ROLES.items()
    }


@dataclass(frozen=True)
class Caller:
    """An institution's system with a token for every scope of its roles, or for those named."""

    client: Client
    headers: dict[str, str]

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(f"/api/v1/{path}", headers=self.headers | headers)

    def post(self, path: str, body: object, **headers: str) -> Any:
        return self.client.post(
            f"/api/v1/{path}", data=body, content_type="application/json", headers=self.headers | headers
        )

    def call(self, method: str, path: str) -> Any:
        return self.client.generic(
            method, f"/api/v1/{path}", b"{}", content_type="application/json", headers=self.headers
        )


@pytest.fixture
def signed_in(client: Client, members: dict[str, Institution]) -> Callable[..., Caller]:
    """`signed_in("zurich")`, `signed_in("zurich", scopes="ledger.read", seconds=-1)`."""

    def sign_in(slug: str, *, scopes: str | None = None, seconds: int = 300) -> Caller:
        token = uuid4().hex
        AccessToken.objects.issue(
            token,
            institution=members[slug],
            scopes=" ".join(allowed(ROLES[slug])) if scopes is None else scopes,
            expires=clock.now() + timedelta(seconds=seconds),
        )
        return Caller(client, {"Authorization": f"Bearer {token}"})

    return sign_in


@pytest.fixture
def assertion(keystores: dict[str, Keystore]) -> Callable[..., str]:
    """A client assertion of an institution; claims can be replaced, or left out with None."""

    def make(slug: str, *, key: Any = None, alg: str = "ES384", **claims: Any) -> str:
        now = int(time.time())
        usual = {"iss": slug, "sub": slug, "aud": token_url(), "iat": now, "exp": now + 240, "jti": str(uuid4())}
        content = {name: value for name, value in (usual | claims).items() if value is not None}
        key = key or keystores[slug].client
        return jwt.encode({"alg": alg, "kid": key.kid}, content, key, algorithms=[alg])

    return make


@pytest.fixture
def ask_token(client: Client, members: dict[str, Institution]) -> Callable[..., Any]:
    """The token endpoint's answer to an assertion."""

    def ask(assertion: str, scope: str = "ledger.read", **form: str) -> Any:
        usual = {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        return client.post("/api/v1/token", urlencode(usual | form), content_type=FORM)

    return ask


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory, _state: Path) -> Consortium:
    """The members' keys of `world`, which are the same for every test."""
    return Consortium(tmp_path_factory.mktemp("homes"), coordinator=Keystore(_state / "keys").identity)


@pytest.fixture
def make_world(
    db: None, settings: Any, tmp_path: Path, django_capture_on_commit_callbacks: Callable[..., Any]
) -> Iterator[Callable[[Consortium], World]]:
    """A consortium whose real services have come up to an approved definition and a consent, with a broker."""
    settings.CHAIN_ID, settings.REGISTRY_ADDRESS = DOMAIN.chain_id, DOMAIN.registry
    settings.ANCHOR_ADDRESS = DOMAIN.registry
    with redis_server(tmp_path) as settings.REDIS_URL:
        yield lambda consortium: World(consortium, partial(django_capture_on_commit_callbacks, execute=True))


@pytest.fixture
def world(make_world: Callable[[Consortium], World], founded: Consortium) -> World:
    return make_world(founded)


@pytest.fixture
def objects(members: dict[str, Institution]) -> Job:
    """One study of four sites, its model, definition and consent, and a job with a ticket. Not mayo's, any of it."""
    now = clock.now()
    study = Study.objects.create(slug="heart", title="Heart", institution=members["cleveland"], created=now)
    study.sites.set([members[slug] for slug in ("cleveland", "budapest", "zurich", "long-beach")])
    ProtocolVersion.objects.create(study=study, number=1, digest=DIGEST, base=DIGEST, content={}, submitted=now)
    approve(study, boards={site: [site] for site in study.sites.all()})
    model = ModelVersion.objects.create(
        digest=DIGEST, name="risk", version="1", owner=members["cleveland"], kind="linear", manifest="", imported=now
    )
    definition = Definition.objects.create(
        digest=DIGEST,
        study=study,
        content={
            "kind": "explain",
            "model": DIGEST,
            "parties": ["cleveland", "budapest"],
            "dealer": "notary",
            "requesters": ["long-beach"],
            "quorum": {"of": ["cleveland"], "needed": 1},
        },
        owner=members["cleveland"],
        valid_until=now + timedelta(days=1),
        registered=now,
    )
    Consent.objects.create(
        uuid=SAMPLES["consent"],
        subject=uuid4(),
        study=study,
        institution=members["long-beach"],
        purposes=["care"],
        given=now,
        until=now + timedelta(days=1),
        statement="",
    )
    audit(definition, model, members["long-beach"])
    training(definition, model, members["cleveland"])
    return _reserved(
        definition, model, members["long-beach"], uuid=SAMPLES["job"], idempotency_key="1", prediction_entry=7
    )


def audit(like: Definition, model: ModelVersion, requester: Institution) -> Job:
    """An audit of a model, reserved, under a definition that is otherwise the same."""
    definition = _of_kind("audit", like, "sha256:" + "5" * 64)
    return _reserved(definition, model, requester, uuid=SAMPLES["audit"], idempotency_key="2", prediction_entry=9)


def training(like: Definition, model: ModelVersion, owner: Institution) -> Job:
    """A training of a model, as :func:`audit`."""
    definition = _of_kind("train", like, "sha256:" + "6" * 64)
    return _reserved(definition, model, owner, uuid=SAMPLES["training"], idempotency_key="3", prediction_entry=11)


def _of_kind(kind: str, like: Definition, digest: str) -> Definition:
    return Definition.objects.create(
        digest=digest,
        study=like.study,
        content=like.content | {"kind": kind},
        owner=like.owner,
        valid_until=like.valid_until,
        registered=like.registered,
    )


def _reserved(definition: Definition, model: ModelVersion, requester: Institution, **fields: Any) -> Job:
    now = clock.now()
    return Job.objects.create(
        requester=requester,
        definition=definition,
        model=model,
        state="reserved",
        epoch=0,
        ticket="ticket",
        content=DIGEST,
        request_uuid=uuid4(),
        request_digest=definition.digest,
        created=now,
        updated=now,
        **fields,
    )
