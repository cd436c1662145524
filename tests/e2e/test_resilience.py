"""What happens when a part fails while a patient's request is under way: nothing is lost, and nothing half-done is
shown as done. Each test leaves the consortium whole again."""

import contextlib
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from concordat.client import consents, predict
from concordat.client.answers import Status
from concordat.client.follow import once_there
from concordat.client.work import Work
from concordat.reasons import Reason, Refused
from concordat.states import JobState, ended
from config.demo.consortium import LONG_BEACH
from config.demo.waiting import until
from tests.e2e.conftest import Demo, database

pytestmark = [pytest.mark.demo, pytest.mark.xdist_group("demo"), pytest.mark.timeout(600)]

SECONDS = 240.0
"""For a busy machine: a prediction takes a few of them."""


@pytest.fixture
def work(demo: Demo) -> Work:
    """A new patient's request, signed and on disk, not yet sent."""
    demo.story.give_consent()
    return demo.story.prepare()


@pytest.fixture(autouse=True)
def _whole_again(demo: Demo) -> Iterator[None]:
    yield
    supervisor = demo.world.supervisor
    for name in ("redis", "chain", "web", "worker", *(f"node-{slug}" for slug in demo.world.stack.nodes)):
        if name not in supervisor.names() or name in supervisor.dead():
            supervisor.restart(name)


def status(demo: Demo, work: Work) -> Status:
    return demo.world.api(LONG_BEACH).prediction(work.job)


def submit(demo: Demo, work: Work) -> None:
    predict.submit(work, demo.world.api(LONG_BEACH))


def reach(demo: Demo, work: Work, *states: JobState) -> Status:
    """Waits until the job is in one of the states. Any other end is a failure of the test."""

    def there() -> Status | None:
        now = status(demo, work)
        if now["state"] in states:
            return now
        assert not ended(JobState(now["state"])), now
        return None

    return until(there, seconds=SECONDS)  # type: ignore[return-value]


def check_nothing_to_open(demo: Demo, work: Work) -> None:
    with pytest.raises(Refused):
        predict.open_result(demo.world.home(LONG_BEACH), demo.world.api(LONG_BEACH), work)


def sealed_inputs(demo: Demo, work: Work) -> int:
    with database(demo) as copy:
        query = (
            "SELECT count(*) FROM compute_sealedinput AS i JOIN compute_job AS j ON i.job_id = j.id WHERE j.uuid = ?"
        )
        (count,) = copy.execute(query, (work.job.replace("-", ""),)).fetchone()
    return int(count)


def test_a_party_that_is_down_is_named_and_nothing_is_computed(demo: Demo, work: Work) -> None:
    demo.world.supervisor.kill("node-zurich")
    submit(demo, work)
    found = reach(demo, work, JobState.FAILED)
    assert found["reason"] == Reason.NODE_SILENT
    assert "zurich" in found["detail"]
    assert "budapest" not in found["detail"]
    check_nothing_to_open(demo, work)
    assert sealed_inputs(demo, work) == 0


def test_a_party_that_dies_in_the_middle_ends_the_job_for_all(demo: Demo, work: Work) -> None:
    engine = compute_with_frozen_engine(demo, work, "zurich")
    engines = {engine_of(demo, slug) for slug in demo.world.stack.nodes}  # of this job: nobody has a spare meanwhile
    assert engine in engines
    os.kill(engine, signal.SIGKILL)
    found = reach(demo, work, JobState.FAILED)
    assert found["reason"] in {Reason.PEER_LOST, Reason.PEER_ABSENT, Reason.ENGINE_FAILED}
    check_nothing_to_open(demo, work)
    assert sealed_inputs(demo, work) == 0
    until(lambda: not engines & set(processes()), seconds=SECONDS)


def test_a_request_waits_for_the_broker(demo: Demo, work: Work) -> None:
    demo.world.supervisor.stop("redis")
    submit(demo, work)
    waiting = until(lambda: with_reason(demo, work, Reason.BROKER_UNAVAILABLE), seconds=SECONDS)
    assert waiting["state"] == JobState.AUTHORISED  # type: ignore[index]
    assert sealed_inputs(demo, work) == 3
    demo.world.supervisor.restart("redis")
    assert reach(demo, work, JobState.RECORDED, JobState.ANCHORED, JobState.FINAL)["reason"] == ""


