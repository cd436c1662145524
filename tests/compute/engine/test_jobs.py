"""Whole jobs: three parties and a dealer. Most run as threads of this process, some in processes, as nodes run them."""

import ipaddress
import os
import signal
import socket
import ssl
import time
import uuid
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from compute.engine.certificates import Identity
from compute.engine.runner import EngineProcess
from concordat import design, ring
from concordat.canonical import b64, unb64
from concordat.reasons import Reason, Refused
from tests.support.engines import DEALER, PARTIES, SCHEMA, Case, Place, opened, random_case, run_here


@pytest.fixture(scope="module")
def cases():
    """Three jobs; the last two are one job run twice, on the same shares."""
    tensors = random_case("linear").tensors
    extreme = Case("linear", 12.0 * np.sign(tensors["weight"]), tensors)
    return {
        "mlp": random_case("mlp"),
        "linear": extreme,
        "linear again": extreme,
        "trees": random_case("trees"),
        "forest": random_case("forest", target="probability"),
        "risk": random_case("mlp", target="probability"),
        "small risk": random_case("linear", target="probability", clamped=False),
        "slopes": random_case("mlp", document=design.build_slopes(SCHEMA, seed="tests")),
        "slopes of trees": random_case("trees", document=design.build_slopes(SCHEMA, seed="tests", sampler="sobol")),
    }


@pytest.fixture(scope="module")
def runs(cases):
    return {name: run_here(case) for name, case in cases.items()}


@pytest.mark.parametrize(
    "name", ["mlp", "linear", "linear again", "trees", "forest", "risk", "small risk", "slopes", "slopes of trees"]
)
def test_the_opened_shares_are_the_plaintext_result(cases, runs, name):
    prediction, explanation = opened(cases[name], runs[name])
    wanted_prediction, wanted_coefficients, wanted_squares = cases[name].expected()
    assert prediction == pytest.approx(wanted_prediction, abs=1e-3)
    assert explanation[:-2] == pytest.approx(wanted_coefficients, abs=1e-4 * np.abs(wanted_coefficients).max())
    assert explanation[-2:] == pytest.approx(wanted_squares, rel=1e-3, abs=1e-4)


def test_the_extreme_record_is_extreme(cases, runs):
    prediction, _ = opened(cases["linear"], runs["linear"])
    assert prediction[0] > 40


def test_the_opened_numbers_give_the_r_squared_of_the_plaintext(cases, runs):
    prediction, explanation = opened(cases["mlp"], runs["mlp"])
    expected, coefficients, squares = cases["mlp"].expected()
    fit = cases["mlp"].design.fit
    plain = fit(expected[0], coefficients[:-1], coefficients[-1], *squares, target="log-odds")
    secure = fit(prediction[0], explanation[:-3], *explanation[-3:], target="log-odds")
    assert secure.r_squared == pytest.approx(plain.r_squared, abs=1e-3)
    assert secure.intervals == pytest.approx(plain.intervals, abs=2e-3 * np.abs(plain.coefficients).max())


def test_the_dealer_brings_no_result(runs):
    assert (runs["mlp"][DEALER]["outputs"], runs["mlp"][DEALER]["seeds"]) == ([], [])


# n = 128, k = 13, d = 10, h = 16. Linear: product (26 numbers), then the rows and the differences in pairs (193, of 4
# bytes) and the results (14); beside it 26 comparisons of 64 bits, and their count, 5 rounds. The network's product has
# 221 numbers; then come 129 · 16 ReLUs of 48 bits opened in full, and a matrix product (129 · 16 + 16). A probability
# opens the rows once more (129, of 4 bytes), and where it is clamped 258 comparisons of 24 bits before that.
@pytest.mark.parametrize(
    ("name", "rounds", "bytes_sent"),
    [
        ("linear", [5, 5, 5, 5], [3_173, 3_173, 3_173, 10_358]),
        ("mlp", [8, 8, 8, 7], [86_139, 86_139, 86_139, 163_622]),
        ("trees", [8, 8, 8, 9], [114_785, 114_785, 114_785, 908_262]),
        ("forest", [8, 8, 8, 9], [114_785, 114_785, 114_785, 908_262]),
        ("risk", [12, 12, 12, 9], [92_120, 92_120, 92_120, 223_092]),
        ("small risk", [5, 5, 5, 6], [4_252, 4_252, 4_252, 56_798]),
    ],
)
def test_rounds_and_bytes_are_exactly_these(runs, name, rounds, bytes_sent):
    assert [answer["rounds"] for answer in runs[name]] == rounds
    assert [answer["bytes_sent"] for answer in runs[name]] == bytes_sent


def test_the_same_job_costs_the_same_again_but_has_other_shares(runs):
    for first, second in zip(runs["linear"][:PARTIES], runs["linear again"][:PARTIES], strict=True):
        assert (first["rounds"], first["bytes_sent"]) == (second["rounds"], second["bytes_sent"])
        assert first["outputs"][0]["prediction"] != second["outputs"][0]["prediction"]
        shares = [np.frombuffer(unb64(each["outputs"][0]["explanation"]), dtype="<i8") for each in (first, second)]
        assert not np.any(shares[0] == shares[1])


