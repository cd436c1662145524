"""Every POST says what it does when it comes twice, since the first answer was lost; and does that."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.test import Client

from api.models import AccessToken
from api.openapi import Repeated
from api.scopes import Scope
from compute.models import Job
from concordat import canonical, clock
from concordat.enrolment import build_roster
from concordat.key_change import build_change
from concordat.keystore import Keystore
from governance import selectors
from governance.models import Consent
from tests.api.conftest import Caller
from tests.api.test_sweep import OPERATIONS
from tests.support.consortium import DOMAIN, OWNER, REQUESTER, SCHEMA, Consortium
from tests.support.coordinator import World
from tests.support.redis import redis_server

POSTS = {path: operation for method, path, operation in OPERATIONS if method == "POST"}

NOT_HERE = {
    "/api/v1/consents/{consent}/capacity",
    "/api/v1/studies",
    "/api/v1/models/{model}/disclosure",
    "/api/v1/predictions/{prediction}/alarm",
    "/api/v1/predictions/{prediction}/display",
    "/api/v1/predictions/{prediction}/finding",
    "/api/v1/predictions/{prediction}/packages",
    "/api/v1/node/cosignature",
    "/api/v1/node/jobs/{job}/testimony",
    "/api/v1/token",
}
"""What needs a longer story to be accepted once. Their services' own tests tell it."""


def said(path: str) -> Repeated:
    return next(each for each in Repeated if POSTS[path]["description"].endswith(each.value))


