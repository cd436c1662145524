"""From an authorised job to engines that start: every node accepts one ticket, or nothing runs."""

from datetime import timedelta
from uuid import UUID

import pytest
import structlog
import time_machine

from compute import selectors, tasks
from compute.models import Answer, SealedInput
from compute.services import dispatch
from compute.services.states import transition
from compute.services.sweep import sweep
from concordat import clock
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.states import TRANSITIONS, JobState
from governance.services import consent, recalls
from ledger.models import LogEntry
from ledger.services import subjects
from tests.support.consortium import NODES, OWNER, PARTIES, REQUESTER


def reason(call, *arguments, **options):
    with pytest.raises(Refused) as caught:
        call(*arguments, **options)
    return caught.value.reason


def test_every_node_gets_the_same_ticket(world):
    job = world.dispatched()
    assert world.tasks("node.reserve") == [(job.ticket, slug) for slug in NODES]
    ticket = world.ticket(job)
    assert (ticket["request"], ticket["epoch"], ticket["verdict"]) == (job.request_digest, job.epoch, job.verdict)
    assert job.job_state is JobState.AUTHORISED


def test_dispatching_twice_changes_nothing(world):
    job = world.dispatched()
    dispatch.push(job=job)
    assert len(world.tasks("node.reserve")) == 4


def test_a_broker_that_is_down_delays_and_says_so(world, fake_broker):
    fake_broker.down = True
    job = world.dispatched()
    assert (job.job_state, job.reason, job.dispatched) == (JobState.AUTHORISED, Reason.BROKER_UNAVAILABLE, None)
    fake_broker.down = False
    with time_machine.travel(clock.now() + timedelta(seconds=10)):
        sweep()
    job.refresh_from_db()
    assert (job.reason, len(world.tasks("node.reserve"))) == ("", 4)


def test_an_erased_subject_ends_its_job_instead_of_troubling_every_sweep(world):
    job = world.ask()
    subjects.destroy(institution="long-beach", subject=UUID(world.consortium.subject), ground="the person's own wish")
    with time_machine.travel(clock.now() + timedelta(seconds=10)), world.commit():
        sweep()
    job.refresh_from_db()
    assert (job.job_state, job.reason) == (JobState.FAILED, Reason.ERASED)
    assert not SealedInput.objects.exists()
    assert LogEntry.objects.get(event=Event.JOB_ENDED).public["reason"] == "erased"


def test_a_worker_that_comes_second_leaves_no_trace_in_celery(world, monkeypatch):
    job = world.ask()

    def first(**_):
        raise Refused(Reason.WRONG_STATE)

    monkeypatch.setattr(dispatch, "push", first)
    with structlog.testing.capture_logs() as lines:
        tasks.dispatch_job(str(job.uuid))
    assert [(line["event"], line["reason"]) for line in lines] == [("dispatch.refused", "wrong-state")]


def test_while_a_ticket_may_be_out_there_it_is_the_only_one(world, fake_broker):
    fake_broker.down = True
    job = world.dispatched()
    first = job.ticket
    dispatch.reserve(job=job)
    job.refresh_from_db()
    assert job.ticket == first
    fake_broker.down = False
    with time_machine.travel(clock.now() + timedelta(minutes=4)):
        dispatch.reserve(job=job)
        job.refresh_from_db()
    assert job.ticket != first
    assert {ticket for ticket, _ in world.tasks("node.reserve")} == {job.ticket}


def test_a_request_that_expired_while_the_broker_was_down_is_not_sent(world):
    job = world.ask()
    with time_machine.travel(clock.now() + timedelta(minutes=20)), world.commit():
        dispatch.push(job=job)
    job.refresh_from_db()
    assert (job.job_state, world.tasks("node.reserve")) == (JobState.EXPIRED, [])


def test_authority_that_ended_before_the_dispatch_ends_the_job(world):
    job = world.ask()
    consent.withdraw(institution=world.bodies[REQUESTER], token=world.consortium.withdrawal())
    dispatch.push(job=job)
    job.refresh_from_db()
    assert (job.job_state, job.reason) == (JobState.REFUSED, Reason.CONSENT_WITHDRAWN)
    assert world.tasks("node.reserve") == []


def test_a_model_that_was_recalled_before_the_dispatch_ends_the_job(world):
    job = world.ask()
    recalls.recall(institution=world.bodies[OWNER], token=world.consortium.recall())
    dispatch.push(job=job)
    job.refresh_from_db()
    assert (job.job_state, job.reason) == (JobState.REFUSED, Reason.MODEL_RECALLED)
    assert world.tasks("node.reserve") == []


# --- answers


def test_the_job_is_reserved_when_the_last_node_accepts(world):
    job = world.dispatched()
    for slug in NODES[:-1]:
        assert world.answer(job, slug, world.acceptance(job, slug)).job_state is JobState.AUTHORISED
    job = world.answer(job, NODES[-1], world.acceptance(job, NODES[-1]))
    assert job.job_state is JobState.RESERVED
    [entry] = LogEntry.objects.filter(event=Event.JOB_RESERVED)
    assert set(entry.documents) == {"ticket", "acceptances"}
    assert world.sent[-1] == ("compute.dispatch", str(job.uuid), "coordinator")
    assert world.tasks("node.start") == []


def test_a_reserved_job_starts_at_every_node(world):
    job = world.computing()
    assert world.tasks("node.start") == [(world.ticket(job)["batch"], slug) for slug in NODES]
    assert job.job_state is JobState.COMPUTING
    assert job.deadline > clock.now()