def test_output_shares_look_uniform(runs):
    outputs = [answer["outputs"][0] for run in runs.values() for answer in run[:PARTIES]]
    shares = [unb64(each[part]) for each in outputs for part in PARTS]
    values = np.frombuffer(b"".join(shares), dtype=np.uint8)
    counts = np.bincount(np.concatenate([values >> 4, values & 15]), minlength=16)
    chi_squared = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
    assert chi_squared < 66  # 15 degrees of freedom: exceeded once in ten million


PARTS = ("prediction", "explanation")


def test_times_are_decimals_for_a_receipt(runs):
    for answer in runs["mlp"]:
        assert float(answer["cpu_seconds"]) > 0
        assert float(answer["seconds"]) >= float(answer["seconds_offline"]) + float(answer["seconds_online"]) - 0.01


# --- what is refused


def test_a_forest_is_not_asked_for_log_odds():
    answers = run_here(random_case("forest"), startup_seconds=1)
    assert [(answer.reason, answer.field) for answer in answers[:PARTIES]] == [(Reason.FIELD_INVALID, "target")] * 3


@pytest.mark.parametrize("value", [20.001, -20.001, 2.0**29])
def test_a_record_outside_its_ranges_has_no_result(value):
    case = random_case("linear")
    record = case.record.copy()
    record[4] = value
    answers = run_here(Case("linear", record, case.tensors))
    assert [answer["outputs"] for answer in answers[:PARTIES]] == [[None]] * PARTIES
    assert answers[DEALER]["ok"]


def test_a_record_outside_its_ranges_leaves_others_alone():
    case = random_case("linear")
    outside = np.full_like(case.record, 20.001)
    answers = run_here(Case("linear", case.record, case.tensors, others=[outside, -case.record]))
    for answer in answers[:PARTIES]:
        assert [each is None for each in answer["outputs"]] == [False, True, False]


def test_a_record_at_the_ends_of_its_ranges_is_in_order():
    case = random_case("linear")
    answers = run_here(Case("linear", np.where(np.arange(len(case.record)) % 2, 20.0, -20.0), case.tensors))
    assert all(answer["ok"] for answer in answers)


def test_a_party_with_another_certificate_than_its_node_named_gets_nowhere():
    places = [Place() for _ in range(DEALER + 1)]
    peers = [place.endpoint for place in places]
    peers[1] = peers[1] | {"certificate": Place().endpoint["certificate"]}
    began = time.monotonic()
    answers = run_here(random_case("linear"), places=places, peers=peers)
    assert Reason.PEER_UNVERIFIED in {answers[rank].reason for rank in (0, 2, DEALER)}
    # Whoever finds out leaves at once, and the others see that.
    assert {answer.reason for answer in answers} <= {Reason.PEER_UNVERIFIED, Reason.PEER_LOST, Reason.PEER_ABSENT}
    assert time.monotonic() - began < 30


def test_a_stranger_who_connects_is_hung_up_on_and_the_job_goes_on():
    places = [Place() for _ in range(DEALER + 1)]
    stranger = Identity.create()
    stranger.trust([places[0].identity.certificate])
    with (
        socket.create_connection(places[0].listener.getsockname()) as noise,
        socket.create_connection(places[0].listener.getsockname()) as call,
        ThreadPoolExecutor(1) as pool,
    ):
        noise.sendall(b"GET / HTTP/1.1\r\n\r\n")
        running = pool.submit(run_here, random_case("linear"), places=places)
        with stranger.client.wrap_socket(call) as secured, pytest.raises(ssl.SSLError, match="unknown ca"):
            secured.recv(1)
        assert all(answer["ok"] for answer in running.result())


def test_parties_that_ask_for_different_randomness_get_none(monkeypatch):
    """One party computes another model than the others: the dealer sees that their plans differ."""
    linear, mlp = random_case("linear"), random_case("mlp")
    answers = run_here(_Mixed(linear, mlp))
    assert answers[DEALER].reason == Reason.CONFLICT
    assert [answer.reason for answer in answers[:PARTIES]] == [Reason.PEER_LOST] * PARTIES


@dataclass
class _Mixed:
    most: Case
    last: Case

    def job(self, rank, *arguments, **limits):
        return (self.last if rank == PARTIES - 1 else self.most).job(rank, *arguments, **limits)


# --- in processes


@dataclass
class Engines:
    by_rank: dict[int, EngineProcess]
    peers: list[dict[str, str]]
    told: dict[int, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))

    def run(self, case, **limits):
        """Every engine's result, or the Refused it ended with, by rank."""

        job = str(uuid.uuid4())

        def one(rank):
            try:
                return self.by_rank[rank].run(
                    case.job(rank, job, self.peers, **limits), 60, lambda *told: self.told[rank].append(told)
                )
            except Refused as refused:
                return refused

        with ThreadPoolExecutor(len(self.by_rank)) as pool:
            return dict(zip(self.by_rank, pool.map(one, self.by_rank), strict=True))


