from collections.abc import Callable, Iterator

import pytest

from compute.engine.job import Endpoint
from compute.engine.runner import EngineResult
from compute.engine.session import untold
from compute.node.jobs import Node
from compute.node.slot import EngineSlot
from concordat import ring
from concordat.canonical import b64
from tests.support.consortium import Case, Consortium, FakeCoordinator


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Consortium:
    return Consortium(tmp_path_factory.mktemp("consortium"))


@pytest.fixture
def consortium(shared) -> Iterator[Consortium]:
    """The institutions' folders, with pins, policy and memory as they were before any other test."""
    yield shared
    for slug, home in shared.homes.items():
        for leftover in home.directory.glob("state.sqlite3*"):
            leftover.unlink()
        if slug in ("cleveland", "budapest", "zurich", "notary"):
            shared.write_policy(slug)


@pytest.fixture
def case(consortium) -> Case:
    return Case.make(consortium)


def _random_output() -> dict[str, str]:
    lengths = {"prediction": 1, "explanation": 13}
    return {part: b64(ring.to_bytes(ring.random((length,)))) for part, length in lengths.items()}


class Engine:
    """Stands in for an engine process where a test is about the node's decision, not about the computation."""

    def __init__(self) -> None:
        self.killed, self.jobs = False, []

    def reserve(self, role: str, rank: int, timeout: float) -> Endpoint:
        self.role, self.rank = role, rank
        return {"address": "127.0.0.1:4000", "certificate": "certificate"}

    def run(self, job: dict, timeout: float, tell: Callable[[int, int], None] = untold) -> EngineResult:
        self.jobs.append(job)
        party = self.role == "party"
        others = [peer for peer in range(4) if peer != self.rank]
        return EngineResult(
            outputs=[_random_output() for _ in job.get("records", [])],
            rounds=4,
            bytes_sent=1000,
            conversations=[{"peer": peer, "sent": b64(bytes(64)), "received": b64(bytes(32))} for peer in others],
            seeds=[{"key": b64(bytes(32)), "drawn": []} for _ in job.get("records", [])] if party else [],
            batches=[],
            cpu_seconds="0.250",
            seconds="0.500",
            seconds_offline="0.200",
            seconds_online="0.300",
        )

    def kill(self) -> None:
        self.killed = True


@pytest.fixture
def make_node(consortium) -> Iterator[Callable[..., tuple[Node, FakeCoordinator, list[Engine]]]]:
    nodes: list[Node] = []

    def make(case: Case, slug: str = "budapest", **options):
        engines: list[Engine] = []

        def start() -> Engine:
            engines.append(Engine())
            return engines[-1]

        coordinator = FakeCoordinator(case, slug)
        node = Node(consortium.homes[slug], coordinator, slot=EngineSlot(start), **options)
        nodes.append(node)
        return node, coordinator, engines

    yield make
    for node in nodes:
        node.close()
