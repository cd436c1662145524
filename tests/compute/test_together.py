"""Requests that wait for the same nodes are computed together, and no one's trouble is another's."""

from datetime import timedelta

import pytest
import time_machine

from compute import selectors
from compute.models import Job
from compute.services import dispatch, results, waiting
from compute.services.jobs import cancel
from compute.services.sweep import sweep
from concordat import clock, receipt
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.states import JobState
from ledger.models import LogEntry
from tests.support.consortium import NODES, REQUESTER
from tests.support.needles import spellings


def fresh(*jobs):
    for job in jobs:
        job.refresh_from_db()
    return jobs if len(jobs) > 1 else jobs[0]


def states(*jobs):
    return [job.job_state for job in fresh(*jobs)]


@pytest.fixture
def three(world):
    """Three requests, dispatched together; nobody has answered yet."""
    jobs = [world.ask() for _ in range(3)]
    world.dispatched(jobs[1])
    return fresh(*jobs)


def refuse(world, job, reason=Reason.POLICY_REFUSES):
    return world.answer(job, "zurich", world.refusal(job, "zurich", reason))


# --- who goes with whom


def test_what_waits_for_the_same_nodes_goes_together(world, three):
    tickets = [world.ticket(job) for job in three]
    assert world.tasks("node.reserve") == [(*(job.ticket for job in three), slug) for slug in NODES]
    assert len({ticket["batch"] for ticket in tickets}) == 1
    assert [ticket["runs"] for ticket in tickets] == [{"first": 2 * place, "of": 6} for place in range(3)]
    assert len({ticket["ticket"] for ticket in tickets}) == len({ticket["request"] for ticket in tickets}) == 3


def test_while_nodes_are_at_work_others_wait_and_say_so(world):
    first = world.dispatched()
    second = world.dispatched()
    assert (second.job_state, second.reason, second.ticket) == (JobState.AUTHORISED, Reason.NODE_BUSY, "")
    refuse(world, first)
    assert world.sent[-1] == ("compute.dispatch", str(second.uuid), "coordinator")
    assert world.dispatched(second).reason == ""


@pytest.mark.parametrize("over", ["recorded", "withheld"])
def test_the_next_is_called_when_a_computation_is_over(world, over):
    first, second = world.ask(), world.ask()
    Job.objects.filter(pk=second.pk).update(alone=True)
    job = world.computing(first)
    last = world.receipt(job, NODES[-1], **({"design": "sha256:" + "0" * 64} if over == "withheld" else {}))
    for slug in NODES[:-1]:
        world.result(job, slug)
    job = world.result(job, NODES[-1], last)
    assert job.state == over
    assert world.sent[-1] == ("compute.dispatch", str(second.uuid), "coordinator")


@pytest.mark.parametrize("differs", ["what_ifs", "alone", "a ticket that may be out there"])
def test_what_is_not_alike_goes_by_itself(world, differs):
    first, second = world.ask(), world.ask()
    fields = {"what_ifs": {"what_ifs": 1}, "alone": {"alone": True}}.get(differs, {"ticket": "sent"})
    Job.objects.filter(pk=second.pk).update(**fields)
    assert waiting.alike(fresh(first)) == []
    assert waiting.together(world.dispatched(first)) == [first]


@pytest.mark.parametrize("most", [0, 1, 2])
def test_no_more_go_together_than_the_settings_say(world, settings, most):
    settings.REQUESTS_TOGETHER = most
    jobs = [world.ask() for _ in range(3)]
    assert len(waiting.together(world.dispatched(jobs[0]))) == max(1, most)


def test_no_more_go_together_than_engines_hold_in_memory(world, monkeypatch):
    jobs = [world.ask() for _ in range(3)]
    rows = world.consortium.plan.n * len(world.consortium.records)
    monkeypatch.setattr(waiting, "MOST_ROWS", 2 * rows + 1)
    assert len(waiting.alike(jobs[0])) == 1
    monkeypatch.setattr(waiting, "MOST_ROWS", rows - 1)
    assert waiting.alike(jobs[0]) == []


def test_no_more_records_go_together_than_an_engine_takes(world, monkeypatch):
    jobs = [world.ask() for _ in range(3)]
    monkeypatch.setattr(waiting, "MOST_RECORDS", 5)
    assert len(waiting.alike(jobs[0])) == 1


def test_one_whose_authority_has_ended_is_left_behind(world):
    first, second = world.ask(), world.ask()
    Job.objects.filter(pk=second.pk).update(epoch=second.epoch + 1)
    assert waiting.together(world.dispatched(first)) == [first]
    assert states(first, second) == [JobState.AUTHORISED, JobState.REFUSED]


