"""How far a computation is, is said by one node, now and then, and changes nothing for its work."""

import queue
import threading

import pytest

from compute.node import progress
from compute.node.progress import Progress
from concordat.reasons import Reason, Refused
from tests.compute.node.conftest import Engine
from tests.support.consortium import accept_all


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(progress, "SECONDS", 0.01)


class Deaf:
    """Refuses what it hears, and waits with the first until told to go on."""

    def __init__(self):
        self.heard, self.go_on = queue.SimpleQueue(), threading.Event()

    def progress(self, job, done, rounds):
        self.heard.put((job, done, rounds))
        self.go_on.wait(10)
        raise Refused(Reason.COORDINATOR_UNAVAILABLE)


def test_the_newest_is_said_and_what_nobody_hears_is_not_repeated():
    coordinator = Deaf()
    with Progress(coordinator, "job") as told:
        told.tell(1, 9)
        assert coordinator.heard.get(timeout=10) == ("job", 1, 9)
        told.tell(2, 9)
        told.tell(3, 9)  # while the first one is on its way
        coordinator.go_on.set()
        assert coordinator.heard.get(timeout=10) == ("job", 3, 9)
        told.tell(4, 9)
        assert coordinator.heard.get(timeout=10) == ("job", 4, 9)


def test_what_is_over_soon_is_not_spoken_of(monkeypatch):
    monkeypatch.setattr(progress, "SECONDS", 60)
    coordinator = Deaf()
    with Progress(coordinator, "job") as told:
        told.tell(9, 9)
    assert coordinator.heard.empty()


@pytest.mark.parametrize(("slug", "speaks"), [("cleveland", True), ("budapest", False), ("notary", False)])
def test_the_first_party_s_node_speaks_for_all(case, make_node, monkeypatch, slug, speaks):
    node, coordinator, _ = make_node(case, slug)
    heard = []

    def run(engine, job, timeout, tell=None):
        if tell is not None:
            tell(3, 8)
            heard.append(coordinator.told.get(timeout=10))
        return compute(engine, job, timeout)

    compute = Engine.run
    monkeypatch.setattr(Engine, "run", run)
    node.reserve(case.token)
    accept_all(case)
    node.start(case.batch)
    assert heard == ([(case.job, 3, 8)] if speaks else [])
    assert len(coordinator.results) == 1
