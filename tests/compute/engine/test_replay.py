"""A node that cheats changes a result that is known, sooner or later, and is then named.

The engines are real ones, on real connections; the cheat is in the protocol that one of them runs.
"""

import random
from contextvars import ContextVar
from dataclasses import replace

import numpy as np
import pytest
import torch

from compute.engine import batches, comparison, execution, lime
from compute.engine.replay import Evidence, Fault, replay
from compute.engine.session import Seeds
from concordat.canaries import known_result
from concordat.canonical import unb64
from tests.support.engines import DEALER, PARTIES, Case, opened, opened_by_class, random_case, run_here

CHEAT = 1


def a_job(kind, records=2, what_ifs=0):
    generator = np.random.default_rng(2)
    case = random_case(kind)
    others = [generator.normal(size=len(case.record)) for _ in range(records - 1)]
    return Case(kind, case.record, case.tensors, others=others, what_ifs=others[:what_ifs])


@pytest.fixture
def cheating(monkeypatch):
    """Have party `CHEAT` run another protocol on one record, and the right one on the others."""

    def cheat(case, place, how):
        mine = case.input_shares[place][CHEAT]
        honest = lime.explain

        def explain(party, kind, tensors, rows, *rest, **options):
            protocol = honest(party, kind, tensors, rows, *rest, **options)
            chosen = party.rank == CHEAT and np.array_equal(rows.record.numpy(), mine[: len(case.record)])
            return (yield from how(protocol)) if chosen else (yield from protocol)

        monkeypatch.setattr(execution, "explain", explain)

    return cheat


def adds_three(protocol):
    explained = yield from protocol
    return replace(explained, prediction=explained.prediction + (3 << 24))


def flips_a_comparison(protocol):
    """The first of every signs that it finds is the other one (see `signs`)."""
    answer = None
    while True:
        flipping.set(True)
        try:
            openings = protocol.send(answer)
        except StopIteration as finished:
            return finished.value
        finally:
            flipping.set(False)
        answer = yield openings


flipping = ContextVar("flipping", default=False)
"""Whether this thread takes a step of a protocol in which signs are flipped."""


@pytest.fixture
def signs(monkeypatch):
    honest = comparison._sign

    def sign(*arguments):
        found = yield from honest(*arguments)
        if flipping.get():
            found.view(-1)[0] ^= 1
        return found

    monkeypatch.setattr(comparison, "_sign", sign)


def swaps_two_rows(protocol):
    """From the second round on: of what it holds of the model's outputs."""
    openings = next(protocol)
    answer = yield openings
    while True:
        try:
            openings = [replace(each, share=_swapped(each.share)) for each in protocol.send(answer)]
        except StopIteration as finished:
            return finished.value
        answer = yield openings


def _swapped(share):
    return share if len(share) < 2 else torch.cat([share[1:2], share[:1], share[2:]])


def differs(case, answers, place):
    """Whether the opened numbers of a record are others than the plaintext ones."""
    if case.answers > 1:
        numbers = known_result(case.kind, case.tensors, case.design, case.records[place], case.target)
        return any(
            not np.allclose([each.prediction, *each.coefficients], [known, *explanation[:-3]], atol=2**-9)
            for each, known, explanation in zip(opened_by_class(case, answers, place), *numbers, strict=True)
        )
    prediction, explanation = opened(case, answers, place)
    wanted_prediction, wanted, squares = case.expected(place)
    return not (
        np.allclose(prediction, wanted_prediction, atol=2**-10)
        and np.allclose(explanation[: len(wanted)], wanted, atol=2**-10)
        and np.allclose(explanation[len(wanted) :], squares, rtol=0.01, atol=0.01)
    )


def evidence_of(answers, records, place):
    """What the engines' answers hold, as the owner of the model gets it."""
    sent = {}
    for rank, answer in enumerate(answers):
        for each in answer["conversations"]:
            data = unb64(each["sent"])
            sent[rank, each["peer"]] = [data[start : start + 32] for start in range(0, len(data), 32)]
    seeds = [
        Seeds(unb64(each["key"]), {one["peer"]: unb64(one["key"]) for one in each["drawn"]})
        for each in (answer["seeds"][place] for answer in answers[:PARTIES])
    ]
    return Evidence(sent, seeds, records, place)