def test_a_result_waits_for_the_chain_only_to_become_final(demo: Demo, work: Work) -> None:
    demo.world.supervisor.kill("chain")
    submit(demo, work)
    reach(demo, work, JobState.RECORDED)
    opens = partial(predict.open_result, demo.world.home(LONG_BEACH), demo.world.api(LONG_BEACH), work)
    opened = once_there(opens, seconds=SECONDS)
    assert opened.explanation.probability == pytest.approx(demo.report.prediction["plaintext"], abs=1e-3)
    assert status(demo, work)["state"] == JobState.RECORDED
    demo.world.supervisor.restart("chain")
    reach(demo, work, JobState.FINAL)


@pytest.mark.parametrize("victim", ["worker", "web"])
def test_killing_the_coordinator_in_the_middle_loses_and_doubles_nothing(demo: Demo, work: Work, victim: str) -> None:
    submit(demo, work)
    demo.world.supervisor.kill(victim)
    demo.world.supervisor.restart(victim)
    found = reach(demo, work, JobState.RECORDED, JobState.ANCHORED, JobState.FINAL)
    with database(demo) as copy:
        query = (
            'SELECT e.event FROM ledger_logentry AS e JOIN ledger_reference AS r ON r.entry_id = e."index" '
            "WHERE r.name = 'job' AND r.value = ? AND e.event IN ('prediction.recorded', 'explanation.recorded')"
        )
        events = sorted(event for (event,) in copy.execute(query, (work.job,)).fetchall())
    assert events == ["explanation.recorded", "prediction.recorded"]
    assert found["record"]


def test_the_workers_clock_dies_with_the_worker(demo: Demo) -> None:
    """Else it would go on queueing tasks beside the clock of the next worker."""
    worker = demo.world.supervisor.pid("worker")
    clocks = [pid for pid in processes() if worker in ancestors(pid)]
    assert clocks
    os.kill(worker, signal.SIGKILL)
    until(lambda: not set(clocks) & set(processes()), seconds=SECONDS)
    until(lambda: "worker" in demo.world.supervisor.dead(), seconds=SECONDS)  # its clock hears of it before it is gone


def test_withdrawal_while_a_job_runs_withholds_its_result(demo: Demo, work: Work) -> None:
    engine = compute_with_frozen_engine(demo, work, "budapest")
    consents.withdraw(demo.world.home(LONG_BEACH), demo.world.api(LONG_BEACH), demo.story.consent)
    os.kill(engine, signal.SIGCONT)
    found = until(lambda: ended_as(demo, work), seconds=SECONDS)
    assert found["state"] in {JobState.WITHHELD, JobState.FAILED}  # type: ignore[index]
    assert found["reason"] in {Reason.CONSENT_WITHDRAWN, Reason.RESULT_WITHHELD}  # type: ignore[index]
    check_nothing_to_open(demo, work)


def compute_with_frozen_engine(demo: Demo, work: Work, slug: str) -> int:
    """Brings the job to *computing* with one party's engine stopped, so that it cannot end; answers its number.

    The dealer's node is held back until that party has accepted, because no engine computes before all have.
    """
    dealer = demo.world.supervisor.pid("node-notary")
    os.killpg(dealer, signal.SIGSTOP)
    try:
        submit(demo, work)
        until(lambda: slug in accepted(demo, work), seconds=SECONDS)
        engine = engine_of(demo, slug)
        os.kill(engine, signal.SIGSTOP)
    finally:
        os.killpg(dealer, signal.SIGCONT)
    reach(demo, work, JobState.COMPUTING)
    return engine


def accepted(demo: Demo, work: Work) -> set[str]:
    with database(demo) as copy:
        query = (
            "SELECT i.slug FROM compute_answer AS a JOIN compute_job AS j ON a.job_id = j.id "
            "JOIN governance_institution AS i ON a.node_id = i.id WHERE j.uuid = ?"
        )
        return {slug for (slug,) in copy.execute(query, (work.job.replace("-", ""),)).fetchall()}


def with_reason(demo: Demo, work: Work, reason: Reason) -> Status | None:
    now = status(demo, work)
    return now if now["reason"] == reason else None


def ended_as(demo: Demo, work: Work) -> Status | None:
    now = status(demo, work)
    return now if ended(JobState(now["state"])) else None


def processes() -> list[int]:
    """The numbers of all living processes; a dead one that nobody has buried yet does not count."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if path.read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(int(path.parent.name))
    return found


def engine_of(demo: Demo, slug: str) -> int:
    """The process number of a node's engine (while it holds one it has no other), 0 if it has none: found by its
    command and its parent."""
    node = demo.world.supervisor.pid(f"node-{slug}")
    for pid in processes():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if b"compute.engine" in Path(f"/proc/{pid}/cmdline").read_bytes() and node in ancestors(pid):
                return pid
    return 0


def ancestors(pid: int) -> set[int]:
    found: set[int] = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while pid > 1:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            found.add(pid)
    return found
