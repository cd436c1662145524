"""What a dossier shows of the boards: the same rules as at the nodes, and what only the log can say."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test.utils import override_settings

from concordat import clock
from concordat.canonical import digest
from concordat.events import Event
from concordat.keystore import Keystore
from concordat.reasons import Reason
from concordat.verifier import verify
from concordat.verifier.boards import LIFTED_BY
from concordat.verifier.examine import Result, Status
from concordat.verifier.report import html
from ledger import dossier
from ledger.models import LogEntry
from ledger.services.publish import publish
from tests.concordat.verifier.conftest import DISCLOSED, Dossier, Forger
from tests.support.boards import new_protocol
from tests.support.consortium import PARTIES, PURPOSE, REQUESTER, STUDY, Consortium
from tests.support.decision import SETTINGS, Decision

pytestmark = pytest.mark.django_db

R = Reason


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory, _state: Any) -> Consortium:
    return Consortium(tmp_path_factory.mktemp("consortium"), coordinator=Keystore(settings.KEYS_DIR).identity)


@pytest.fixture
def decision(db: None, consortium: Consortium) -> Iterator[Decision]:
    """Institutions, rosters and agreement are in the log; nobody has decided yet."""
    with override_settings(**SETTINGS):
        made = Decision(consortium)
        made.enrol()
        yield made


def finish(decision: Decision) -> None:
    """The rest of the way to the decision."""
    for step in (decision.define, decision.consent, decision.compute):
        step()


def conclude(decision: Decision) -> Result:
    """The same, and what the verifier says of its dossier."""
    finish(decision)
    publish()
    return verify(dossier.build(decision.index, disclose=DISCLOSED))


def failures(result: Result) -> dict[str, Reason | None]:
    return {check.name: check.reason for check in result.checks if check.status is Status.FAILED}


def sentence(result: Result, name: str) -> str:
    return next(check.sentence for check in result.checks if check.name == name)


def without(decision: Decision, board: str) -> dict[str, str]:
    """Every board but this one approves, and the study is said to be approved all the same."""
    about = {"study": STUDY, "submission": "11111111-1111-4111-8111-111111111111", "kind": "initial"}
    public = about | {"institution": "cleveland", "boards": PARTIES}
    documents = {"protocol": decision.boards.protocol}
    decision._record("submitted", Event.STUDY_SUBMITTED, public, documents=documents)
    decision.rely(REQUESTER)
    for other in decision.boards.names:
        if other != board:
            decision.review(decision.boards.decide(other))
    return about


def decides(decision: Decision, *decided: Any) -> Result:
    """zurich's board says this instead."""
    about = without(decision, "zurich")
    for each in decided:
        decision.review(each)
    decision.approved(about)
    return conclude(decision)


def test_the_story_says_who_signed_for_whom_and_that_it_was_verified(decision: Decision) -> None:
    decision.approve()
    result = conclude(decision)
    assert failures(result) == {}
    told = {each["institution"]: each for each in result.story["allowed"]["reviews"]}
    assert told["cleveland"]["sites"] == ["cleveland", "long-beach"]
    assert {each["signature"] for each in told.values()} == {"verified"}
    assert told["zurich"]["name"] == "The irb-chair of zurich"


def test_an_approval_on_paper_is_shown_as_attested_and_not_verified(decision: Decision) -> None:
    result = decides(decision, decision.boards.decide("zurich", "irb-administrator", path="paper"))
    check = next(each for each in result.checks if each.name == "officers")
    assert (check.status, check.reason) == (Status.ATTESTED, R.ATTESTED_ONLY)
    assert "zurich" in check.sentence
    assert result.holds
    told = {each["institution"]: each["signature"] for each in result.story["allowed"]["reviews"]}
    assert told == {"cleveland": "verified", "budapest": "verified", "zurich": "attested, not verified"}
    assert html(result.to_json()).count("attested, not verified") >= 2


def test_a_signature_with_an_authenticator_app_does_not_count(decision: Decision) -> None:
    result = decides(decision, decision.boards.decide("zurich", signed={"method": "totp"}))
    assert failures(result) == {"officers": R.ATTESTED_ONLY}


def test_one_that_was_followed_by_a_passkeys_is_told_as_attested(decision: Decision) -> None:
    first = decision.boards.decide("zurich", signed={"method": "totp"}, outcome="deferred")
    result = decides(decision, first, decision.boards.decide("zurich"))
    assert failures(result) == {}
    assert [e["signature"] for e in result.story["allowed"]["reviews"] if e["institution"] == "zurich"] == [
        "attested, not verified",
        "verified",
    ]


