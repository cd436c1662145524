"""What nodes are handed about the boards comes out of the log alone, and convinces them."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test.utils import override_settings

from concordat import clock
from concordat.canonical import digest
from concordat.events import Event
from concordat.fields import read
from concordat.keystore import Keystore
from concordat.pins import Pins
from concordat.reasons import Reason, Refused
from concordat.review import Reviewed, check_reviewed
from concordat.review_evidence import ReviewDocuments, Reviews, verify_rosters
from governance.evidence import review_evidence
from governance.models import Definition
from tests.support.boards import ORIGIN
from tests.support.consortium import OWNER, PARTIES, REQUESTER, Consortium
from tests.support.decision import SETTINGS, Decision

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def institutions(tmp_path_factory: pytest.TempPathFactory, _state: Any) -> Consortium:
    return Consortium(tmp_path_factory.mktemp("consortium"), coordinator=Keystore(settings.KEYS_DIR).identity)


@pytest.fixture
def decision(db: None, institutions: Consortium) -> Iterator[Decision]:
    with override_settings(**SETTINGS):
        made = Decision(institutions)
        made.enrol()
        made.approve()
        yield made


def handed(decision: Decision) -> ReviewDocuments:
    return review_evidence(Definition(content=decision.consortium.definition))


def checked(decision: Decision, pins: Pins) -> Reviewed:
    documents = read(handed(decision), ReviewDocuments)
    return check_reviewed(
        Reviews.of(documents, verify_rosters(documents["rosters"], pins.histories)),
        protocol=decision.boards.protocol,
        base=decision.consortium.definition["protocol"],
        origin=ORIGIN,
        now=clock.now(),
    )


@pytest.fixture
def pins(institutions: Consortium) -> Pins:
    return institutions.homes["budapest"].pins


def test_a_node_is_convinced_by_it(decision: Decision, pins: Pins) -> None:
    reviewed = checked(decision, pins)
    assert {approval.board: approval.sites for approval in reviewed.approvals} == {
        OWNER: (OWNER, REQUESTER),
        "budapest": ("budapest",),
        "zurich": ("zurich",),
    }


def test_it_holds_each_boards_last_word_and_every_roster(decision: Decision) -> None:
    decision.review(decision.boards.decide("zurich", outcome="disapproved"))
    decision.roster("zurich", decision.boards.roster("zurich", version=2), version=2)
    documents = handed(decision)
    outcomes = {each["document"]["board"]: each["document"]["outcome"] for each in documents["determinations"]}
    assert outcomes == {OWNER: "approved", "budapest": "approved", "zurich": "disapproved"}
    assert len(documents["rosters"]) == len([*PARTIES, REQUESTER]) + 1


def test_it_holds_nothing_about_another_version(decision: Decision) -> None:
    other = {"kind": "amendment", "base": digest(b"another"), "outcome": "disapproved"}
    decision.review(decision.boards.decide("zurich", **other))
    public = {"study": decision.boards.study, "institution": REQUESTER, "board": OWNER}
    stated = decision.boards.state(REQUESTER, base=digest(b"another"))
    documents = {"context": stated["document"], "signature": stated["signatures"][0]}
    decision._record("another context", Event.LOCAL_CONTEXT_FILED, public, documents=documents)
    found = handed(decision)
    assert {each["document"]["base"] for each in found["determinations"]} == {digest(decision.boards.protocol)}
    assert len(found["contexts"]) == 1


def test_conditions_and_delegations_come_along(decision: Decision, pins: Pins) -> None:
    given = decision.boards.delegate("zurich", scope="verify-conditions")
    decision.delegate(given)
    decided = decision.boards.decide("zurich", outcome="approved-with-conditions")
    decision.review(decided)
    with pytest.raises(Refused) as caught:
        checked(decision, pins)
    assert caught.value.reason is Reason.CONDITIONS_OPEN
    decision.verify_conditions(decision.boards.verify(decided, "irb-member"))
    assert checked(decision, pins)


def test_an_agreement_that_was_ended_is_left_out(decision: Decision, pins: Pins) -> None:
    agreement = decision.boards.agreement(REQUESTER)["agreement"]
    public = {"institution": OWNER, "relying": REQUESTER, "agreement": agreement, "epoch": 1}
    decision._record("ended", Event.RELIANCE_ENDED, public)
    with pytest.raises(Refused) as caught:
        checked(decision, pins)
    assert caught.value.reason is Reason.RELIANCE_MISSING


def test_a_board_that_is_asked_for_no_site_is_nobodys_to_wait_for(decision: Decision, pins: Pins) -> None:
    decision.roster("notary", decision.boards.roster("notary"))
    decision.review(decision.boards.decide("notary", sites=[], reliance={}, outcome="deferred"))
    assert checked(decision, pins)
