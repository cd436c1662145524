"""Randomness that is dealt in one job and used in a later one: what it saves, and that nothing else changes."""

import threading

import pytest

from compute.engine import batches, session
from compute.engine.replay import Fault
from concordat.canonical import unb64
from concordat.reasons import Reason
from tests.compute.engine.test_replay import judged
from tests.support.engines import DEALER, PARTIES, Case, opened, random_case, run_here

PLAN = 386


def with_canary(kind):
    case = random_case(kind)
    return Case(kind, case.record, case.tensors, others=[-case.record])


def batch_of(answers, place=0):
    """Every engine's part of a batch, by rank, as its node keeps it."""
    return [answer["batches"][place] for answer in answers]


def sent(answers):
    """Bytes that each party sent."""
    return [answer["bytes_sent"] for answer in answers[:PARTIES]]


@pytest.fixture(scope="module")
def case():
    return with_canary("mlp")


@pytest.fixture(scope="module")
def first(case):
    return run_here(case, ahead=2)


@pytest.fixture(scope="module")
def later(case, first):
    return run_here(case, dealt=batch_of(first))


def test_a_job_on_a_batch_finds_what_a_job_finds(case, first, later):
    for place in range(2):
        wanted, coefficients, _ = case.expected(place)
        for answers in (first, later):
            prediction, explanation = opened(case, answers, place)
            assert prediction == pytest.approx(wanted, abs=1e-3)
            assert explanation[: len(coefficients)] == pytest.approx(coefficients, abs=1e-3)


def test_the_dealer_sends_nothing_in_a_job_on_a_batch(case, first, later):
    plain = run_here(case)
    assert [answer["rounds"] for answer in later] == [8, 8, 8, 0]
    assert later[DEALER]["bytes_sent"] == PARTIES * len(session.DONE)
    # Each party is spared the plan, and nothing else changes on the wires.
    assert [one - other for one, other in zip(sent(plain), sent(later), strict=True)] == [PLAN] * PARTIES
    dealt = plain[DEALER]["bytes_sent"] - PARTIES * len(session.DONE)
    assert first[DEALER]["bytes_sent"] == 3 * dealt + PARTIES * len(session.DONE)
    assert [answer["rounds"] for answer in first] == [8, 8, 8, 3 * plain[DEALER]["rounds"]]


def test_every_batch_has_keys_of_its_own_and_the_dealer_keeps_none(first):
    keys = [key for place in range(2) for part in batch_of(first, place)[:PARTIES] for key in part["keys"]]
    used = [seeds["key"] for answer in first[:PARTIES] for seeds in answer["seeds"]]
    assert len({*keys, *used}) == 2 * 2 * PARTIES + 2 * PARTIES
    assert [bool(part["corrections"]) for part in batch_of(first)[:PARTIES]] == [True, False, False]
    for batch in batch_of(first)[DEALER], batch_of(first, 1)[DEALER]:
        assert set(batch) == {"plan", "sent"}
        assert not any(unb64(key) in unb64(each) for key in keys for each in batch["sent"])


def test_both_sides_sign_for_a_batch_as_for_what_is_dealt_in_the_job(case, later):
    for party in range(PARTIES):
        [sent] = [each["sent"] for each in later[DEALER]["conversations"] if each["peer"] == party]
        [received] = [each["received"] for each in later[party]["conversations"] if each["peer"] == DEALER]
        assert sent == received
    assert [judged(case, later, place) for place in range(2)] == [[], []]


def test_a_job_on_a_batch_may_deal_the_next(case, first):
    second = run_here(case, ahead=1, dealt=batch_of(first, 1))
    third = run_here(case, dealt=batch_of(second))
    prediction, _ = opened(case, third)
    assert prediction == pytest.approx(case.expected()[0], abs=1e-3)
    assert judged(case, third, 1) == []


def test_a_dealer_that_dealt_a_batch_wrongly_is_named_in_the_job_that_uses_it(monkeypatch):
    case, honest, dealings = with_canary("linear"), batches.deal, []

    def deal(plan, keys):
        dealings.append(plan)
        wrong = len(dealings) > 2  # the first two are this job's own runs
        for index, correction in enumerate(honest(plan, keys)):
            yield bytes([correction[0] ^ (wrong and index == 1)]) + correction[1:]

    monkeypatch.setattr(batches, "deal", deal)
    first = run_here(case, ahead=1)
    monkeypatch.undo()
    later = run_here(case, dealt=batch_of(first))
    assert [judged(case, first, place) for place in range(2)] == [[], []]
    assert [judged(case, later, place) for place in range(2)] == [[Fault(DEALER, "wrong randomness")]] * 2


def test_who_uses_another_batch_than_the_others_brings_no_result_about(case, first):
    mixed = batch_of(first)
    mixed[1] = batch_of(first, 1)[1]
    answers = run_here(case, dealt=mixed)  # what is computed is noise, and its range is checked
    assert [answer["outputs"] for answer in answers[:PARTIES]] == [[None, None]] * PARTIES


def test_a_dealer_that_signs_for_another_batch_is_contradicted_by_every_party(case, first):
    answers = run_here(case, dealt=[*batch_of(first)[:PARTIES], batch_of(first, 1)[DEALER]])
    for party in range(PARTIES):
        [sent] = [each["sent"] for each in answers[DEALER]["conversations"] if each["peer"] == party]
        [received] = [each["received"] for each in answers[party]["conversations"] if each["peer"] == DEALER]
        assert sent != received


def test_a_batch_that_was_dealt_for_another_plan_is_refused_before_anything_is_sent(first):
    answers = run_here(random_case("mlp"), dealt=batch_of(first), round_seconds=2)  # one record, not two
    assert [answer.reason for answer in answers[:PARTIES]] == [Reason.RANDOMNESS_USED] * PARTIES
    assert answers[DEALER].reason is Reason.PEER_LOST


def test_what_is_too_large_to_be_kept_is_not_dealt_ahead(case, monkeypatch):
    monkeypatch.setattr(batches, "LARGEST", 1000)
    answers = run_here(case, ahead=1)
    assert [answer["batches"] for answer in answers] == [[]] * (PARTIES + 1)


def test_engines_that_were_told_differently_whether_there_is_a_batch_do_not_start(case, first):
    answers = run_here(case, dealt=[*batch_of(first)[:2], None, batch_of(first)[DEALER]], startup_seconds=5)
    assert Reason.CONFLICT in {answer.reason for answer in answers}
    assert not any(isinstance(answer, dict) for answer in answers)


def test_who_computes_does_not_wait_for_what_is_dealt_ahead(case, monkeypatch):
    honest, compute = batches.corrections, session.Session.compute
    computed, dealings = threading.Barrier(PARTIES + 1), []

    def once_all_have_computed(plan, keys):
        dealings.append(plan)
        if len(dealings) == 2:
            computed.wait(15)
        return honest(plan, keys)

    def then_say_so(self, protocols):
        results = compute(self, protocols)
        computed.wait(15)
        return results

    monkeypatch.setattr(batches, "corrections", once_all_have_computed)
    monkeypatch.setattr(session.Session, "compute", then_say_so)
    answers = run_here(case, ahead=1)
    assert [len(answer["batches"]) for answer in answers] == [1] * (PARTIES + 1)
