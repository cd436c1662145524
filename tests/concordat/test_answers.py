from datetime import timedelta

import pytest

from concordat import answers, ticket
from concordat.reasons import Reason, Refused

NODES = ["cleveland", "budapest", "zurich", "notary"]


def accept(study, node, **changes):
    fields = {
        "node": node,
        "address": "127.0.0.1:4000",
        "certificate": f"certificate-of-{node}",
        "expires": study.now + timedelta(minutes=2),
        "key": study.keys[node],
    }
    return answers.accept(study.ticket, **{**fields, **changes})


def refusal(call, *arguments, **changes):
    with pytest.raises(Refused) as caught:
        call(*arguments, **changes)
    return caught.value.reason


def check_all(study, tokens):
    return answers.check_acceptances(tokens, study.keyring, study.ticket, now=study.now)


def test_every_node_accepts_in_the_role_and_rank_that_the_ticket_gives_it(study):
    accepted = check_all(study, [accept(study, node) for node in reversed(NODES)])
    assert [(accepted[node]["role"], accepted[node]["rank"]) for node in NODES] == [
        ("party", 0),
        ("party", 1),
        ("party", 2),
        ("dealer", 3),
    ]


def test_no_engine_starts_before_all_have_accepted(study):
    assert refusal(check_all, study, [accept(study, node) for node in NODES[:3]]) is Reason.NODE_SILENT


def test_nobody_accepts_twice(study):
    assert refusal(check_all, study, [accept(study, node) for node in (*NODES, "zurich")]) is Reason.CONFLICT


def test_nobody_accepts_for_another(study):
    token = accept(study, "zurich", key=study.keys["budapest"])
    assert refusal(answers.read_answer, token, study.keyring, study.ticket) is Reason.KEY_UNKNOWN


def test_a_bystander_cannot_accept(study):
    assert refusal(accept, study, "long-beach") is Reason.WRONG_PARTY


def test_an_acceptance_counts_for_its_ticket_only(study):
    other = ticket.read_ticket(study.ticket_token(), study.coordinator)
    assert refusal(answers.read_answer, accept(study, "zurich"), study.keyring, other) is Reason.CONFLICT


def test_an_answer_counts_for_every_word_of_its_ticket(study):
    """A ticket with the same identifiers may be signed for one request to some nodes, and for another to others."""
    refused = answers.refuse(
        study.ticket, node="zurich", reason=Reason.NODE_BUSY, time=study.now, key=study.keys["zurich"]
    )
    other = {**study.ticket, "request": "sha256:" + "0" * 64}
    for token in (accept(study, "zurich"), refused):
        assert refusal(answers.read_answer, token, study.keyring, other) is Reason.CONFLICT


def test_a_reservation_lapses(study):
    token = accept(study, "zurich", expires=study.now)
    reason = refusal(answers.check_acceptance, token, study.keyring, study.ticket, now=study.now)
    assert reason is Reason.EXPIRED


def test_an_acceptance_binds_the_engines_certificate_to_node_and_ticket(study):
    accepted = check_all(study, [accept(study, node) for node in NODES])
    assert {node: accepted[node]["certificate"] for node in NODES} == {n: f"certificate-of-{n}" for n in NODES}


def test_a_refusal_names_its_reason(study):
    token = answers.refuse(
        study.ticket, node="zurich", reason=Reason.POLICY_REFUSES, time=study.now, key=study.keys["zurich"]
    )
    answer = answers.read_answer(token, study.keyring, study.ticket)
    assert answer["reason"] == "policy-refuses"


def test_an_acceptance_reads_as_an_answer_without_a_reason(study):
    assert "reason" not in answers.read_answer(accept(study, "zurich"), study.keyring, study.ticket)
