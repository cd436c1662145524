"""What stands still is moved on, and whoever keeps others waiting is named."""

from datetime import timedelta

import pytest
import time_machine

from compute.models import SealedInput
from compute.services import jobs
from compute.services.sweep import sweep
from concordat import clock
from concordat.events import Event
from concordat.reasons import Reason
from concordat.states import JobState
from ledger.models import Anchor, LogEntry, TransactionState
from ledger.services.publish import publish
from tests.support.consortium import NODES, REQUESTER


def sweep_after(world, seconds):
    with time_machine.travel(clock.now() + timedelta(seconds=seconds)), world.commit():
        sweep()


def after(world, job, seconds):
    sweep_after(world, seconds)
    job.refresh_from_db()
    return job


def test_a_node_that_does_not_answer_is_named(world):
    job = world.dispatched()
    for slug in ("cleveland", "zurich", "notary"):
        world.answer(job, slug, world.acceptance(job, slug))
    assert after(world, job, 30).job_state is JobState.AUTHORISED
    job = after(world, job, 61)
    assert (job.job_state, job.reason) == (JobState.FAILED, Reason.NODE_SILENT)
    assert job.detail == "budapest did not answer in time."
    assert len(world.tasks("node.release")) == 4
    assert LogEntry.objects.get(event=Event.JOB_ENDED).public["reason"] == "node-silent"


def test_a_node_that_does_not_finish_is_named(world):
    job = world.computing()
    for slug in NODES[:2]:
        world.result(job, slug)
    job = after(world, job, 121)
    assert (job.job_state, job.reason) == (JobState.FAILED, Reason.NODE_SILENT)
    assert job.detail == "zurich, notary did not finish in time."
    assert not SealedInput.objects.exists()


def test_a_start_that_was_lost_is_sent_again(world, fake_broker):
    job = world.reserved()
    fake_broker.down = True
    assert after(world, job, 10).reason == Reason.BROKER_UNAVAILABLE
    fake_broker.down = False
    job = after(world, job, 20)
    assert job.job_state is JobState.COMPUTING
    assert len(world.tasks("node.start")) == 4


def test_reservations_lapse_when_nothing_could_be_started(world, fake_broker):
    job = world.reserved()
    fake_broker.down = True
    job = after(world, job, 61)
    assert (job.job_state, job.reason) == (JobState.EXPIRED, Reason.EXPIRED)


def test_a_cancelled_computation_ends_when_the_nodes_were_told(world, fake_broker):
    job = jobs.cancel(job=world.computing(), by=world.bodies[REQUESTER])
    fake_broker.down = True
    assert after(world, job, 0).job_state is JobState.CANCELLING
    fake_broker.down = False
    assert after(world, job, 0).job_state is JobState.CANCELLED
    assert set(world.tasks("node.release")) == {(world.ticket(job)["ticket"], slug) for slug in NODES}


def test_one_jobs_trouble_does_not_stop_the_others(world, fake_broker):
    first, second = world.ask(), world.ask()
    late = world.computing(first)
    second.refresh_from_db()
    stuck = jobs.cancel(job=second, by=world.bodies[REQUESTER])
    fake_broker.down = True
    assert after(world, late, 121).job_state is JobState.FAILED
    stuck.refresh_from_db()
    assert stuck.job_state is JobState.CANCELLING


def test_a_step_just_taken_is_left_alone(world):
    job = world.ask()
    assert after(world, job, 0).dispatched is None
    assert after(world, job, 6).dispatched is not None


@pytest.mark.parametrize(
    ("chain", "state"),
    [
        (TransactionState.SENT, JobState.RECORDED),
        (TransactionState.MINED, JobState.ANCHORED),
        (TransactionState.FINAL, JobState.FINAL),
    ],
)
def test_a_record_follows_its_anchor(world, chain, state):
    job = world.recorded()
    publish()
    _move_anchor(chain)
    after(world, job, 0)
    assert after(world, job, 0).job_state is state


def test_a_reorganised_chain_takes_the_anchor_back(world):
    job = world.recorded()
    publish()
    _move_anchor(TransactionState.MINED)
    assert after(world, job, 0).job_state is JobState.ANCHORED
    _move_anchor(TransactionState.SENT)
    assert after(world, job, 0).job_state is JobState.RECORDED


def _move_anchor(state):
    anchor = Anchor.objects.get()
    anchor.transaction.state = state
    anchor.transaction.save()
