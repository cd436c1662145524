"""The one function that decides: each check fails for its own reason, and all of them are always named."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from concordat import clock
from concordat.canonical import digest
from concordat.reasons import Reason, Refused
from governance import verdict
from governance.models import Consent, Definition, Institution, InstitutionKey, Study
from governance.questions import QUESTIONS
from governance.services import consent as consents
from governance.services import definitions, recalls
from governance.verdict import Verdict, authorise
from ledger.models import ChainTransaction, LogEntry, TransactionState
from tests.governance.conftest import PARTIES, Consortium


@pytest.fixture
def known(consortium: Consortium) -> Definition:
    return consortium.voted()


def decide(consortium: Consortium, request: str, *, later: timedelta = timedelta()) -> Verdict:
    return authorise(request, now=clock.now() + later, chain=consortium.chain)


def failed(verdict: Verdict) -> dict[str, Reason | None]:
    return {check.name: check.reason for check in verdict.checks if not check.passed}


def test_everything_in_order_passes_every_check(consortium: Consortium, known: Definition) -> None:
    found = decide(consortium, consortium.request(known))
    assert failed(found) == {}
    assert found.passed
    assert [check.name for check in found.checks] == list(QUESTIONS)
    assert all(check.sentence.endswith(".") for check in found.checks)


def test_it_records_nothing_and_asks_the_database_little(
    consortium: Consortium, known: Definition, django_assert_max_num_queries: Any
) -> None:
    request = consortium.request(known)
    before = LogEntry.objects.count()
    with django_assert_max_num_queries(15):
        decide(consortium, request)
    assert LogEntry.objects.count() == before


def test_the_log_s_form_of_a_verdict_is_canonical(consortium: Consortium, known: Definition) -> None:
    assert digest(decide(consortium, consortium.request(known)).document())


Break = Callable[[Consortium, Definition], object]


def suspend(consortium: Consortium, known: Definition) -> None:
    chair = consortium.chairs["zurich"]
    consortium.stop("suspend", chair, known.study)


def revoke(consortium: Consortium, known: Definition) -> None:
    definitions.relay_vote(vote=consortium.vote("zurich", known, approve=False, nonce=1))


def revoke_own(consortium: Consortium, known: Definition) -> None:
    definitions.relay_vote(vote=consortium.vote("long-beach", known, approve=False, nonce=1))


def revoke_as_dealer(consortium: Consortium, known: Definition) -> None:
    definitions.relay_vote(vote=consortium.vote("notary", known, approve=False))


def withdraw(consortium: Consortium, known: Definition) -> None:
    token = consortium.withdrawal(str(Consent.objects.get().uuid))
    consents.withdraw(institution=consortium.at["long-beach"], token=token)


def recall(consortium: Consortium, known: Definition) -> None:
    recalls.recall(institution=consortium.at["cleveland"], token=consortium.recall(known.content["model"]))


def off_chain(consortium: Consortium, known: Definition) -> None:
    consortium.chain.approvals[consortium.keys["zurich"].chain.address] = False


def revoke_key(kind: str, slug: str) -> Break:
    def act(consortium: Consortium, known: Definition) -> None:
        InstitutionKey.objects.filter(kind=kind, institution__slug=slug).update(revoked=clock.now())

    return act


def move_to(law: str) -> Break:
    return lambda consortium, known: Institution.objects.filter(slug="zurich").update(jurisdiction=law)


def lapse(consortium: Consortium, known: Definition) -> None:
    Study.objects.update(expires=clock.now())


def outdate(consortium: Consortium, known: Definition) -> None:
    Definition.objects.update(valid_until=clock.now())


def alter(consortium: Consortium, known: Definition) -> None:
    Definition.objects.update(content=known.content | {"purposes": ["decision-support", "marketing"]})


def raise_quorum(consortium: Consortium, known: Definition) -> None:
    consortium.chain.quorum = 9


def another_chain(consortium: Consortium, known: Definition) -> None:
    consortium.chain.refused = Refused(Reason.CHAIN_WRONG)


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (suspend, {"study": Reason.STUDY_NOT_APPROVED}),
        (lapse, {"study": Reason.STUDY_EXPIRED}),
        (outdate, {"definition": Reason.DEFINITION_EXPIRED}),
        (alter, {"definition": Reason.DIGEST_MISMATCH}),
        (revoke, {"approvals": Reason.DEFINITION_NOT_APPROVED}),
        (off_chain, {"approvals": Reason.DEFINITION_NOT_APPROVED}),
        (raise_quorum, {"quorum": Reason.QUORUM_MISSING}),
        (another_chain, {"approvals": Reason.CHAIN_WRONG, "quorum": Reason.CHAIN_WRONG}),
        (withdraw, {"legal-basis": Reason.CONSENT_WITHDRAWN}),
        (recall, {"model": Reason.MODEL_RECALLED}),
        (revoke_key("identity", "long-beach"), {"signature": Reason.KEY_UNKNOWN}),
        (revoke_key("chain", "zurich"), {"approvals": Reason.DEFINITION_NOT_APPROVED}),
        (revoke_key("sealing", "zurich"), {"shares": Reason.KEY_UNKNOWN}),
        (move_to("BR"), {"transfers": Reason.TRANSFER_BASIS_MISSING}),
    ],
)
def test_what_ends_before_the_request_is_decided(
    consortium: Consortium, known: Definition, act: Break, expected: dict[str, Reason]
) -> None:
    request = consortium.request(known)
    act(consortium, known)
    found = decide(consortium, request)
    assert failed(found) == expected
    assert set(found.reasons) == set(expected.values())
    assert not found.passed


def asks(**changes: Any) -> Callable[[Consortium, Definition], str]:
    return lambda consortium, known: consortium.request(known, **changes)


def by_another(consortium: Consortium, known: Definition) -> str:
    return consortium.request(known, requester="budapest", key=consortium.keys["budapest"].identity)


def forged(consortium: Consortium, known: Definition) -> str:
    return consortium.request(known, key=consortium.keys["zurich"].identity)


def for_another_model(consortium: Consortium, known: Definition) -> str:
    return consortium.request(known, definition=known.content | {"model": "sha256:" + "1" * 64})


def never_given(consortium: Consortium, known: Definition) -> str:
    return consortium.request(known, consent=consortium.consent())


def another_person_s(consortium: Consortium, known: Definition) -> str:
    token = consortium.consent()
    consents.give(institution=consortium.at["long-beach"], token=token)
    return consortium.request(known, consent=token)


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (asks(purpose="marketing"), {"purpose": Reason.PURPOSE_NOT_ALLOWED, "legal-basis": Reason.LEGAL_BASIS_MISSING}),
        (asks(consent="no.consent.here"), {"legal-basis": Reason.CONSENT_MISSING}),
        (never_given, {"legal-basis": Reason.CONSENT_MISSING}),
        (another_person_s, {"legal-basis": Reason.CONSENT_MISSING}),
        (asks(ground="care"), {"legal-basis": Reason.LEGAL_BASIS_MISSING}),
        (asks(urgency="emergent"), {"urgency": Reason.EMERGENT_USE_REFUSED}),
        (asks(now=clock.parse("2020-01-01T00:00:00Z")), {"period": Reason.EXPIRED}),
        (
            by_another,
            {
                "requester": Reason.REQUESTER_NOT_ALLOWED,
                "legal-basis": Reason.LEGAL_BASIS_MISSING,
                "transfers": Reason.TRANSFER_BASIS_MISSING,
            },
        ),
        (forged, {"signature": Reason.KEY_UNKNOWN}),
    ],
)
def test_what_is_wrong_with_the_request_itself(
    consortium: Consortium, known: Definition, ask: Callable[[Consortium, Definition], str], expected: dict[str, Reason]
) -> None:
    assert failed(decide(consortium, ask(consortium, known))) == expected


def test_an_unknown_definition_fails_what_rests_on_it_and_nothing_else(
    consortium: Consortium, known: Definition
) -> None:
    found = decide(consortium, for_another_model(consortium, known))
    assert set(failed(found).values()) == {Reason.DEFINITION_UNKNOWN}
    assert {check.name for check in found.checks if check.passed} == {"signature", "period"}
    assert found.epoch == 0


def test_the_requester_s_own_approval_is_needed_too(consortium: Consortium) -> None:
    known = consortium.registered()
    for slug in PARTIES:
        definitions.relay_vote(vote=consortium.vote(slug, known))
        consortium.chain.approvals[consortium.keys[slug].chain.address] = True
    found = decide(consortium, consortium.request(known))
    assert failed(found) == {"approvals": Reason.DEFINITION_NOT_APPROVED}
    assert "long-beach" in next(check.sentence for check in found.checks if check.name == "approvals")


def test_the_chain_s_word_alone_approves_nothing(consortium: Consortium) -> None:
    known = consortium.registered()
    for slug in [*PARTIES, "long-beach"]:
        consortium.chain.approvals[consortium.keys[slug].chain.address] = True
    found = decide(consortium, consortium.request(known))
    assert failed(found) == {"approvals": Reason.DEFINITION_NOT_APPROVED, "quorum": Reason.QUORUM_MISSING}


def test_without_the_chain_only_votes_that_were_mined_count_and_the_verdict_says_so(
    consortium: Consortium, known: Definition
) -> None:
    request = consortium.request(known)
    consortium.chain.refused = Refused(Reason.CHAIN_UNAVAILABLE)
    assert failed(decide(consortium, request)) == {
        "approvals": Reason.DEFINITION_NOT_APPROVED,
        "quorum": Reason.QUORUM_MISSING,
    }
    ChainTransaction.objects.update(state=TransactionState.MINED)
    found = decide(consortium, request)
    assert found.passed
    assert "cannot be reached" in next(check.sentence for check in found.checks if check.name == "approvals")


def test_a_new_version_of_the_protocol_leaves_no_definition_of_the_old_one(
    consortium: Consortium, known: Definition
) -> None:
    request = consortium.request(known)
    study = consortium.amended(opened="The prediction alone.")
    assert study.state == "approved"
    found = decide(consortium, request)
    assert failed(found) == {"definition": Reason.DIGEST_MISMATCH}
    assert "earlier version" in next(check.sentence for check in found.checks if check.name == "definition")


def test_a_minor_amendment_leaves_the_definition_alive(consortium: Consortium, known: Definition) -> None:
    request = consortium.request(known)
    assert consortium.amended(summary="In clearer words.").in_force.number == 2
    assert decide(consortium, request).passed


def test_who_is_not_needed_ends_nobody_s_authority(consortium: Consortium, known: Definition) -> None:
    request = consortium.request(known)
    before = decide(consortium, request).epoch
    revoke_as_dealer(consortium, known)
    assert verdict.epoch(request) == before
    assert decide(consortium, request).passed


def test_whoever_leaves_the_quorum_short_ends_everyone_s(consortium: Consortium) -> None:
    """The notary is needed by nobody, but in this quorum it counts."""
    quorum = {"of": [*PARTIES, "notary"], "needed": 4}
    known = consortium.register(consortium.content(consortium.approved(), consortium.import_model(), quorum=quorum))
    for slug in [*PARTIES, "long-beach", "notary"]:
        definitions.relay_vote(vote=consortium.vote(slug, known))
    ChainTransaction.objects.update(state=TransactionState.MINED)
    request = consortium.request(known)
    before = verdict.epoch(request)
    definitions.relay_vote(vote=consortium.vote("notary", known, approve=False, nonce=1))
    assert verdict.epoch(request) == before + 1


@pytest.mark.parametrize("act", [suspend, revoke, revoke_own, withdraw, recall, lapse, outdate])
def test_the_epoch_moves_on_with_whatever_ends(consortium: Consortium, known: Definition, act: Break) -> None:
    request = consortium.request(known)
    before = decide(consortium, request).epoch
    assert verdict.epoch(request) == before
    act(consortium, known)
    assert verdict.epoch(request) > before


def test_another_person_s_withdrawal_leaves_this_request_alone(consortium: Consortium, known: Definition) -> None:
    consortium.request(known)
    withdraw(consortium, known)
    request = consortium.request(known)
    assert verdict.epoch(request) == 0
    assert decide(consortium, request).passed


def test_what_is_no_request_is_no_case(consortium: Consortium) -> None:
    with pytest.raises(Refused) as caught:
        decide(consortium, consortium.consent())
    assert caught.value.reason is Reason.FIELD_INVALID