@pytest.mark.parametrize("outcome", ["disapproved", "deferred", "modifications-required"])
def test_the_last_word_of_a_board_counts(decision: Decision, outcome: str) -> None:
    boards = decision.boards
    result = decides(decision, boards.decide("zurich"), boards.decide("zurich", outcome=outcome))
    assert failures(result) == {"officers": R.STUDY_NOT_APPROVED}
    assert "zurich" in sentence(result, "officers")


def test_an_approval_after_modifications_counts(decision: Decision) -> None:
    boards = decision.boards
    first = boards.decide("zurich", outcome="modifications-required")
    assert failures(decides(decision, first, boards.decide("zurich"))) == {}


@pytest.mark.parametrize(("place", "found"), [("prediction", {"officers": R.STUDY_NOT_APPROVED}), ("displayed", {})])
def test_a_disapproval_counts_from_where_it_stands_up_to_the_decision(
    decision: Decision, place: str, found: dict[str, Reason]
) -> None:
    decision.approve()
    finish(decision)
    decision.review(decision.boards.decide("zurich", outcome="disapproved"))
    forger = forge(decision)
    forger.move("review zurich", forger.index(place) - (place == "prediction"))
    assert {name: failures(verify(forger.forge())).get(name) for name in found} == found


def forge(decision: Decision) -> Forger:
    publish()
    data = dossier.build(decision.index, disclose=DISCLOSED)
    leaves = [bytes(entry.leaf) for entry in LogEntry.objects.order_by("index")]
    return Forger(Dossier(decision, data, leaves, Keystore(settings.KEYS_DIR).identity))


def test_an_approval_that_has_ended_lets_nothing_pass(decision: Decision) -> None:
    result = decides(decision, decision.boards.decide("zurich", expires=clock.rfc3339(clock.now())))
    assert failures(result) == {"officers": R.STUDY_EXPIRED}


@pytest.mark.parametrize("verified", [True, False])
def test_conditions_are_verified_before_anything_passes(decision: Decision, verified: bool) -> None:
    decided = decision.boards.decide("zurich", outcome="approved-with-conditions")
    about = without(decision, "zurich")
    decision.review(decided)
    if verified:
        decision.verify_conditions(decision.boards.verify(decided))
    decision.approved(about)
    assert failures(conclude(decision)) == ({} if verified else {"officers": R.CONDITIONS_OPEN})


@pytest.mark.parametrize("ended", ["before", "after", "never"])
def test_a_member_signs_by_a_delegation_until_the_chair_ends_it(decision: Decision, ended: str) -> None:
    about, given = without(decision, "zurich"), decision.boards.delegate("zurich")
    decision.delegate(given)
    public = {"institution": "zurich", "delegation": given["document"]["delegation"]}
    if ended == "before":
        decision._record("ended", Event.DELEGATION_ENDED, public)
    named = digest(given["document"])
    decision.review(decision.boards.decide("zurich", "irb-member", path="expedited", delegation=named))
    decision.approved(about)
    if ended == "after":  # in the same second
        decision._record("ended", Event.DELEGATION_ENDED, public)
    assert failures(conclude(decision)) == ({"officers": R.ROLE_MISSING} if ended == "before" else {})


@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_an_agreement_counts_until_it_is_ended(decision: Decision, when: str) -> None:
    agreement = decision.boards.agreement(REQUESTER)["agreement"]
    public = {"institution": "cleveland", "relying": REQUESTER, "agreement": agreement, "epoch": 1}

    def end() -> None:
        decision._record("ended", Event.RELIANCE_ENDED, public)

    decision.approve()
    if when == "before":
        end()
        assert failures(conclude(decision)) == {"officers": R.RELIANCE_MISSING}
        return
    finish(decision)
    end()
    forger = forge(decision)
    if when == "between":
        forger.move("ended", forger.index("reserved"))
    assert failures(verify(forger.forge())).get("officers") == (R.RELIANCE_MISSING if when == "between" else None)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [(f"reliance {REQUESTER}", R.RELIANCE_MISSING), (f"context {REQUESTER}", R.LOCAL_CONTEXT_MISSING)],
)
def test_a_site_relies_on_a_board_by_what_is_in_the_log(decision: Decision, entry: str, reason: Reason) -> None:
    decision.approve()
    finish(decision)
    forger = forge(decision)
    forger.erase(entry)
    assert failures(verify(forger.forge())) == {"officers": reason}


