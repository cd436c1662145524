"""Every operation that changes an object, asked for while the object is in a state in which it is refused."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client

from api.models import AccessToken, Webhook
from api.scopes import Scope
from api.webhooks import endpoints
from compute.models import Job
from compute.services import alarms, erasure, jobs
from concordat import clock
from concordat.reasons import REASONS, Reason
from governance.models import Consent, Institution, Study
from governance.services import model_cards, recalls
from tests.api.conftest import SAMPLES
from tests.api.test_access import check_problem
from tests.api.test_repetition import attachment, kept
from tests.api.test_sweep import OPERATIONS
from tests.support.consortium import OWNER, PARTIES, REQUESTER
from tests.support.coordinator import World
from tests.support.handed_in import alarmed, false_canary, heard, nothing_found, package_of, shown

CHANGING = {
    (method, path)
    for method, path, operation in OPERATIONS
    if method != "GET" and any(each["in"] == "path" for each in operation.get("parameters", []))
}

NO_STATE = {
    ("POST", "/api/v1/models/{model}/disclosure"): "a manifest never changes, and its owner may always say more",
    ("POST", "/api/v1/models/{model}/canaries"): "a manifest never changes, and canaries may always be sealed anew",
}
"""What is about an object that has one state only, and why."""

BY_STATE = {Reason.WRONG_STATE, Reason.CONFLICT, Reason.ERASED, Reason.NODE_SILENT, Reason.PRECONDITION_FAILED}
"""What a refusal may say that would not have come in another state of the same object."""


@dataclass(frozen=True)
class Call:
    """One call, all of it as it should be, by `slug`."""

    slug: str
    names: dict[str, str]
    body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Wrong:
    """`make` brings an object of the fixture `of` into a state, and makes a call that is refused for it."""

    state: str
    reason: Reason
    make: Callable[[Any], Call]
    of: str = "world"


def attach_to_a_closed_study(world: World) -> Call:
    slug, body = attachment(world)
    Study.objects.update(state="closed")
    return Call(slug, {"study": world.study.slug}, body)


def approve_while_suspended(world: World) -> Call:
    Study.objects.update(state="suspended")
    vote = world.consortium.vote(REQUESTER, nonce=1)
    return Call(REQUESTER, {"definition": world.definition.digest}, vote)


def recall_what_was_recalled_otherwise(world: World) -> Call:
    recalls.recall(institution=world.bodies[OWNER], token=world.consortium.recall())
    otherwise = world.consortium.recall(advice="Stop at once.")
    return Call(OWNER, {"model": world.model.digest}, {"recall": otherwise})


def describe_with_an_older_number(world: World) -> Call:
    model_cards.describe(institution=world.bodies[OWNER], token=world.consortium.card(sequence=2))
    return Call(OWNER, {"model": world.model.digest}, {"card": world.consortium.card(sequence=1)})


def withdraw_an_erased_consent(world: World) -> Call:
    erase(world)
    return Call(REQUESTER, consent(), {"withdrawal": world.consortium.withdrawal()})


def lapse_an_erased_consent(world: World) -> Call:
    erase(world)
    return Call(REQUESTER, consent(), {"capacity": world.consortium.capacity(world.consortium.consent)})


def erase_the_erased(world: World) -> Call:
    erase(world)
    return Call(REQUESTER, {"subject": world.consortium.subject}, {"ground": "objection"})


def cancel_what_is_recorded(world: World) -> Call:
    job = world.ask()
    Job.objects.update(state="recorded")
    return Call(REQUESTER, {"prediction": str(job.uuid)})


def show_before_there_is_a_result(world: World) -> Call:
    job = world.ask()
    return Call(REQUESTER, {"prediction": str(job.uuid)}, {"display": shown(world, job)})


def keep_the_result_before_it_is_there(world: World) -> Call:
    job = world.ask()
    signed = package_of(world, job, "result")
    return Call(REQUESTER, {"prediction": str(job.uuid)}, {"statement": signed.statement, "package": signed.package})


def raise_an_alarm_before_there_is_a_result(world: World) -> Call:
    prepared = world.consortium.prepare()
    job = world.ask(prepared)
    return Call(REQUESTER, {"prediction": str(job.uuid)}, {"alarm": false_canary(world, job, prepared)})


def find_while_nodes_are_silent(world: World) -> Call:
    job, raised = alarmed(world)
    return Call(OWNER, {"prediction": str(job.uuid)}, {"finding": nothing_found(world, job, raised)})


def say_something_else_on_an_alarm(world: World) -> Call:
    job, raised = alarmed(world)
    said, other = (heard(world, job, raised, PARTIES[1], key) for key in ("", "AA"))
    alarms.take_testimony(alarm=job.alarm, testimony=said, node=world.bodies[PARTIES[1]])
    return Call(PARTIES[1], {"job": str(job.uuid)}, {"testimony": other})


def answer_what_was_cancelled(world: World) -> Call:
    job = world.dispatched()
    answer = world.acceptance(job, OWNER)
    jobs.cancel(job=job, by=world.bodies[REQUESTER])
    return Call(OWNER, {"job": str(job.uuid)}, {"answer": answer})


def progress_after_the_end(world: World) -> Call:
    job = world.computing()
    Job.objects.update(state="failed")
    return Call(PARTIES[0], {"job": str(job.uuid)}, {"done": 1, "rounds": 2})


def hand_in_before_the_nodes_are_reserved(world: World) -> Call:
    job = world.dispatched()
    return Call(OWNER, {"job": str(job.uuid)}, {"receipt": world.receipt(job, OWNER), "sealed": "sealed"})


def cancel_a_recorded(kind: str, asker: str, objects: Job) -> Call:
    Job.objects.filter(uuid=SAMPLES[kind]).update(state="recorded")
    return Call(asker, {kind: SAMPLES[kind]})


def change_what_has_changed(body: dict[str, Any], objects: Job) -> Call:
    hook = endpoints.register(institution=objects.requester, url="https://a.example/", events=["key.changed"])
    Webhook.objects.filter(pk=hook.pk).update(events=["job.ended"])
    return Call(REQUESTER, {"webhook": str(hook.uuid)}, body, {"If-Match": '"as it was read"'})


def erase(world: World) -> None:
    subject = UUID(world.consortium.subject)
    erasure.erase_subject(institution=REQUESTER, subject=subject, ground="objection")


def consent() -> dict[str, str]:
    return {"consent": str(Consent.objects.get().uuid)}


WRONG: dict[tuple[str, str], Wrong] = {
    ("POST", "/api/v1/studies/{study}/attachments"): Wrong("closed", Reason.WRONG_STATE, attach_to_a_closed_study),
    ("PUT", "/api/v1/models/{model}/card"): Wrong(
        "described by a newer card", Reason.CONFLICT, describe_with_an_older_number
    ),
    ("POST", "/api/v1/models/{model}/recall"): Wrong(
        "recalled in other words", Reason.CONFLICT, recall_what_was_recalled_otherwise
    ),
    ("POST", "/api/v1/definitions/{definition}/votes"): Wrong(
        "its study suspended", Reason.WRONG_STATE, approve_while_suspended
    ),
    ("POST", "/api/v1/consents/{consent}/withdraw"): Wrong("erased", Reason.ERASED, withdraw_an_erased_consent),
    ("POST", "/api/v1/consents/{consent}/capacity"): Wrong("erased", Reason.ERASED, lapse_an_erased_consent),
    ("POST", "/api/v1/subjects/{subject}/erase"): Wrong("erased", Reason.ERASED, erase_the_erased),
    ("POST", "/api/v1/predictions/{prediction}/cancel"): Wrong("recorded", Reason.WRONG_STATE, cancel_what_is_recorded),
    ("POST", "/api/v1/predictions/{prediction}/display"): Wrong(
        "authorised", Reason.WRONG_STATE, show_before_there_is_a_result
    ),
    ("POST", "/api/v1/predictions/{prediction}/packages"): Wrong(
        "authorised", Reason.WRONG_STATE, keep_the_result_before_it_is_there
    ),
    ("POST", "/api/v1/predictions/{prediction}/alarm"): Wrong(
        "authorised", Reason.WRONG_STATE, raise_an_alarm_before_there_is_a_result
    ),
    ("POST", "/api/v1/predictions/{prediction}/finding"): Wrong(
        "its nodes not heard", Reason.NODE_SILENT, find_while_nodes_are_silent
    ),
    ("POST", "/api/v1/audits/{audit}/cancel"): Wrong(
        "recorded", Reason.WRONG_STATE, partial(cancel_a_recorded, "audit", "long-beach"), of="objects"
    ),
    ("POST", "/api/v1/trainings/{training}/cancel"): Wrong(
        "recorded", Reason.WRONG_STATE, partial(cancel_a_recorded, "training", "cleveland"), of="objects"
    ),
    ("PATCH", "/api/v1/webhooks/{webhook}"): Wrong(
        "changed", Reason.PRECONDITION_FAILED, partial(change_what_has_changed, {"active": False}), of="objects"
    ),
    ("DELETE", "/api/v1/webhooks/{webhook}"): Wrong(
        "changed", Reason.PRECONDITION_FAILED, partial(change_what_has_changed, {}), of="objects"
    ),
    ("POST", "/api/v1/node/jobs/{job}/answer"): Wrong("cancelled", Reason.WRONG_STATE, answer_what_was_cancelled),
    ("POST", "/api/v1/node/jobs/{job}/progress"): Wrong("failed", Reason.WRONG_STATE, progress_after_the_end),
    ("POST", "/api/v1/node/jobs/{job}/result"): Wrong(
        "authorised", Reason.WRONG_STATE, hand_in_before_the_nodes_are_reserved
    ),
    ("POST", "/api/v1/node/jobs/{job}/testimony"): Wrong(
        "the node heard already", Reason.CONFLICT, say_something_else_on_an_alarm
    ),
}
"""For each operation a state of the object in its path in which it is refused."""


def test_every_operation_that_changes_an_object_has_a_state_in_which_it_is_refused_or_no_state() -> None:
    assert WRONG.keys() | NO_STATE.keys() == CHANGING
    assert not WRONG.keys() & NO_STATE.keys()
    assert {each.reason for each in WRONG.values()} == BY_STATE


@pytest.mark.parametrize(("method", "path"), WRONG, ids=[f"{method} {path}" for method, path in WRONG])
def test_it_is_refused_for_the_state_and_changes_nothing(
    db: None, client: Client, request: pytest.FixtureRequest, method: str, path: str
) -> None:
    wrong = WRONG[method, path]
    call = wrong.make(request.getfixturevalue(wrong.of))
    token, until = uuid4().hex, clock.now() + timedelta(minutes=5)
    caller = Institution.objects.get(slug=call.slug)
    AccessToken.objects.issue(token, institution=caller, scopes=" ".join(Scope), expires=until)
    before = content()
    answer = client.generic(
        method,
        path.format(**call.names),
        json.dumps(call.body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}", **call.headers},
    )
    check_problem(answer, REASONS[wrong.reason].status, wrong.reason)
    assert content() == before


def content() -> dict[str, list[dict[str, Any]]]:
    """All that is kept."""
    return {label: list(each._base_manager.order_by("pk").values()) for label, each in kept().items()}