@pytest.fixture
def world(
    db: None,
    settings: Any,
    _state: Path,
    tmp_path: Path,
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> Iterator[World]:
    settings.CHAIN_ID, settings.REGISTRY_ADDRESS = DOMAIN.chain_id, DOMAIN.registry
    settings.ANCHOR_ADDRESS = DOMAIN.registry
    with redis_server(tmp_path) as settings.REDIS_URL:
        consortium = Consortium(tmp_path / "homes", coordinator=Keystore(_state / "keys").identity)
        yield World(consortium, partial(django_capture_on_commit_callbacks, execute=True))


def consent(world: World) -> tuple[str, dict[str, Any]]:
    return REQUESTER, {"consent": world.consortium.give_consent()}


def withdrawal(world: World) -> tuple[str, dict[str, Any]]:
    return REQUESTER, {"withdrawal": world.consortium.withdrawal()}


def definition(world: World) -> tuple[str, dict[str, Any]]:
    content = world.consortium.new_definition()
    return OWNER, {"definition": content, "schema": SCHEMA, "design": world.consortium.design}


def vote(world: World) -> tuple[str, dict[str, Any]]:
    return OWNER, world.consortium.vote(OWNER, approve=False, nonce=1)


def model(world: World) -> tuple[str, dict[str, Any]]:
    manifest, sealed = world.consortium.published
    return OWNER, {"manifest": manifest, "sealed": sealed}


def canaries(world: World) -> tuple[str, dict[str, Any]]:
    return OWNER, {"design": world.definition.content["design"], "target": "log-odds", "sealed": {REQUESTER: "…"}}


def prediction(world: World) -> tuple[str, dict[str, Any]]:
    prepared = world.consortium.prepare()
    return REQUESTER, {"request": prepared.token, "sealed": dict(prepared.sealed)}


def erasure(world: World) -> tuple[str, dict[str, Any]]:
    return REQUESTER, {"ground": "objection"}


def nothing(world: World) -> tuple[str, dict[str, Any]]:
    return REQUESTER, {}


def key_change(world: World) -> tuple[str, dict[str, Any]]:
    home = world.consortium.homes[REQUESTER]
    change = build_change(
        selectors.key_history(world.bodies[REQUESTER]),
        kind="client",
        key={"jwks_url": "https://hospital.example/jwks.json"},
        ground="rotation",
        issued=clock.now(),
        offline=home.keys.offline,
    )
    return REQUESTER, {"change": change}


def roster(world: World) -> tuple[str, dict[str, Any]]:
    offline = world.consortium.homes[REQUESTER].keys.offline
    made = build_roster(offline, institution=REQUESTER, version=99, officers=[], issued=clock.now())
    return REQUESTER, {"roster": made}


def attachment(world: World) -> tuple[str, dict[str, Any]]:
    pdf = canonical.b64(b"%PDF-1.4\n%%EOF\n")
    file = {"kind": "charter", "institution": "", "name": "charter.pdf", "media_type": "application/pdf"}
    return world.study.institution.slug, {**file, "content": pdf}


def acceptance(world: World) -> tuple[str, dict[str, Any]]:
    return OWNER, {"answer": world.acceptance(world.dispatched(_job()), OWNER)}


def result(world: World) -> tuple[str, dict[str, Any]]:
    return OWNER, {"receipt": world.receipt(world.computing(_job()), OWNER), "sealed": "sealed"}


def status(world: World) -> tuple[str, dict[str, Any]]:
    return OWNER, {"software": "1", "policy": "", "busy": False, "clock": clock.rfc3339(clock.now())}


def webhook(world: World) -> tuple[str, dict[str, Any]]:
    return REQUESTER, {"url": "https://hospital.example/", "events": ["key.changed"]}


MADE: dict[str, Callable[[World], tuple[str, dict[str, Any]]]] = {
    "/api/v1/consents": consent,
    "/api/v1/consents/{consent}/withdraw": withdrawal,
    "/api/v1/definitions": definition,
    "/api/v1/definitions/{definition}/votes": vote,
    "/api/v1/models": model,
    "/api/v1/models/{model}/canaries": canaries,
    "/api/v1/predictions": prediction,
    "/api/v1/predictions/{prediction}/cancel": nothing,
    "/api/v1/subjects/{subject}/erase": erasure,
    "/api/v1/key-changes": key_change,
    "/api/v1/rosters": roster,
    "/api/v1/studies/{study}/attachments": attachment,
    "/api/v1/node/jobs/{job}/answer": acceptance,
    "/api/v1/node/jobs/{job}/result": result,
    "/api/v1/node/status": status,
    "/api/v1/webhooks": webhook,
}


def _job() -> Job:
    return Job.objects.get()


def test_every_post_says_what_a_repetition_does() -> None:
    assert {said(path) for path in POSTS} == set(Repeated)
    assert MADE.keys() | NOT_HERE == POSTS.keys()
    assert not MADE.keys() & NOT_HERE


def test_only_what_asks_for_a_key_has_one() -> None:
    for path, operation in POSTS.items():
        keyed = any(each["name"] == "Idempotency-Key" and each["required"] for each in operation.get("parameters", []))
        assert keyed is (said(path) is Repeated.KEY), path


@pytest.mark.parametrize("path", MADE)
def test_the_same_again_changes_nothing(world: World, client: Client, path: str) -> None:
    if "{prediction}" in path or "{job}" in path:
        world.ask()
    slug, body = MADE[path](world)
    job = Job.objects.first()
    names = {
        "consent": str(Consent.objects.order_by("pk").first().uuid),
        "subject": world.consortium.subject,
        "definition": world.definition.digest,
        "model": world.model.digest,
        "study": world.study.slug,
        "prediction": str(job.uuid) if job else "",
        "job": str(job.uuid) if job else "",
    }
    token = uuid4().hex
    until = clock.now() + timedelta(minutes=5)
    caller = Caller(client, {"Authorization": f"Bearer {token}", "Idempotency-Key": "one"})

    def send() -> Any:
        AccessToken.objects.all().delete()  # which a change of the client key ends
        AccessToken.objects.issue(token, institution=world.bodies[slug], scopes=" ".join(Scope), expires=until)
        return caller.post(path.removeprefix("/api/v1/").format(**names), body)

    first = send()
    assert first.status_code in {200, 201, 202}, first.content
    before = rows()
    second = send()
    assert rows() == before
    match said(path):
        case Repeated.SAME | Repeated.KEY:
            assert (second.status_code, second.json()) == (first.status_code, first.json())
        case Repeated.REFUSED:
            assert second.status_code == 410
        case Repeated.ANEW:
            assert second.status_code == first.status_code


def rows() -> dict[str, int]:
    """How many there are of everything but tokens and counted calls."""
    models = [
        each for app in ("api", "compute", "governance", "ledger") for each in apps.get_app_config(app).get_models()
    ]
    return {
        each._meta.label: each._base_manager.count()
        for each in models
        if each._meta.managed and each._meta.model_name not in {"accesstoken", "callcount"}
    }
