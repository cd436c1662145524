"""A small consortium, enrolled for real, and ways to call the API as one of its members."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
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
    "model": DIGEST,
    "definition": DIGEST,
    "consent": str(UUID(int=1)),
    "subject": str(UUID(int=3)),
    "prediction": str(UUID(int=2)),
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
        return client.post("/api/v1/token", data=usual | form)

    return ask


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
    return Job.objects.create(
        uuid=SAMPLES["job"],
        requester=members["long-beach"],
        request_uuid=uuid4(),
        request_digest=DIGEST,
        idempotency_key="1",
        content=DIGEST,
        definition=definition,
        model=model,
        state="reserved",
        prediction_entry=7,
        epoch=0,
        ticket="ticket",
        created=now,
        updated=now,
    )