@pytest.fixture(scope="module")
def start():
    """Start engines of the given ranks; none outlives the tests."""
    with ExitStack() as stack:

        def ranks(*wanted):
            engines = {rank: stack.enter_context(EngineProcess.start()) for rank in wanted}
            nobody = {"address": "127.0.0.1:9", "certificate": b64(Identity.create().certificate)}
            peers = {
                rank: engine.reserve("dealer" if rank == DEALER else "party", rank, timeout=170)
                for rank, engine in engines.items()
            }
            return Engines(engines, [peers.get(rank, nobody) for rank in range(DEALER + 1)])

        yield ranks


def test_processes_compute_what_threads_do(start):
    case = random_case("mlp")
    engines = start(0, 1, 2, DEALER)
    results = engines.run(case)
    prediction = ring.combine(
        [ring.from_bytes(unb64(results[rank].outputs[0]["prediction"]), (1,)) for rank in range(PARTIES)]
    )
    assert ring.decode(prediction, ring.RESULT_BITS) == pytest.approx(case.expected()[0], abs=1e-4)
    assert [results[rank].rounds for rank in results] == [8, 8, 8, 7]
    assert engines.told == {rank: [(done, 8) for done in range(1, 9)] for rank in (0, 1, 2)}
    said = {(rank, each["peer"]): each for rank, result in results.items() for each in result.conversations}
    assert len(said) == 12  # pairs, in both directions
    assert all(each["received"] == said[peer, rank]["sent"] for (rank, peer), each in said.items())


@pytest.mark.parametrize(("victim", "fate"), [(2, "killed"), (DEALER, "killed"), (1, "frozen")])
def test_who_leaves_in_mid_job_is_missed_by_all_others(start, victim, fate):
    engines = start(0, 1, 2, DEALER)
    case = random_case("mlp", document=design.build(SCHEMA, seed="long", n=1024))
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(engines.run, case, round_seconds=60 if fate == "killed" else 4)
        pid = engines.by_rank[victim].pid
        wait_until(lambda: len(sockets(pid)) >= 1 + 2 * PARTIES)
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


def test_an_absent_party_is_noticed(start):
    began = time.monotonic()
    results = start(0, 1, DEALER).run(random_case("linear"))
    reasons = {result.reason for result in results.values()}
    assert Reason.PEER_ABSENT in reasons
    assert reasons <= {Reason.PEER_ABSENT, Reason.PEER_LOST}  # who finds out leaves, and others may see that first
    assert time.monotonic() - began < 60


def test_a_party_that_is_there_but_silent_is_waited_for_as_long_as_the_job_says(start):
    engines = start(0, 1, DEALER)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        engines.peers[2] |= {"address": f"127.0.0.1:{silent.getsockname()[1]}"}
        results = engines.run(random_case("linear"), startup_seconds=2)
    reasons = {result.reason for result in results.values()}
    assert Reason.PEER_ABSENT in reasons
    assert reasons <= {Reason.PEER_ABSENT, Reason.PEER_LOST}


def test_a_refused_job_names_the_field(start):
    engines = start(0)
    job = random_case("linear").job(0, str(uuid.uuid4()), [engines.peers[1], *engines.peers[1:]])
    with pytest.raises(Refused) as refused:
        engines.by_rank[0].run(job, timeout=30)
    assert (refused.value.reason, refused.value.field) == (Reason.FIELD_INVALID, "peers")


@pytest.mark.parametrize("seated", [False, True])
def test_an_engine_ends_with_its_parent(seated):
    with EngineProcess.start() as engine:
        engine.warm(timeout=60)
        if seated:
            engine.reserve("dealer", DEALER, timeout=60)
        assert engine.alive
        engine._process.stdin.close()
        assert engine._process.wait(timeout=30) == 1
        assert not engine.alive


def test_an_engine_listens_only_when_it_has_a_seat():
    with EngineProcess.start() as engine:
        engine.warm(timeout=60)
        assert sockets(engine.pid) == []
        engine.reserve("party", 1, timeout=60)
        assert sockets(engine.pid) == ["127.0.0.1"]


def test_a_seat_that_cannot_be_is_refused():
    with EngineProcess.start() as engine, pytest.raises(Refused) as refused:
        engine.reserve("party", 17, timeout=60)
    assert (refused.value.reason, refused.value.field) == (Reason.FIELD_INVALID, "rank")


def test_an_address_of_another_machine_is_refused():
    with EngineProcess.start("192.0.2.1") as engine, pytest.raises(Refused) as refused:
        engine.reserve("party", 1, timeout=60)
    assert refused.value.reason is Reason.ENGINE_FAILED
    assert "192.0.2.1" in refused.value.detail


def test_an_engine_listens_where_it_is_told_to():
    with EngineProcess.start("127.0.0.2") as engine:
        assert engine.reserve("party", 1, timeout=60)["address"].startswith("127.0.0.2:")
        assert sockets(engine.pid) == ["127.0.0.2"]


def test_a_machine_that_gives_no_process_is_a_refusal(monkeypatch):
    monkeypatch.setattr("sys.executable", "/nowhere")
    with pytest.raises(Refused) as refused:
        EngineProcess.start()
    assert refused.value.reason is Reason.ENGINE_FAILED


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
