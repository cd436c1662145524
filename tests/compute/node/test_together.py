"""Several requests whose tickets name one batch: computed at once, and apart in everything that anybody is told."""

from dataclasses import replace

import numpy as np
import pytest

from concordat import outputs, receipt, signatures
from concordat.reasons import Reason, Refused
from tests.support.consortium import Case, FakeCoordinator, accept_all, new_uuid, reason_of

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
    node._coordinator = Coordinator(cases)
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


def test_what_falls_out_before_the_computation_ends_it_and_after_it_only_itself(together):
    cases, node, coordinator, engines = together
    reserve_all(cases, node)
    compute = engines[0].run

    def run(job, timeout):
        cases[1].documents["withdrawal"] = cases[1].consortium.withdrawal()
        return compute(job, timeout)

    engines[0].run = run
    node.start(cases[0].batch)
    assert set(coordinator.receipts) == {cases[0].job}
    assert last_reasons(cases, coordinator) == [None, Reason.CONSENT_WITHDRAWN]
    assert node.opened.totals() == [(cases[0].ticket["model"], "long-beach", 28)]


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
    assert len(node.opened.totals()) == 1


def test_the_engine_goes_with_the_last_ticket_that_is_taken_back(together):
    cases, node, _, engines = together
    reserve_all(cases, node)
    node.release(cases[0].ticket["ticket"])
    assert not engines[0].killed
    node.release(cases[1].ticket["ticket"])
    assert engines[0].killed


def test_nodes_that_were_told_of_different_companions_do_not_start(together):
    """The coordinator has another node accept one of the requests with another engine, or not at all."""
    cases, node, coordinator, engines = together
    reserve_all(cases, node)
    accept_all(cases[1], certificate="another-certificate-of-")
    node.start(cases[0].batch)
    assert last_reasons(cases, coordinator) == [Reason.CONFLICT, Reason.CONFLICT]
    assert engines[0].jobs == []


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
