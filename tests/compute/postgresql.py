"""What SQLite cannot show, as it has one writer at a time; `tests/full/test_on_postgresql.py` runs this file."""

from datetime import timedelta

import pytest
import time_machine
from django.db import transaction

from compute.models import Job
from compute.services import dispatch, jobs, models, results
from compute.services.sweep import sweep
from concordat import clock, model
from concordat.events import Event
from concordat.reasons import Reason
from concordat.states import JobState
from governance.models import BudgetUse
from governance.services import institutions
from ledger.models import LogEntry, LogHead
from tests.support.at_once import at_once, waiting_for_the_log
from tests.support.consortium import NODES, OWNER, REQUESTER, new_uuid

pytestmark = pytest.mark.usefixtures("committed")


def logged(event: Event) -> int:
    return LogEntry.objects.filter(event=event).count()


def test_a_request_that_comes_twice_at_once_is_one_job(world):
    prepared, key = world.consortium.prepare(), new_uuid()

    def ask():
        by = world.bodies[REQUESTER]
        return jobs.request_prediction(request=prepared.token, sealed=dict(prepared.sealed), idempotency_key=key, by=by)

    first, second = at_once(ask, ask)
    assert first == second == Job.objects.get()
    assert logged(Event.VERDICT) == 1


def test_a_model_that_comes_twice_at_once_is_one(world):
    consortium = world.consortium
    manifest, sealed = model.publish(
        model="heart",
        version="2",
        owner=OWNER,
        kind=consortium.kind,
        schema=consortium.manifest["schema"],
        columns=len(consortium.schema.columns),
        tensors=consortium.tensors,
        party_keys=consortium.party_keys,
        key=consortium.identity(OWNER),
    )

    def hand_in():
        return models.import_model(manifest=manifest, sealed=sealed, by=world.bodies[OWNER])

    first, second = at_once(hand_in, hand_in)
    assert first == second != world.model
    assert logged(Event.MODEL_IMPORTED) == 2


def test_an_answer_delivered_twice_at_once_reserves_the_job_once(world):
    job = world.dispatched()
    for slug in NODES[:-1]:
        world.answer(job, slug, world.acceptance(job, slug))
    last = world.acceptance(job, NODES[-1])

    def answer():
        return dispatch.take_answer(job=job, node=world.bodies[NODES[-1]], answer=last)

    assert [each.job_state for each in at_once(answer, answer)] == [JobState.RESERVED] * 2
    assert logged(Event.JOB_RESERVED) == 1


def test_a_job_that_two_workers_move_goes_one_way(world):
    """The last node accepts while the requester takes the request back."""
    job = world.dispatched()
    for slug in NODES[:-1]:
        world.answer(job, slug, world.acceptance(job, slug))
    last = world.acceptance(job, NODES[-1])
    at_once(
        lambda: dispatch.take_answer(job=job, node=world.bodies[NODES[-1]], answer=last),
        lambda: jobs.cancel(job=job, by=world.bodies[REQUESTER]),
    )
    job.refresh_from_db()
    assert job.job_state is JobState.CANCELLED
    assert logged(Event.JOB_ENDED) == 1


def test_two_workers_that_dispatch_one_job_send_one_ticket(world):
    job = world.ask()
    at_once(lambda: dispatch.push(job=job), lambda: dispatch.push(job=job))
    tickets = {ticket for ticket, _ in world.tasks("node.reserve")}
    job.refresh_from_db()
    assert tickets == {job.ticket}


def test_the_last_two_results_at_once_complete_the_job(world):
    job = world.computing()
    for slug in NODES[:-2]:
        world.result(job, slug)
    tokens = {slug: world.receipt(job, slug) for slug in NODES[-2:]}

    def hand_in(slug):
        sealed = None if slug == "notary" else f"sealed by {slug}"
        return results.take_result(job=job, node=world.bodies[slug], receipt=tokens[slug], sealed=sealed)

    at_once(*(lambda slug=slug: hand_in(slug) for slug in tokens))
    job.refresh_from_db()
    assert job.job_state is JobState.RECORDED
    assert (logged(Event.PREDICTION_RECORDED), logged(Event.EXPLANATION_RECORDED)) == (1, 1)


def test_two_sweeps_end_a_late_job_once(world):
    job = world.dispatched()
    with time_machine.travel(clock.now() + timedelta(seconds=61)):
        assert at_once(sweep, sweep) == [None, None]
    job.refresh_from_db()
    assert (job.job_state, job.reason) == (JobState.FAILED, Reason.NODE_SILENT)
    assert logged(Event.JOB_ENDED) == 1


def test_of_two_requests_at_once_one_gets_the_last_of_the_budget(world):
    by = world.bodies[REQUESTER]
    BudgetUse.objects.create(definition=world.definition, requester=by, day=clock.now().date(), jobs=99)

    def ask():
        prepared = world.consortium.prepare()
        return jobs.request_prediction(
            request=prepared.token, sealed=dict(prepared.sealed), idempotency_key=new_uuid(), by=by
        )

    asked = at_once(ask, ask)
    assert sorted(job.reason for job in asked) == ["", Reason.BUDGET_SPENT]
    assert BudgetUse.objects.get().jobs == 100


def test_a_request_of_a_partys_own_does_not_stand_in_the_way_of_anothers(world):
    """Whoever holds an institution back waits for the log, whose holder writes rows that refer to the institution."""
    prepared = world.consortium.prepare()

    def hold_back():
        with transaction.atomic():
            institutions.lock(world.bodies[OWNER])
            LogHead.objects.select_for_update().get(pk=1)

    with waiting_for_the_log(hold_back) as held:
        job = jobs.request_prediction(
            request=prepared.token,
            sealed=dict(prepared.sealed),
            idempotency_key=new_uuid(),
            by=world.bodies[REQUESTER],
        )
    assert held[0].result(30) is None
    assert job.job_state is JobState.AUTHORISED