# --- rosters, where they stand in the log


def struck_off(decision: Decision, version: int = 2) -> None:
    """zurich's roster lists its chair no more."""
    token = decision.boards.roster("zurich", version=version, roles=("irb-member", "irb-administrator"))
    decision.roster("zurich", token, version=version)


def test_who_was_struck_off_before_signs_no_more(decision: Decision) -> None:
    struck_off(decision)
    decision.approve()
    assert failures(conclude(decision)) == {"officers": R.ROSTER_MISSING}


def test_what_was_signed_before_stays_signed(decision: Decision) -> None:
    decision.approve()
    struck_off(decision)
    assert failures(conclude(decision)) == {}


def test_nobody_signs_in_the_past(decision: Decision) -> None:
    about = without(decision, "zurich")
    later = clock.now() + timedelta(hours=3)
    past = decision.boards.decide("zurich")
    struck_off(decision)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(clock, "now", lambda: later)
        decision.review(past)
        decision.approved(about)
        result = conclude(decision)
    assert failures(result)["officers"] is R.SIGNATURE_INVALID


def test_nobody_signs_in_the_future(decision: Decision) -> None:
    ahead = {"time": clock.now() + timedelta(hours=1)}
    result = decides(decision, decision.boards.decide("zurich", signed=ahead))
    assert failures(result) == {"officers": R.SIGNATURE_INVALID}


def test_a_roster_counts_for_what_was_recorded_behind_it(decision: Decision) -> None:
    decision.approve()
    finish(decision)
    forger = forge(decision)
    forger.move("roster zurich", forger.index("displayed"))
    assert failures(verify(forger.forge())) == {"officers": R.ROSTER_MISSING}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("institution", "budapest"),
        ("submission", "11111111-1111-4111-8111-111111111111"),
        ("kind", "reinstatement"),
        ("path", "expedited"),
        ("determination", "disapproved"),
        ("method", "totp"),
    ],
)
def test_an_entry_that_reports_a_determination_wrongly_is_found(decision: Decision, field: str, value: str) -> None:
    decision.approve()
    finish(decision)
    forger = forge(decision)
    forger.entry("review zurich")["public"][field] = value
    assert failures(verify(forger.forge())) == {"officers": R.DIGEST_MISMATCH}


# --- suspended, ended, lapsed


def suspended(decision: Decision, event: Event = Event.STUDY_SUSPENDED, by: str = "zurich") -> None:
    decision.approve()
    decision.end(
        event, **({"expired": "2026-01-01T00:00:00Z"} if event is Event.STUDY_EXPIRED else {"institution": by})
    )


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (Event.STUDY_SUSPENDED, "amendment"),
        (Event.STUDY_SUSPENDED, "continuing-review"),
        (Event.STUDY_SUSPENDED, "reinstatement"),
        (Event.STUDY_TERMINATED, "initial"),
        (Event.STUDY_TERMINATED, "reinstatement"),
        (Event.STUDY_CLOSED, "reinstatement"),
        (Event.STUDY_EXPIRED, "initial"),
        (Event.STUDY_EXPIRED, "continuing-review"),
        (Event.STUDY_EXPIRED, "reinstatement"),
    ],
)
def test_what_was_ended_comes_back_by_the_right_review_alone(decision: Decision, event: Event, kind: str) -> None:
    suspended(decision, event)
    decision.approve(kind)
    lapsed = event is Event.STUDY_EXPIRED
    reason = R.STUDY_EXPIRED if lapsed else R.STUDY_NOT_APPROVED
    lifts = kind == "reinstatement" or (lapsed and kind == "continuing-review")
    assert failures(conclude(decision)) == ({} if lifts else {"study": reason})


@pytest.mark.parametrize("event", LIFTED_BY)
def test_a_study_that_has_ended_lets_nothing_pass(decision: Decision, event: Event) -> None:
    suspended(decision, event)
    reason = R.STUDY_EXPIRED if event is Event.STUDY_EXPIRED else R.STUDY_NOT_APPROVED
    assert failures(conclude(decision)) == {"study": reason}