def judged(case, answers, place, **changes):
    """The faults that a replay of one record finds. Nothing of the other records is used."""
    starts = []
    for rank in range(PARTIES):
        job = case.job(rank, "00000000-0000-4000-8000-000000000000", [])
        starts += execution.prepare(job | {"records": [job["records"][place]]})
    results = [
        tuple(unb64(answer["outputs"][place][part]) for part in ("prediction", "explanation"))
        for answer in answers[:PARTIES]
    ]
    found = replace(evidence_of(answers, len(case.records), place), **changes)
    return replay(starts, found, results)


@pytest.mark.parametrize("kind", ["linear", "mlp", "mlp-classes", "trees", "forest"])
def test_an_honest_job_is_found_to_be_one(kind):
    case = a_job(kind, records=3, what_ifs=1)
    if kind == "forest":
        case = replace(case, target="probability")
    answers = run_here(case)
    for place in range(3):
        assert not differs(case, answers, place)
        assert judged(case, answers, place) == []


@pytest.mark.parametrize(
    ("kind", "how", "act"),
    [
        ("linear", adds_three, "wrong result"),
        ("mlp", flips_a_comparison, "wrong message"),
        ("mlp-classes", adds_three, "wrong result"),
        ("trees", flips_a_comparison, "wrong message"),
        ("linear", swaps_two_rows, "wrong message"),
    ],
)
def test_who_cheats_on_a_canary_is_noticed_and_named(monkeypatch, cheating, signs, kind, how, act):
    case = a_job(kind)
    cheating(case, 1, how)
    answers = run_here(case)
    monkeypatch.undo()
    assert differs(case, answers, 1)
    assert not differs(case, answers, 0)
    faults = judged(case, answers, 1)
    assert [(fault.rank, fault.act) for fault in faults] == [(CHEAT, act)]
    assert judged(case, answers, 0) == []


@pytest.mark.parametrize("canaries", [1, 3])
def test_a_change_of_one_result_is_noticed_as_often_as_it_is_said_to_be(monkeypatch, cheating, canaries):
    """The cheat does not know which record is the patient's; so c times in c + 1 it meets a canary."""
    chance = random.Random(canaries)
    case = a_job("linear", records=canaries + 1)
    jobs, noticed = 20, 0
    for _ in range(jobs):
        patient = chance.randrange(canaries + 1)
        cheating(case, chance.randrange(canaries + 1), adds_three)
        answers = run_here(case)
        monkeypatch.undo()
        noticed += any(differs(case, answers, place) for place in range(canaries + 1) if place != patient)
    rate = canaries / (canaries + 1)
    assert abs(noticed - rate * jobs) < 3.5 * (jobs * rate * (1 - rate)) ** 0.5


def test_a_dealer_that_deals_wrongly_is_named(monkeypatch):
    honest = batches.deal

    def deal(plan, keys):
        for index, correction in enumerate(honest(plan, keys)):
            yield bytes([correction[0] ^ (index == 1)]) + correction[1:]

    case = a_job("linear", records=1)
    monkeypatch.setattr(batches, "deal", deal)
    answers = run_here(case)
    monkeypatch.undo()
    assert judged(case, answers, 0) == [Fault(DEALER, "wrong randomness")]


def test_who_lays_open_other_seeds_than_it_used_is_named():
    case = a_job("linear", records=1)
    answers = run_here(case)
    true = evidence_of(answers, 1, 0).seeds
    lies = {
        "other key": replace(true[CHEAT], key=bytes(32)),
        "other secret": replace(true[CHEAT], drawn=true[CHEAT].drawn | {0: bytes(32)}),
    }
    for act, lie in lies.items():
        seeds = [lie if rank == CHEAT else seeds for rank, seeds in enumerate(true)]
        assert judged(case, answers, 0, seeds=seeds) == [Fault(CHEAT, act)]


def test_what_one_record_is_replayed_from_says_nothing_about_another():
    case = a_job("linear")
    answers = run_here(case)
    first, second = (evidence_of(answers, 2, place).seeds for place in range(2))
    keys = [seeds.key for seeds in (*first, *second)]
    drawn = [key for seeds in (*first, *second) for key in seeds.drawn.values()]
    assert len({*keys, *drawn}) == 6 + 12


def test_what_ifs_are_predicted_beside_the_explanation():
    case = a_job("mlp", records=2, what_ifs=1)
    answers = run_here(case)
    for place in range(2):
        prediction, _ = opened(case, answers, place)
        assert prediction == pytest.approx(case.expected(place)[0], abs=1e-3)
        assert torch.numel(torch.as_tensor(prediction)) == 2
