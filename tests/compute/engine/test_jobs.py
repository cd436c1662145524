"""Whole jobs: three parties and a dealer, each in a process of its own, as nodes run them."""

import ipaddress
import json
import os
import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from compute.engine.runner import EngineProcess, EngineResult
from concordat import design, model, ring
from concordat.canonical import b64
from concordat.design import Design
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema

PARTIES = 3
DEALER = PARTIES
SCHEMA = FeatureSchema.from_json(
    json.loads((Path(__file__).parents[3] / "examples/heart_disease/schema.json").read_text())
)
COLUMNS = len(SCHEMA.columns)


@dataclass
class Case:
    """A plaintext record and model, and the shares that a run of the engines starts from."""

    kind: str
    record: np.ndarray
    tensors: dict[str, np.ndarray]
    document: dict = field(default_factory=lambda: design.build(SCHEMA, seed="tests"))

    def __post_init__(self):
        self.design = Design.from_json(self.document)
        self.shapes = model.KINDS[self.kind].shapes(COLUMNS)
        flat = np.concatenate([np.ravel(self.tensors[name]) for name, _ in self.shapes])
        self.model_shares = ring.split(ring.encode(flat), PARTIES)
        self.input_shares = ring.split(ring.encode(self.record), PARTIES)

    def job(self, rank, address, *, startup_seconds=30, round_seconds=20):
        common = {
            "job": str(uuid.uuid4()),
            "role": "dealer" if rank == DEALER else "party",
            "rank": rank,
            "parties": PARTIES,
            "address": address,
            "startup_seconds": startup_seconds,
            "round_seconds": round_seconds,
        }
        if rank == DEALER:
            return common
        return common | {
            "kind": self.kind,
            "tensors": [{"name": name, "shape": list(shape)} for name, shape in self.shapes],
            "design": self.document,
            "model": b64(ring.to_bytes(self.model_shares[rank])),
            "input": b64(ring.to_bytes(self.input_shares[rank])),
        }

    def expected(self):
        """Log-odds, coefficients with intercept, and total sum of squares, in float64."""
        prediction = model.forward(self.kind, self.tensors, self.record[None])
        y = model.forward(self.kind, self.tensors, self.design.column_masks * self.record)
        weights = self.design.weights / (1 << design.WEIGHT_BITS)
        total = weights @ (y - np.average(y, weights=weights)) ** 2
        return prediction, self.design.operator / (1 << design.OPERATOR_BITS) @ y, total


def random_case(kind, **kwargs):
    generator = np.random.default_rng(1)
    tensors = {name: 0.5 * generator.normal(size=shape) for name, shape in model.KINDS[kind].shapes(COLUMNS)}
    return Case(kind, generator.normal(size=COLUMNS), tensors, **kwargs)


@dataclass
class Engines:
    by_rank: dict[int, EngineProcess]
    address: str

    def run(self, case, **limits):
        """Every engine's result, or the Refused it ended with, by rank."""

        def one(rank):
            try:
                return self.by_rank[rank].run(case.job(rank, self.address, **limits), timeout=60)
            except Refused as refused:
                return refused

        with ThreadPoolExecutor(len(self.by_rank)) as pool:
            return dict(zip(self.by_rank, pool.map(one, self.by_rank), strict=True))


@pytest.fixture(scope="module")
def start():
    """Start engines of the given ranks; none outlives the tests."""
    with ExitStack() as stack:

        def ranks(*wanted):
            engines = {
                rank: stack.enter_context(EngineProcess.start("dealer" if rank == DEALER else "party", rank))
                for rank in wanted
            }
            addresses = {rank: engine.ready(timeout=90) for rank, engine in engines.items()}
            assert [rank for rank, address in addresses.items() if address] == [0]
            return Engines(engines, addresses[0])

        yield ranks


@dataclass
class Run:
    case: Case
    results: dict[int, EngineResult]

    def opened(self):
        """What only the requester can do: add the shares."""
        parties = [self.results[rank] for rank in range(PARTIES)]
        groups = len(self.case.design.groups)
        prediction = ring.combine([ring.from_bytes(result.prediction, (1,)) for result in parties])
        explanation = ring.combine([ring.from_bytes(result.explanation, (groups + 2,)) for result in parties])
        return ring.decode(prediction), ring.decode(explanation)


@pytest.fixture(scope="module")
def runs(start):
    """Three finished jobs; the last two are one job run twice, on the same shares."""
    tensors = random_case("linear").tensors
    extreme = Case("linear", 12.0 * np.sign(tensors["weight"]), tensors)
    cases = {"mlp": random_case("mlp"), "linear": extreme, "linear again": extreme}
    return {name: Run(case, start(0, 1, 2, DEALER).run(case)) for name, case in cases.items()}


@pytest.mark.parametrize("name", ["mlp", "linear", "linear again"])
def test_the_opened_shares_are_the_plaintext_result(runs, name):
    prediction, explanation = runs[name].opened()
    wanted_prediction, wanted_coefficients, wanted_total = runs[name].case.expected()
    assert prediction == pytest.approx(wanted_prediction, abs=1e-3)
    assert explanation[:-1] == pytest.approx(wanted_coefficients, abs=1e-3)
    assert explanation[-1] == pytest.approx(wanted_total, rel=1e-3)


def test_the_extreme_record_is_extreme(runs):
    prediction, _ = runs["linear"].opened()
    assert prediction[0] > 40


