"""Several requests whose tickets name one batch: computed at once, and apart in everything that anybody is told."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from concordat import clock, outputs, receipt, signatures
from concordat.canonical import digest, unb64
from concordat.reasons import Reason, Refused
from tests.support.consortium import NODES, Case, FakeCoordinator, accept_all, new_uuid, reason_of

OWN = "budapest"


def keyring(case):
    return case.consortium.homes["cleveland"].pins.keyring


class Coordinator(FakeCoordinator):
    """Hands out several cases to one node, and keeps what it says of each."""

    def __init__(self, cases, slug: str = OWN) -> None:
        super().__init__(cases[0], slug)
        self.cases = {case.job: case for case in cases}
        self.said: dict[str, list[str]] = {job: [] for job in self.cases}
        self.receipts: dict[str, tuple[str, str | None]] = {}

    def job(self, job):
        return self.cases[job].documents_of(self.slug)

    def answer(self, job, answer):
        self.said[job].append(answer)

    def result(self, job, token, sealed):
        self.receipts[job] = token, sealed


@pytest.fixture
def together(consortium, make_node):
    """Two requests that are computed at once, a node, its coordinator and its engines."""
    cases = [Case.make(consortium) for _ in range(2)]
    for place, case in enumerate(cases):
        case.ticket |= {"batch": cases[0].batch, "runs": {"first": 2 * place, "of": 4}}
    node, _, engines = make_node(cases[0])
    node._coordinator = node._granting._coordinator = Coordinator(cases)
    return cases, node, node._coordinator, engines


def reserve_all(cases, node):
    node.reserve(*(case.token for case in cases))
    for case in cases:
        accept_all(case)


def last_reasons(cases, coordinator):
    return [reason_of(case, coordinator.said[case.job][-1]) for case in cases]


def test_requests_of_one_batch_are_one_computation_and_apart_in_all_else(together):
    cases, node, coordinator, engines = together
    reserve_all(cases, node)
    node.start(cases[0].batch)
    [[job]] = [engine.jobs for engine in engines]
    assert len(job["records"]) == 4
    for place, case in enumerate(cases):
        token, sealed = coordinator.receipts[case.job]
        signed = receipt.read_receipt(token, keyring(case))
        assert (signed["request"], signed["runs"]) == (case.prepared.digest, {"first": 2 * place, "of": 4})
        assert len(signed["outputs"]) == 2
        outputs.unseal(sealed, job=case.job, node=OWN, key=case.prepared.output_key)
        with pytest.raises(Refused):
            outputs.unseal(sealed, job=case.job, node=OWN, key=cases[1 - place].prepared.output_key)
        other = cases[1 - place]
        told = str([signatures.peek(each)[1] for each in (*coordinator.said[case.job], token)])
        hidden = [other.job, other.ticket["ticket"], other.prepared.digest, other.prepared.token]
        assert not [each for each in hidden if each in told]
    assert node.opened.totals() == [(cases[0].ticket["model"], "long-beach", 56)]


def test_one_request_that_is_refused_is_refused_for_its_own_reason(together):
    cases, node, coordinator, _ = together
    cases[1].documents["withdrawal"] = cases[1].consortium.withdrawal()
    reserve_all(cases, node)
    assert last_reasons(cases, coordinator) == [Reason.COMPANION_REFUSED, Reason.CONSENT_WITHDRAWN]
    assert not node.busy
    cases[0].ticket |= {"ticket": new_uuid(), "batch": new_uuid(), "runs": {"first": 0, "of": 2}}
    reserve_all(cases[:1], node)
    assert last_reasons(cases[:1], coordinator) == [None]


@pytest.mark.parametrize("when", ["before the start", "in the middle"])
def test_what_falls_out_is_kept_back_alone(together, when):
    cases, node, coordinator, engines = together
    reserve_all(cases, node)
    compute = engines[0].run

    def withdraw():
        cases[1].documents["withdrawal"] = cases[1].consortium.withdrawal()

    def run(job, timeout):
        if when == "in the middle":
            withdraw()
        return compute(job, timeout)

    engines[0].run = run
    if when == "before the start":
        withdraw()
    node.start(cases[0].batch)
    [job] = engines[0].jobs
    zeros = [set(unb64(record)) == {0} for record in job["records"]]
    assert zeros == [False, False, *[when == "before the start"] * 2]
    assert len({len(record) for record in job["records"]}) == 1
    assert set(coordinator.receipts) == {cases[0].job}
    assert last_reasons(cases, coordinator) == [None, Reason.CONSENT_WITHDRAWN]
    assert node.opened.totals() == [(cases[0].ticket["model"], "long-beach", 28)]


def test_a_request_whose_documents_are_gone_is_kept_back_alone(together):
    """As they are when it is cancelled while other nodes compute."""
    cases, node, coordinator, _ = together
    reserve_all(cases, node)
    hand_out = coordinator.job

    def job(name):
        if name == cases[1].job:
            raise Refused(Reason.WRONG_STATE)
        return hand_out(name)

    coordinator.job = job
    node.start(cases[0].batch)
    assert set(coordinator.receipts) == {cases[0].job}


def test_why_one_is_kept_back_is_said_before_the_others_are_computed(together):
    """The other nodes will find it out of its range, which is not why."""
    cases, node, coordinator, engines = together
    reserve_all(cases, node)
    cases[1].documents["withdrawal"] = cases[1].consortium.withdrawal()
    compute, said = engines[0].run, []

    def run(job, timeout):
        said.extend(last_reasons(cases, coordinator))
        return compute(job, timeout)

    engines[0].run = run
    node.start(cases[0].batch)
    assert said == [None, Reason.CONSENT_WITHDRAWN]


def test_a_coordinator_that_does_not_hear_why_one_is_kept_back_gets_the_others(together):
    cases, node, coordinator, _ = together
    reserve_all(cases, node)
    cases[1].documents["withdrawal"] = cases[1].consortium.withdrawal()
    hear = coordinator.answer

    def answer(job, token):
        if job == cases[1].job:
            raise Refused(Reason.WRONG_STATE)
        hear(job, token)

    coordinator.answer = answer
    node.start(cases[0].batch)
    assert set(coordinator.receipts) == {cases[0].job}


def test_where_all_fall_out_nothing_is_computed(together):
    cases, node, coordinator, engines = together
    reserve_all(cases, node)
    for case in cases:
        case.documents["withdrawal"] = case.consortium.withdrawal()
    node.start(cases[0].batch)
    assert engines[0].jobs == []
    assert coordinator.receipts == {}
    assert last_reasons(cases, coordinator) == [Reason.CONSENT_WITHDRAWN] * 2


def test_a_budget_that_is_enough_for_one_gives_one(together):
    cases, node, coordinator, _ = together
    budget = cases[0].definition["budgets"]["scalars"]
    spent = {"definition": digest(cases[0].definition), "model": "m", "requester": "zurich", "budget": budget}
    node.opened.spend("another", scalars=budget - 28, **spent)
    reserve_all(cases, node)
    node.start(cases[0].batch)
    assert set(coordinator.receipts) == {cases[0].job}
    assert last_reasons(cases, coordinator) == [None, Reason.BUDGET_SPENT]


def test_a_record_out_of_its_range_is_its_requesters_trouble(together):
    cases, node, coordinator, engines = together
    reserve_all(cases, node)
    compute = engines[0].run

    def run(job, timeout):
        result = compute(job, timeout)
        return replace(result, outputs=[*result.outputs[:3], None])

    engines[0].run = run
    node.start(cases[0].batch)
    assert set(coordinator.receipts) == {cases[0].job}
    assert last_reasons(cases, coordinator) == [None, Reason.INPUT_OUT_OF_RANGE]


def test_a_ticket_that_is_taken_back_meanwhile_leaves_the_other_alone(together):
    cases, node, coordinator, engines = together
    reserve_all(cases, node)
    compute = engines[0].run

    def run(job, timeout):
        node.release(cases[0].ticket["ticket"])
        assert not engines[0].killed
        return compute(job, timeout)

    engines[0].run = run
    node.start(cases[0].batch)
    assert set(coordinator.receipts) == {cases[1].job}
    assert last_reasons(cases, coordinator) == [None, None]  # nobody waits for a word on what was taken back
    assert node.opened.totals() == [(cases[0].ticket["model"], "long-beach", 28)]


def test_the_engine_goes_with_the_last_ticket_that_is_taken_back(together):
    cases, node, _, engines = together
    reserve_all(cases, node)
    node.release(cases[0].ticket["ticket"])
    assert not engines[0].killed
    node.release(cases[1].ticket["ticket"])
    assert engines[0].killed


@pytest.mark.parametrize("other", [{"certificate": "another-of-"}, {"address": "127.0.0.1:9"}, {"dealt": NODES}])
def test_nodes_that_were_told_of_different_companions_do_not_start(together, other):
    """The coordinator has other nodes accept one of the requests with other engines."""
    cases, node, coordinator, engines = together
    reserve_all(cases, node)
    accept_all(cases[1], **other)
    node.start(cases[0].batch)
    assert last_reasons(cases, coordinator) == [Reason.CONFLICT, Reason.CONFLICT]
    assert engines[0].jobs == []


def test_one_that_was_not_accepted_everywhere_is_kept_back_alone(together):
    cases, node, coordinator, _ = together
    reserve_all(cases, node)
    cases[1].documents["acceptances"].pop()
    node.start(cases[0].batch)
    assert set(coordinator.receipts) == {cases[0].job}
    assert last_reasons(cases, coordinator) == [None, Reason.NODE_SILENT]


def test_an_answer_that_is_not_heard_lets_the_engine_wait_for_the_other(together):
    cases, node, coordinator, engines = together
    hear = coordinator.answer

    def answer(job, token):
        if job == cases[1].job:
            raise Refused(Reason.WRONG_STATE)
        hear(job, token)

    coordinator.answer = answer
    with pytest.raises(Refused):
        node.reserve(*(case.token for case in cases))
    assert not engines[0].killed
    assert node.busy


def test_a_release_that_comes_while_it_is_answered_frees_the_engine(together):
    cases, node, coordinator, engines = together
    hand_out = coordinator.job

    def job(name):
        for case in cases:
            node.release(case.ticket["ticket"])
        return hand_out(name)

    coordinator.job = job
    node.reserve(*(case.token for case in cases))
    assert last_reasons(cases, coordinator) == [Reason.COMPANION_REFUSED] * 2  # no reason against either
    assert engines[0].killed
    assert not node.busy


def test_the_reservation_lapses_with_the_ticket_that_lapses_first(together):
    cases, node, coordinator, _ = together
    soon = clock.now() + timedelta(seconds=20)
    cases[1].ticket["expires"] = clock.rfc3339(soon)
    reserve_all(cases, node)
    lapses = [clock.parse(case.read(coordinator.said[case.job][0])["expires"]) for case in cases]
    assert lapses == [clock.parse(clock.rfc3339(soon))] * 2


def test_companions_of_a_replayed_request_are_told_so(together):
    cases, node, coordinator, _ = together
    cases[0].ticket["runs"] = {"first": 0, "of": 2}
    reserve_all(cases[:1], node)
    node.start(cases[0].batch)
    for place, case in enumerate(cases):
        case.ticket |= {
            "ticket": new_uuid(),
            "batch": "b" * 8 + cases[0].batch[8:],
            "runs": {"first": 2 * place, "of": 4},
        }
    with pytest.raises(Refused):
        node.reserve(*(case.token for case in cases))
    assert last_reasons(cases, coordinator) == [Reason.TICKET_REPLAYED, Reason.COMPANION_REFUSED]


def test_the_chain_is_asked_once_for_all(together):
    cases, node, _, _ = together
    asked = []
    node._granting._registry = SimpleNamespace(check=lambda *arguments, **options: asked.append(arguments))
    reserve_all(cases, node)
    assert len(asked) == 1


@pytest.mark.parametrize("spoil", ["batch", "runs", "what_ifs"])
def test_what_does_not_belong_together_is_not_computed_together(together, spoil, consortium):
    cases, node, coordinator, engines = together
    match spoil:
        case "batch":
            cases[1].ticket["batch"] = new_uuid()
        case "runs":
            cases[1].ticket["runs"]["first"] = 0
        case "what_ifs":
            records = [np.concatenate([each, each]) for each in consortium.records]
            consortium.records, kept = records, consortium.records
            cases[1].prepared = consortium.prepare(definition=consortium.definition)
            consortium.records = kept
            cases[1].ticket["request"] = cases[1].prepared.digest
            cases[1].documents["request"] = cases[1].prepared.token
    reserve_all(cases, node)
    found = last_reasons(cases, coordinator)
    assert None not in found
    assert engines == [] or engines[0].killed


def test_a_days_limit_counts_each_of_them(together, consortium):
    cases, node, coordinator, _ = together
    consortium.write_policy(OWN, jobs_a_day=1)
    reserve_all(cases, node)
    assert last_reasons(cases, coordinator) == [Reason.COMPANION_REFUSED, Reason.POLICY_REFUSES]


def test_a_days_limit_that_is_reached_with_them_lets_them_be_computed(together, consortium):
    cases, node, coordinator, _ = together
    consortium.write_policy(OWN, jobs_a_day=2)
    reserve_all(cases, node)
    node.start(cases[0].batch)
    assert set(coordinator.receipts) == {case.job for case in cases}