# --- together to the end


def test_all_start_at_once_when_the_last_is_accepted(world, three):
    for job in three[:2]:
        for slug in NODES:
            world.answer(job, slug, world.acceptance(job, slug))
        dispatch.push(job=fresh(job))
    assert world.tasks("node.start") == []
    for slug in NODES:
        world.answer(three[2], slug, world.acceptance(three[2], slug))
    dispatch.push(job=fresh(three[2]))
    assert world.tasks("node.start") == [(str(three[0].batch), slug) for slug in NODES]
    assert states(*three) == [JobState.COMPUTING] * 3


def test_each_has_a_record_of_its_own_and_nothing_in_it_names_another(world, three):
    world.reserved(three[0])
    for job in three:
        for slug in NODES:
            world.result(job, slug)
    assert states(*three) == [JobState.RECORDED] * 3
    for job in three:
        released = results.release(job=job, by=world.bodies[REQUESTER])
        known = world.consortium.homes["cleveland"].pins.keyring
        tokens = [output.receipt for output in released.outputs]
        receipt.check_receipts(tokens, known, request=job.request_digest, definition=world.consortium.definition)
        logged = LogEntry.objects.filter(references__name="job", references__value=str(job.uuid))
        assert sorted(logged.values_list("event", flat=True)) == [
            Event.EXPLANATION_RECORDED,
            Event.JOB_RESERVED,
            Event.PREDICTION_RECORDED,
        ]


def test_one_result_that_is_withheld_leaves_the_others(world, three):
    world.reserved(three[0])
    for job in three:
        for slug in NODES:
            spoilt = job == three[1] and slug == "zurich"
            token = world.receipt(job, slug, runs={"first": 0, "of": 6}) if spoilt else None
            world.result(job, slug, token)
    assert states(*three) == [JobState.RECORDED, JobState.WITHHELD, JobState.RECORDED]
    assert fresh(three[1]).reason == Reason.RECEIPTS_DISAGREE


# --- one falls out


def test_one_that_is_refused_sends_the_others_back_to_wait_by_themselves(world, three):
    refuse(world, three[1])
    assert states(*three) == [JobState.AUTHORISED, JobState.REFUSED, JobState.AUTHORISED]
    for job in (three[0], three[2]):
        assert (job.ticket, job.batch, job.dispatched, job.alone) == ("", None, None, True)
        assert job.reason == Reason.COMPANION_REFUSED
    assert len(world.tasks("node.release")) == 3 * len(NODES)
    again = world.dispatched(three[0])
    assert world.ticket(again)["runs"] == {"first": 0, "of": 2}
    assert LogEntry.objects.filter(event=Event.JOB_ENDED).count() == 1


def test_a_node_that_refuses_one_because_of_another_has_nothing_against_it(world, three):
    job = refuse(world, three[0], Reason.COMPANION_REFUSED)
    assert (job.job_state, job.ticket, job.alone) == (JobState.AUTHORISED, "", True)
    assert states(*three[1:]) == [JobState.AUTHORISED] * 2
    assert all(each.ticket for each in three[1:])


def test_one_that_is_put_back_does_not_keep_the_accepted_waiting(world, three):
    refuse(world, three[0], Reason.NODE_BUSY)
    for job in three[1:]:
        for slug in NODES:
            world.answer(job, slug, world.acceptance(job, slug))
    dispatch.push(job=fresh(three[1]))
    assert states(*three) == [JobState.AUTHORISED, JobState.COMPUTING, JobState.COMPUTING]


def test_one_that_is_not_answered_does_not_keep_the_accepted_waiting_for_long(world, three):
    for job in three[1:]:
        for slug in NODES:
            world.answer(job, slug, world.acceptance(job, slug))
    for seconds, state in ((6, JobState.RESERVED), (11, JobState.COMPUTING)):
        with time_machine.travel(clock.now() + timedelta(seconds=seconds)), world.commit():
            sweep()
        assert states(*three) == [JobState.AUTHORISED, state, state]
    with time_machine.travel(clock.now() + timedelta(seconds=61)), world.commit():
        sweep()
    assert states(*three) == [JobState.FAILED, JobState.COMPUTING, JobState.COMPUTING]
    assert "did not answer" in fresh(three[0]).detail


def test_a_node_that_is_busy_is_asked_again(world):
    job = refuse(world, world.dispatched(), Reason.NODE_BUSY)
    assert (job.job_state, job.reason, job.ticket, job.alone) == (JobState.AUTHORISED, Reason.NODE_BUSY, "", False)
    with time_machine.travel(clock.now() + timedelta(seconds=10)), world.commit():
        sweep()
    assert fresh(job).dispatched is not None
    assert len(world.tasks("node.reserve")) == 2 * len(NODES)


