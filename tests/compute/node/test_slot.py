"""The node's engine and its spare, as real processes: which one a ticket gets, and what is left of them."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from compute.engine.runner import EngineProcess
from compute.node.slot import EngineSlot
from concordat import clock
from concordat.reasons import Reason, Refused
from tests.support.consortium import new_uuid
from tests.support.engines import random_case

PATIENCE = 120


class Started(list[EngineProcess]):
    """Every engine that was started, in order."""

    def __init__(self) -> None:
        self.start = EngineProcess.start

    def __call__(self) -> EngineProcess:
        self.append(self.start())
        return self[-1]


@pytest.fixture
def started():
    return Started()


@pytest.fixture
def slot(started):
    made = EngineSlot(started)
    yield made
    made.close()
    assert not any(engine.alive for engine in started)


@pytest.fixture
def warm(slot, started, nursery):
    """A slot whose spare has imported everything, as each after it."""
    started.start = nursery.start
    slot.warm()
    slot.spare.warm(PATIENCE)
    return slot


def take(slot, batch, seconds=PATIENCE):
    now = clock.now()
    return slot.take(batch, "party", 0, now=now, until=now + timedelta(seconds=seconds))


def reason(call, *arguments):
    with pytest.raises(Refused) as caught:
        call(*arguments)
    return caught.value.reason


def compute(slot, batch, endpoint, *, timeout=PATIENCE):
    """A job whose other engines are not there."""
    others = [{"address": "127.0.0.1:9", "certificate": f"{rank}AAA"} for rank in range(3)]
    job = random_case("linear").job(0, batch, [endpoint, *others])
    with slot.conversation(batch) as engine:
        engine.run(job, timeout)


# --- which engine a ticket gets


def test_a_ticket_gets_the_spare(warm, started):
    [spare] = started
    warm.warm()  # changes nothing
    endpoint = take(warm, new_uuid())
    assert warm.engine is spare
    assert endpoint["address"].startswith("127.0.0.1:")
    assert (warm.spare, len(started)) == (None, 1)


def test_a_ticket_that_comes_while_the_spare_imports_waits_for_it(slot, started):
    slot.warm()
    take(slot, new_uuid())
    assert [slot.engine] == started


def test_a_spare_that_died_is_replaced_when_it_is_needed(warm, started):
    os.kill(warm.spare.pid, signal.SIGKILL)
    started[0]._process.wait(PATIENCE)
    take(warm, new_uuid())
    assert [warm.engine] == started[1:]


def test_a_slot_that_was_never_warmed_keeps_no_spare(slot, started):
    batch = new_uuid()
    take(slot, batch)
    slot.free(batch)
    assert (slot.spare, len(started)) == (None, 1)


def test_of_several_tickets_at_once_one_gets_the_engine(warm, started):
    with ThreadPoolExecutor(8) as pool:
        taken = [pool.submit(take, warm, new_uuid()) for _ in range(8)]
    refusals = [error for each in taken if (error := each.exception())]
    assert [error.reason for error in refusals] == [Reason.NODE_BUSY] * 7
    assert [warm.engine] == started


# --- one job, one process


def test_a_job_that_fails_takes_only_its_own_process_and_leaves_nothing_to_the_next(warm, started):
    first, second = new_uuid(), new_uuid()
    endpoint = take(warm, first)
    assert reason(compute, warm, first, endpoint) is Reason.FIELD_INVALID  # those are no certificates
    assert not started[0].alive
    assert len(started) == 1  # nothing starts before the job's end has been told
    warm.free(first)
    assert warm.spare.alive
    other = take(warm, second)
    assert [warm.engine] == started[1:]
    assert warm.engine.pid != started[0].pid
    assert other["certificate"] != endpoint["certificate"]


def test_an_engine_that_is_killed_in_its_job_takes_only_itself(warm, started):
    batch = new_uuid()
    endpoint = take(warm, batch)
    os.kill(warm.engine.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        computing = pool.submit(reason, compute, warm, batch, endpoint)
        os.kill(started[0].pid, signal.SIGKILL)
        assert computing.result(PATIENCE) is Reason.ENGINE_FAILED
    warm.free(batch)
    take(warm, new_uuid())
    assert [warm.engine] == started[1:]


def test_no_spare_is_started_while_a_job_computes(warm, started):
    batch = new_uuid()
    take(warm, batch)
    with warm.conversation(batch):
        warm.warm()
        assert (warm.spare, len(started)) == (None, 1)
    warm.free(batch)
    assert [warm.spare] == started[1:]


def test_an_engine_is_given_work_once(warm):
    batch = new_uuid()
    take(warm, batch)
    with warm.conversation(batch):
        assert reason(lambda: warm.conversation(batch).__enter__()) is Reason.EXPIRED
    assert reason(lambda: warm.conversation(batch).__enter__()) is Reason.EXPIRED


def test_an_engine_sees_nothing_of_its_nodes(slot, tmp_path, monkeypatch):
    monkeypatch.setenv("CONCORDAT_SECRET_KEY", "needle")
    key = tmp_path / "identity.pem"
    key.write_text("needle")
    with key.open():
        slot.warm()
        slot.spare.warm(PATIENCE)
        process = Path(f"/proc/{slot.spare.pid}")
        assert b"needle" not in (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        assert key not in [file.readlink() for file in (process / "fd").iterdir()]


# --- what ends early


def test_who_lets_go_while_an_engine_imports_ends_it(slot, started):
    batch = new_uuid()
    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(reason, take, slot, batch)
        while not started:
            threading.Event().wait(0.01)
        slot.free(batch)
        assert taking.result(PATIENCE) is Reason.EXPIRED
    assert not started[0].alive


def test_a_hold_may_lapse_before_the_engine_is_ready(slot, started):
    assert reason(take, slot, new_uuid(), 0.2) is Reason.EXPIRED
    assert not slot.taken
    assert not started[0].alive


def test_an_engine_that_cannot_listen_refuses_the_ticket_and_leaves_no_process():
    engines = []

    def start():
        engines.append(EngineProcess.start("192.0.2.1"))
        return engines[-1]

    slot, batch = EngineSlot(start), new_uuid()
    assert reason(take, slot, batch) is Reason.ENGINE_FAILED
    assert (slot.engine, engines[0].alive) == (None, False)
    assert reason(take, slot, new_uuid()) is Reason.NODE_BUSY  # until the node has said so
    slot.free(batch)
    assert not slot.taken


def test_a_spare_that_cannot_be_started_is_tried_again_by_the_next_ticket(warm, started, monkeypatch):
    started.start, batch = EngineProcess.start, new_uuid()
    take(warm, batch)
    with monkeypatch.context() as nowhere:
        nowhere.setattr("sys.executable", "/nowhere")
        warm.free(batch)
        assert warm.spare is None
        assert reason(take, warm, batch) is Reason.ENGINE_FAILED
        warm.free(batch)
    take(warm, new_uuid())
    assert len(started) == 2


@pytest.mark.parametrize("held", [False, True])
def test_closing_leaves_no_process_and_starts_none(slot, started, held):
    slot.warm()
    batch = new_uuid()
    if held:
        take(slot, batch)
    slot.close()
    slot.free(batch)
    assert (slot.engine, slot.spare, slot.taken) == (None, None, False)
    assert [engine.alive for engine in started] == [False]


def test_closing_ends_an_engine_that_someone_waits_for(slot, started):
    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(reason, partial(take, slot), new_uuid())
        while not started:
            threading.Event().wait(0.01)
        slot.close()
        assert taking.result(PATIENCE) is Reason.EXPIRED
    assert not started[0].alive