def test_a_suspension_between_verdict_and_decision_is_found(decision: Decision) -> None:
    suspended(decision)
    decision.approve("reinstatement")
    finish(decision)
    decision.end(Event.STUDY_SUSPENDED, institution="zurich")
    forger = forge(decision)
    forger.move("study.suspended", forger.index("reserved"))
    assert failures(verify(forger.forge()))["study"] is R.STUDY_NOT_APPROVED


def test_a_lapse_during_a_suspension_does_not_shorten_it(decision: Decision) -> None:
    suspended(decision)
    decision.end(Event.STUDY_EXPIRED, expired="2026-01-01T00:00:00Z")
    decision.approve("continuing-review")
    assert failures(conclude(decision)) == {"study": R.STUDY_NOT_APPROVED}


@pytest.mark.parametrize("board", ["zurich", "budapest"])
def test_every_board_reviews_again_after_a_suspension(decision: Decision, board: str) -> None:
    """A determination from before does not count, though it is in force and the study is said to be reinstated."""
    suspended(decision)
    about = {"study": STUDY, "submission": "11111111-1111-4111-8111-111111111111", "kind": "reinstatement"}
    for other in decision.boards.names:
        if other != board:
            decision.review(decision.boards.decide(other, kind="reinstatement"))
    decision.approved(about)
    result = conclude(decision)
    assert failures(result) == {"officers": R.STUDY_NOT_APPROVED}
    assert board in sentence(result, "officers")


def test_a_reinstatement_counts_although_other_reviews_followed(decision: Decision) -> None:
    suspended(decision)
    decision.approve("reinstatement")
    decision.approve("continuing-review")
    assert failures(conclude(decision)) == {}


def larger(decision: Decision) -> dict[str, Any]:
    """The protocol before the notary left it."""
    sites = [*PARTIES, REQUESTER, "notary"]
    return new_protocol(study=STUDY, institution="cleveland", sites=sites, requesters=[REQUESTER], purposes=[PURPOSE])


def left_out(decision: Decision, by: str, also: tuple[str, ...]) -> Result:
    """A site of an approved protocol is left out of the next, after a suspension."""
    before = larger(decision)
    decision.roster("notary", decision.boards.roster("notary"))
    about = {"study": STUDY, "submission": "11111111-1111-4111-8111-111111111111", "kind": "initial"}
    public = about | {"institution": "cleveland", "boards": before["sites"]}
    decision._record("first", Event.STUDY_SUBMITTED, public, documents={"protocol": before})
    decision.approved(about, protocol=before)
    decision.end(Event.STUDY_SUSPENDED, institution=by)
    decision.approve("reinstatement", also)
    return conclude(decision)


@pytest.mark.parametrize("by", ["notary", "zurich"])
def test_leaving_a_site_out_of_a_suspended_study_does_not_leave_its_board_out(decision: Decision, by: str) -> None:
    result = left_out(decision, by, ())
    assert failures(result) == {"officers": R.STUDY_NOT_APPROVED}
    assert "notary" in sentence(result, "officers")


def test_a_board_whose_site_left_a_suspended_study_may_reinstate_it(decision: Decision) -> None:
    assert failures(left_out(decision, "notary", ("notary",))) == {}


def test_a_study_that_was_amended_since_needs_another_definition(decision: Decision) -> None:
    decision.approve()
    about = {"study": STUDY, "submission": "11111111-1111-4111-8111-111111111111", "kind": "amendment"}
    decision.approved(about, protocol=larger(decision))
    assert failures(conclude(decision)) == {"study": R.STUDY_NOT_APPROVED}


# --- what the operator leaves out


@pytest.mark.parametrize(
    "hidden",
    [
        f"reliance {REQUESTER}",
        f"context {REQUESTER}",
        "delegation zurich",
        "conditions zurich",
        "study.expired",
        "ended",
    ],
)
def test_an_entry_about_the_boards_that_is_left_out_is_missed(decision: Decision, hidden: str) -> None:
    suspended(decision, Event.STUDY_EXPIRED)
    decision.approve("continuing-review")
    decision.delegate(decision.boards.delegate("zurich"))
    other = {"institution": "zurich", "delegation": "00000000-0000-4000-8000-000000000001"}
    decision._record("ended", Event.DELEGATION_ENDED, other)
    decision.verify_conditions(decision.boards.verify(decision.boards.decide("zurich")))
    finish(decision)
    forger = forge(decision)
    forger.hide(hidden)
    assert failures(verify(forger.forge()))["completeness"] is R.INCOMPLETE