def test_one_refusal_ends_the_job_and_frees_all_nodes(world):
    job = world.dispatched()
    world.answer(job, "cleveland", world.acceptance(job, "cleveland"))
    job = world.answer(job, "zurich", world.refusal(job, "zurich", Reason.POLICY_REFUSES))
    assert (job.job_state, job.reason) == (JobState.REFUSED, Reason.POLICY_REFUSES)
    assert "zurich" in job.detail
    assert world.tasks("node.release") == [(world.ticket(job)["ticket"], slug) for slug in NODES]
    assert not SealedInput.objects.exists()
    assert LogEntry.objects.get(event=Event.JOB_ENDED).public["reason"] == "policy-refuses"


def test_a_node_that_drops_out_fails_the_running_job(world):
    job = world.computing()
    job = world.answer(job, "zurich", world.refusal(job, "zurich", Reason.ENGINE_FAILED))
    assert (job.job_state, job.reason) == (JobState.FAILED, Reason.ENGINE_FAILED)
    assert not SealedInput.objects.exists()


def test_an_answer_delivered_twice_is_one_answer(world):
    job = world.dispatched()
    answer = world.acceptance(job, "zurich")
    world.answer(job, "zurich", answer)
    world.answer(job, "zurich", answer)
    assert Answer.objects.count() == 1
    other = world.acceptance(job, "zurich", expires=clock.now() + timedelta(seconds=30))
    assert reason(world.answer, job, "zurich", other) is Reason.CONFLICT


def test_nobody_answers_for_another_node(world):
    job = world.dispatched()
    assert reason(world.answer, job, "budapest", world.acceptance(job, "zurich")) is Reason.WRONG_INSTITUTION
    forged = world.acceptance(job, "zurich", key=world.consortium.identity("budapest"))
    assert reason(world.answer, job, "zurich", forged) is Reason.KEY_UNKNOWN
    assert not Answer.objects.exists()


def test_an_acceptance_that_lapsed_on_the_way_does_not_count(world):
    job = world.dispatched()
    late = world.acceptance(job, "zurich", expires=clock.now() - timedelta(seconds=1))
    assert reason(world.answer, job, "zurich", late) is Reason.EXPIRED
    assert not Answer.objects.exists()


def test_an_answer_to_an_ended_job_changes_nothing(world):
    job = world.dispatched()
    acceptance = world.acceptance(job, "cleveland")
    job = world.answer(job, "zurich", world.refusal(job, "zurich", Reason.POLICY_REFUSES))
    assert reason(world.answer, job, "cleveland", acceptance) is Reason.WRONG_STATE


# --- what a node is handed


def test_a_node_is_handed_its_own_shares_only(world):
    prepared = world.consortium.prepare()
    job = world.ask(prepared)
    dispatch.push(job=job)
    for slug in PARTIES:
        found = selectors.job_at_node(world.bodies[slug], job.uuid)
        documents = selectors.documents_for(job=found, node=world.bodies[slug])
        assert documents["input"] == prepared.sealed[slug]
        assert documents["model_share"] == world.consortium.published[1][slug]
        text = str(documents)
        assert not [other for other in PARTIES if other != slug and prepared.sealed[other] in text]
    dealer = selectors.documents_for(job=job, node=world.bodies["notary"])
    assert dealer["input"] is dealer["model_share"] is None


def test_acceptances_are_handed_out_when_all_are_there(world):
    job = world.dispatched()
    world.answer(job, "zurich", world.acceptance(job, "zurich"))
    job.refresh_from_db()
    assert selectors.documents_for(job=job, node=world.bodies["zurich"])["acceptances"] == []
    for slug in NODES:
        if slug != "zurich":
            world.answer(job, slug, world.acceptance(job, slug))
    job.refresh_from_db()
    assert len(selectors.documents_for(job=job, node=world.bodies["zurich"])["acceptances"]) == 4


def test_a_withdrawal_is_handed_on(world):
    job = world.dispatched()
    consent.withdraw(institution=world.bodies[REQUESTER], token=world.consortium.withdrawal())
    assert selectors.documents_for(job=job, node=world.bodies["zurich"])["withdrawal"]


def test_a_recall_is_handed_on(world):
    job = world.dispatched()
    recalls.recall(institution=world.bodies[OWNER], token=world.consortium.recall())
    assert selectors.documents_for(job=job, node=world.bodies["zurich"])["recall"]


def test_who_is_not_in_the_job_gets_nothing(world):
    job = world.ask()
    assert reason(selectors.job_at_node, world.bodies["zurich"], job.uuid) is Reason.NOT_FOUND  # no ticket yet
    dispatch.push(job=job)
    job.refresh_from_db()
    assert reason(selectors.job_at_node, world.bodies[REQUESTER], job.uuid) is Reason.NOT_FOUND
    assert reason(selectors.documents_for, job=job, node=world.bodies[REQUESTER]) is Reason.NOT_FOUND


def test_nothing_is_handed_out_after_the_end(world):
    job = world.recorded()
    assert reason(selectors.documents_for, job=job, node=world.bodies["zurich"]) is Reason.WRONG_STATE


# --- states


@pytest.mark.parametrize("before", JobState)
def test_only_the_transitions_of_the_table_are_possible(world, before):
    job = world.ask()
    for after in JobState:
        type(job).objects.filter(pk=job.pk).update(state=before)
        if after in TRANSITIONS[before]:
            assert transition(job, after).job_state is after
        else:
            assert reason(transition, job, after) is Reason.WRONG_STATE