def test_the_opened_numbers_give_the_r_squared_of_the_plaintext(runs):
    _, explanation = runs["mlp"].opened()
    _, coefficients, total = runs["mlp"].case.expected()
    fit = runs["mlp"].case.design.fit
    secure = fit(explanation[:-2], explanation[-2], explanation[-1])
    assert secure.r_squared == pytest.approx(fit(coefficients[:-1], coefficients[-1], total).r_squared, abs=1e-3)


def test_the_dealer_brings_no_result(runs):
    dealer = runs["mlp"].results[DEALER]
    assert (dealer.prediction, dealer.explanation) == (None, None)


# n = 128, k = 13, d = 10, h = 16. Linear: 6 tuples (product, 4 truncations, square), one round each, 2 for the seeds
# and one to finish together. The network adds a matrix product, a truncation, and 16 rounds and tuples for the ReLU.
@pytest.mark.parametrize(
    ("name", "rounds", "bytes_sent"),
    [
        ("linear", {0: 9, 1: 9, 2: 9, DEALER: 6}, {0: 2791, 1: 4632, 2: 4632, DEALER: 3390}),
        ("mlp", {0: 27, 1: 27, 2: 27, DEALER: 24}, {0: 1856645, 1: 1873864, 2: 1873864, DEALER: 485168}),
    ],
)
def test_rounds_and_bytes_are_exactly_these(runs, name, rounds, bytes_sent):
    results = runs[name].results
    assert {rank: result.rounds for rank, result in results.items()} == rounds
    assert {rank: result.bytes_sent for rank, result in results.items()} == bytes_sent


def test_the_same_job_costs_the_same_again_but_has_other_shares(runs):
    for rank in range(PARTIES):
        first, second = runs["linear"].results[rank], runs["linear again"].results[rank]
        assert (first.rounds, first.bytes_sent) == (second.rounds, second.bytes_sent)
        assert first.prediction != second.prediction
        shares = [np.frombuffer(result.explanation, dtype="<i8") for result in (first, second)]
        assert not np.any(shares[0] == shares[1])


def test_output_shares_look_uniform(runs):
    data = b"".join(
        run.results[rank].prediction + run.results[rank].explanation for run in runs.values() for rank in range(PARTIES)
    )
    values = np.frombuffer(data, dtype=np.uint8)
    counts = np.bincount(np.concatenate([values >> 4, values & 15]), minlength=16)
    chi_squared = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
    assert chi_squared < 66  # 15 degrees of freedom: exceeded once in ten million


def test_times_are_decimals_for_a_receipt(runs):
    for result in runs["mlp"].results.values():
        assert float(result.cpu_seconds) > 0
        assert float(result.seconds) > 0


@pytest.mark.parametrize(("victim", "fate"), [(2, "killed"), (DEALER, "killed"), (1, "frozen")])
def test_who_leaves_in_mid_job_is_missed_by_all_others(start, victim, fate):
    engines = start(0, 1, 2, DEALER)
    case = random_case("mlp", document=design.build(SCHEMA, seed="long", n=1024))
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(engines.run, case, round_seconds=60 if fate == "killed" else 4)
        pid = engines.by_rank[victim].pid
        wait_until(lambda: len(sockets(pid)) >= 2 * PARTIES)
        os.kill(pid, signal.SIGSTOP)
        assert not outcome.done()
        addresses = {address for engine in engines.by_rank.values() for address in sockets(engine.pid)}
        if fate == "killed":
            os.kill(pid, signal.SIGKILL)
        others = [rank for rank in engines.by_rank if rank != victim]
        wait_until(lambda: all(engines.by_rank[rank]._process.poll() is not None for rank in others), seconds=30)
        engines.by_rank[victim].kill()
        results = outcome.result(timeout=30)
    assert results.pop(victim).reason == Reason.ENGINE_FAILED
    assert {rank: result.reason for rank, result in results.items()} == dict.fromkeys(results, Reason.PEER_LOST)
    assert addresses == {"127.0.0.1"}


def test_an_absent_party_is_named_when_the_start_up_time_is_over(start):
    results = start(0, 1, DEALER).run(random_case("linear"), startup_seconds=2)
    assert {result.reason for result in results.values()} == {Reason.PEER_ABSENT}
    assert all("2 seconds" in result.detail for result in results.values())


def test_a_refused_job_names_the_field(start):
    engines = start(0)
    job = random_case("linear").job(0, "192.0.2.7:40000")
    with pytest.raises(Refused) as refused:
        engines.by_rank[0].run(job, timeout=30)
    assert (refused.value.reason, refused.value.field) == (Reason.TRANSPORT_NOT_LOOPBACK, "address")


def test_an_engine_ends_with_its_parent():
    with EngineProcess.start("dealer", DEALER) as engine:
        engine.ready(timeout=60)
        engine._process.stdin.close()
        assert engine._process.wait(timeout=30) == 1


def sockets(pid):
    """Local addresses of the process's TCP sockets, one for each socket."""
    try:
        links = [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir()]
    except FileNotFoundError:
        return []
    inodes = {str(link)[8:-1] for link in links if str(link).startswith("socket:[")}
    tables = [Path("/proc/net") / name for name in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    return [address(line[1]) for line in lines if line[9] in inodes]


def address(local):
    """The address in a line of /proc/net/tcp or tcp6: words of four bytes, each little-endian."""
    words = bytes.fromhex(local.partition(":")[0])
    ip = ipaddress.ip_address(b"".join(words[start : start + 4][::-1] for start in range(0, len(words), 4)))
    return str(getattr(ip, "ipv4_mapped", None) or ip)


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
