"""Every POST says what it does when it comes twice, since the first answer was lost; and does that."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from pydoc import locate
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.conf import settings
from django.db.models import Model
from django.test import Client

from api.models import AccessToken
from api.openapi import Repeated
from api.scopes import Scope
from compute.models import Job
from compute.services import alarms
from concordat import canonical, clock, note
from concordat import cosignature as cosign
from concordat.canonical import digest
from concordat.definition import sign_disclosure
from concordat.enrolment import build_roster
from concordat.key_change import build_change
from concordat.keystore import Keystore
from governance import selectors
from governance.models import Consent
from governance.services import consent as consents
from ledger.services.publish import publish
from tests.api.conftest import Caller
from tests.api.test_sweep import OPERATIONS
from tests.support.consortium import NODES, OWNER, PARTIES, REQUESTER, SCHEMA, STUDY, Consortium, new_uuid
from tests.support.coordinator import World
from tests.support.handed_in import alarmed, false_canary, heard, nothing_found, package_of, shown

POSTS = {path: operation for method, path, operation in OPERATIONS if method == "POST"}

ELSEWHERE = {"/api/v1/token": "tests.api.test_oauth.test_an_assertion_serves_once"}
"""What is sent as a form, and the test that sends it twice."""


def said(path: str) -> Repeated:
    return next(each for each in Repeated if POSTS[path]["description"].endswith(each.value))


def submission(world: World) -> tuple[str, dict[str, Any]]:
    return OWNER, {"protocol": {**world.consortium.protocol, "study": "another"}}


def consent(world: World) -> tuple[str, dict[str, Any]]:
    return REQUESTER, {"consent": world.consortium.give_consent()}


def withdrawal(world: World) -> tuple[str, dict[str, Any]]:
    return REQUESTER, {"withdrawal": world.consortium.withdrawal()}


def capacity(world: World) -> tuple[str, dict[str, Any]]:
    parents = world.consortium.give_consent(
        subject=new_uuid(),
        signer={"capacity": "parent", "assent": digest("assent")},
        reconsent={"on": clock.rfc3339(clock.now() + timedelta(days=50)), "why": "majority"},
    )
    consents.give(institution=world.bodies[REQUESTER], token=parents)
    return REQUESTER, {"capacity": world.consortium.capacity(parents)}


def definition(world: World) -> tuple[str, dict[str, Any]]:
    content = world.consortium.new_definition()
    return OWNER, {"definition": content, "schema": SCHEMA, "design": world.consortium.design}


def vote(world: World) -> tuple[str, dict[str, Any]]:
    return OWNER, world.consortium.vote(OWNER, approve=False, nonce=1)


def model(world: World) -> tuple[str, dict[str, Any]]:
    manifest, sealed = world.consortium.published
    return OWNER, {"manifest": manifest, "sealed": sealed}


def disclosure(world: World) -> tuple[str, dict[str, Any]]:
    signed = sign_disclosure(model=world.model.digest, study=STUDY, key=world.consortium.identity(OWNER))
    return OWNER, {"disclosure": signed}


def recall(world: World) -> tuple[str, dict[str, Any]]:
    return OWNER, {"recall": world.consortium.recall()}


def canaries(world: World) -> tuple[str, dict[str, Any]]:
    return OWNER, {"design": world.definition.content["design"], "target": "log-odds", "sealed": {REQUESTER: "…"}}


def prediction(world: World) -> tuple[str, dict[str, Any]]:
    prepared = world.consortium.prepare()
    return REQUESTER, {"request": prepared.token, "sealed": dict(prepared.sealed)}


def erasure(world: World) -> tuple[str, dict[str, Any]]:
    return REQUESTER, {"ground": "objection"}


def cancellation(world: World) -> tuple[str, dict[str, Any]]:
    world.ask()
    return world.consortium.asks, {}


def display(world: World) -> tuple[str, dict[str, Any]]:
    return REQUESTER, {"display": shown(world, world.recorded())}


def package(world: World) -> tuple[str, dict[str, Any]]:
    signed = package_of(world, world.ask(), "request")
    return REQUESTER, {"statement": signed.statement, "package": signed.package}


def alarm(world: World) -> tuple[str, dict[str, Any]]:
    prepared = world.consortium.prepare()
    return REQUESTER, {"alarm": false_canary(world, world.recorded(world.ask(prepared)), prepared)}


def what_it_used(world: World) -> tuple[str, dict[str, Any]]:
    job, raised = alarmed(world)
    return PARTIES[1], {"testimony": heard(world, job, raised, PARTIES[1])}


def finding(world: World) -> tuple[str, dict[str, Any]]:
    job, raised = alarmed(world)
    for node in NODES:
        told = heard(world, job, raised, node)
        alarms.take_testimony(alarm=job.alarm, testimony=told, node=world.bodies[node])
    return OWNER, {"finding": nothing_found(world, job, raised)}


def of_many(world: World) -> tuple[str, dict[str, Any]]:
    return world.consortium.asks, {"request": world.consortium.prepare().token}


def cosignature(world: World) -> tuple[str, dict[str, Any]]:
    head = publish()
    assert head is not None
    name = cosign.name_of(settings.LOG_ORIGIN, OWNER)
    signed = cosign.cosign(note.parse(head.note).text, world.consortium.identity(OWNER), name, clock.now())
    return OWNER, {"size": head.size, "cosignature": signed}


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
    return OWNER, {"answer": world.acceptance(world.dispatched(), OWNER)}


def progress(world: World) -> tuple[str, dict[str, Any]]:
    world.computing()
    return PARTIES[0], {"done": 1, "rounds": 2}


def result(world: World) -> tuple[str, dict[str, Any]]:
    return OWNER, {"receipt": world.receipt(world.computing(), OWNER), "sealed": "sealed"}


def status(world: World) -> tuple[str, dict[str, Any]]:
    return OWNER, {"software": "1", "policy": "", "busy": False, "clock": clock.rfc3339(clock.now())}


def webhook(world: World) -> tuple[str, dict[str, Any]]:
    return REQUESTER, {"url": "https://hospital.example/", "events": ["key.changed"]}


MADE: dict[str, Callable[[World], tuple[str, dict[str, Any]]]] = {
    "/api/v1/studies": submission,
    "/api/v1/consents": consent,
    "/api/v1/consents/{consent}/withdraw": withdrawal,
    "/api/v1/consents/{consent}/capacity": capacity,
    "/api/v1/definitions": definition,
    "/api/v1/definitions/{definition}/votes": vote,
    "/api/v1/models": model,
    "/api/v1/models/{model}/canaries": canaries,
    "/api/v1/models/{model}/disclosure": disclosure,
    "/api/v1/models/{model}/recall": recall,
    "/api/v1/predictions": prediction,
    "/api/v1/predictions/{prediction}/cancel": cancellation,
    "/api/v1/predictions/{prediction}/display": display,
    "/api/v1/predictions/{prediction}/packages": package,
    "/api/v1/predictions/{prediction}/alarm": alarm,
    "/api/v1/predictions/{prediction}/finding": finding,
    "/api/v1/audits": of_many,
    "/api/v1/audits/{audit}/cancel": cancellation,
    "/api/v1/trainings": of_many,
    "/api/v1/trainings/{training}/cancel": cancellation,
    "/api/v1/subjects/{subject}/erase": erasure,
    "/api/v1/key-changes": key_change,
    "/api/v1/rosters": roster,
    "/api/v1/studies/{study}/attachments": attachment,
    "/api/v1/node/jobs/{job}/answer": acceptance,
    "/api/v1/node/jobs/{job}/progress": progress,
    "/api/v1/node/jobs/{job}/result": result,
    "/api/v1/node/jobs/{job}/testimony": what_it_used,
    "/api/v1/node/cosignature": cosignature,
    "/api/v1/node/status": status,
    "/api/v1/webhooks": webhook,
}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, _state: Path) -> dict[str, Consortium]:
    """By the beginning of an address: whose definition is one to audit, and one to train."""
    key = Keystore(_state / "keys").identity
    return {
        f"/api/v1/{name}": Consortium(tmp_path_factory.mktemp(name), coordinator=key, ground="care", **how)
        for name, how in (("audits", {"many": "audit"}), ("trainings", {"many": "train", "kind": "linear"}))
    }


@pytest.fixture
def world(
    make_world: Callable[[Consortium], World], founded: Consortium, many: dict[str, Consortium], path: str
) -> World:
    return make_world(next((each for start, each in many.items() if path.startswith(start)), founded))


def test_every_post_says_what_a_repetition_does() -> None:
    assert {said(path) for path in POSTS} == set(Repeated)
    assert MADE.keys() | ELSEWHERE.keys() == POSTS.keys()
    assert all(map(locate, ELSEWHERE.values()))


def test_only_what_asks_for_a_key_has_one() -> None:
    for path, operation in POSTS.items():
        keyed = any(each["name"] == "Idempotency-Key" and each["required"] for each in operation.get("parameters", []))
        assert keyed is (said(path) is Repeated.KEY), path


@pytest.mark.parametrize("path", MADE)
def test_the_same_again_changes_nothing(world: World, client: Client, path: str) -> None:
    slug, body = MADE[path](world)
    consent, job = Consent.objects.order_by("pk").last(), Job.objects.first()
    names = {
        "consent": str(consent.uuid) if consent else "",
        "subject": world.consortium.subject,
        "definition": world.definition.digest,
        "model": world.model.digest,
        "study": world.study.slug,
        **dict.fromkeys(("prediction", "audit", "training", "job"), str(job.uuid) if job else ""),
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


def kept() -> dict[str, type[Model]]:
    """Everything that is kept, but tokens and counted calls."""
    models = [
        each for app in ("api", "compute", "governance", "ledger") for each in apps.get_app_config(app).get_models()
    ]
    return {
        each._meta.label: each
        for each in models
        if each._meta.managed and each._meta.model_name not in {"accesstoken", "callcount"}
    }


def rows() -> dict[str, int]:
    """How many there are of everything."""
    return {label: each._base_manager.count() for label, each in kept().items()}