def test_nodes_that_stay_busy_are_asked_ever_more_seldom_and_not_for_ever(world):
    job = world.dispatched()
    for times in range(1, waiting.MOST_PUT_BACK + 1):
        job = refuse(world, job, Reason.NODE_BUSY)
        assert (job.job_state, job.put_back) == (JobState.AUTHORISED, times)
        dispatch.reserve(job=job)
        job = fresh(job)
    assert waiting.patience(job) == timedelta(seconds=80)
    job = refuse(world, job, Reason.NODE_BUSY)
    assert (job.job_state, job.reason) == (JobState.REFUSED, Reason.NODE_BUSY)
    assert "zurich" in job.detail


def test_a_node_may_refuse_before_all_were_asked(world, monkeypatch):
    job = world.ask()
    send = dispatch.broker.to_node

    def to_node(task, *arguments, institution):
        send(task, *arguments, institution=institution)
        if institution == NODES[0] and task == "node.reserve":
            refuse(world, job, Reason.NODE_BUSY)

    monkeypatch.setattr(dispatch.broker, "to_node", to_node)
    dispatch.reserve(job=job)
    assert (fresh(job).dispatched, job.ticket, job.reason) == (None, "", Reason.NODE_BUSY)


def test_a_companions_trouble_is_its_own(world, monkeypatch):
    first, second = world.ask(), world.ask()
    stands = dispatch._stands

    def trouble(job):
        if job == second:
            raise Refused(Reason.WRONG_STATE)
        return stands(job)

    monkeypatch.setattr(dispatch, "_stands", trouble)
    assert waiting.together(world.dispatched(first)) == [first]


def test_a_job_without_a_batch_is_alone(world):
    job, _ = world.ask(), world.ask()
    assert waiting.together(job) == [job]


def test_an_answer_to_a_ticket_that_was_given_up_is_no_answer(world, three):
    late = world.acceptance(three[0], "cleveland")
    refuse(world, three[1])
    with pytest.raises(Refused) as caught:
        world.answer(fresh(three[0]), "cleveland", late)
    assert caught.value.reason is Reason.WRONG_STATE


def test_whoever_takes_a_request_back_leaves_the_others(world, three):
    with world.commit():
        cancel(job=three[0], by=world.bodies[REQUESTER])
    assert states(*three) == [JobState.CANCELLED, JobState.AUTHORISED, JobState.AUTHORISED]


def test_after_all_have_accepted_the_others_start_without_it(world, three):
    world.reserved(three[0])
    with world.commit():
        cancel(job=fresh(three[0]), by=world.bodies[REQUESTER])
    assert states(*three) == [JobState.CANCELLED, JobState.RESERVED, JobState.RESERVED]
    dispatch.push(job=three[1])
    assert states(*three) == [JobState.CANCELLED, JobState.COMPUTING, JobState.COMPUTING]


def test_in_the_middle_of_the_computation_it_goes_alone(world, three):
    world.computing(three[0])
    with world.commit():
        cancel(job=fresh(three[0]), by=world.bodies[REQUESTER])
        sweep()
    assert states(*three) == [JobState.CANCELLED, JobState.COMPUTING, JobState.COMPUTING]
    for slug in NODES:
        world.result(three[1], slug)
    assert states(*three)[1] is JobState.RECORDED


def test_a_silent_node_ends_all_of_them(world, three):
    with time_machine.travel(clock.now() + timedelta(seconds=61)), world.commit():
        sweep()
    assert states(*three) == [JobState.FAILED] * 3
    assert {job.reason for job in three} == {Reason.NODE_SILENT}


# --- what a node and a requester see


def test_a_node_is_handed_each_requests_own_documents(world, three):
    for job in three:
        found = selectors.job_at_node(world.bodies["zurich"], job.uuid)
        documents = selectors.documents_for(job=found, node=world.bodies["zurich"])
        assert documents["job"] == str(job.uuid)
        others = [other for other in three if other != job]
        for other in others:
            assert not any(each in str(documents).encode() for each in spellings(str(other.uuid).encode()))
            assert other.request_digest not in str(documents)


def test_batches_for_as_many_records_are_used_again(world, three):
    world.reserved(three[0])
    for job in three:
        for slug in NODES:
            world.result(job, slug)
    [dealt] = world.ticket(three[0])["ahead"]
    assert {world.ticket(job)["ahead"][0] for job in three} == {dealt}
    alone = world.recorded()
    assert world.ticket(alone)["batch"] != dealt
    jobs = [world.ask() for _ in range(3)]
    assert world.ticket(world.dispatched(jobs[0]))["batch"] == dealt
