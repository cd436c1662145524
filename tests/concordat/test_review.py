"""Whether every site's board has approved: each row spoils one thing, and exactly that is named."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concordat import clock, protocol
from concordat.canonical import digest
from concordat.enrolment import build_enrolment, verify_enrolment
from concordat.fields import read
from concordat.key_change import KeyHistory, build_change
from concordat.keystore import Keystore
from concordat.passkeys import SoftwarePasskey
from concordat.reasons import Reason, Refused
from concordat.review import Reviewed, check_reviewed
from concordat.review_evidence import ReviewDocuments, Reviews, verify_rosters
from concordat.signatures import SigningKey
from tests.support.boards import ORIGIN, Boards, new_protocol

DAY = timedelta(days=1)
SITES = ["cleveland", "budapest", "zurich", "long-beach"]
R = Reason


@dataclass
class Desk:
    """A protocol, its boards and the evidence, any part of which a test may spoil. long-beach relies on cleveland."""

    keystores: dict[str, Keystore]
    histories: dict[str, KeyHistory]
    boards: Boards
    evidence: dict[str, Any] = field(default_factory=dict)
    now: datetime = field(default_factory=clock.now)

    def check(self, **changes: Any) -> Reviewed:
        rosters = verify_rosters(self.evidence["rosters"], self.histories)
        arguments: dict[str, Any] = {
            "protocol": self.boards.protocol,
            "base": self.boards.base,
            "origin": ORIGIN,
            "now": self.now,
        }
        return check_reviewed(
            Reviews.of(read(self.evidence, ReviewDocuments), rosters),
            **arguments | changes,
        )

    def refused(self, **changes: Any) -> Refused:
        with pytest.raises(Refused) as caught:
            self.check(**changes)
        return caught.value

    def put(self, board: str, decided: dict[str, Any]) -> dict[str, Any]:
        """In the place of the board's determination."""
        others = [each for each in self.evidence["determinations"] if each["document"]["board"] != board]
        self.evidence["determinations"] = [*others, decided]
        return decided

    def decided(self, board: str) -> Any:
        return next(each for each in self.evidence["determinations"] if each["document"]["board"] == board)


@pytest.fixture(scope="session")
def institutions(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Keystore], dict[str, KeyHistory]]:
    keystores = {slug: Keystore(tmp_path_factory.mktemp(slug) / "keys").create() for slug in SITES}
    issued = clock.now() - 30 * DAY
    enrolled = {
        slug: build_enrolment(store, institution=slug, name=slug, jurisdiction="US", roles=["party"], issued=issued)
        for slug, store in keystores.items()
    }
    return keystores, {slug: KeyHistory(verify_enrolment(token)) for slug, token in enrolled.items()}


def make(institutions: Any, **changes: Any) -> Desk:
    keystores, histories = institutions
    content = new_protocol(
        study="chest-pain",
        institution="cleveland",
        sites=SITES,
        requesters=["long-beach"],
        purposes=["decision-support"],
        **changes,
    )
    offline = {slug: store.offline for slug, store in keystores.items()}
    boards = Boards(offline, content, {"long-beach": "cleveland"})
    desk = Desk(keystores, dict(histories), boards)
    desk.evidence = boards.documents()
    desk.evidence["rosters"] = [boards.roster(slug, issued=desk.now - 20 * DAY) for slug in SITES]
    return desk


@pytest.fixture
def desk(institutions: Any) -> Desk:
    return make(institutions)


def test_what_is_in_order_passes_and_says_who_approved_until_when(desk: Desk) -> None:
    reviewed = desk.check()
    assert [(each.board, each.sites) for each in reviewed.approvals] == [
        ("budapest", ("budapest",)),
        ("cleveland", ("cleveland", "long-beach")),
        ("zurich", ("zurich",)),
    ]
    assert reviewed.approvals[0].statement["name"] == "The irb-chair of budapest"
    assert reviewed.until == min(approval.expires for approval in reviewed.approvals)
    assert reviewed.attested == ()


def test_another_protocol_than_the_one_named_is_refused(desk: Desk) -> None:
    assert desk.refused(protocol=desk.boards.protocol | {"title": "Another"}).reason is R.DIGEST_MISMATCH


def test_a_protocol_whose_own_time_is_over_has_no_approval(institutions: Any) -> None:
    desk = make(institutions, valid_until=clock.rfc3339(clock.now() + DAY))
    desk.check()
    assert desk.refused(now=desk.now + DAY).reason is R.STUDY_EXPIRED


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({}, None),
        ({"study": "another"}, "study"),
        ({"parties": ["cleveland", "notary"]}, "parties"),
        ({"kind": "train"}, "kind"),
        ({"owner": "notary"}, "model"),
        ({"requesters": ["long-beach", "zurich"]}, "requesters"),
        ({"purposes": ["marketing"]}, "purposes"),
    ],
)
def test_a_definition_stays_within_its_protocol(desk: Desk, changes: dict[str, Any], field: str | None) -> None:
    asked: dict[str, Any] = {
        "study": "chest-pain",
        "kind": "explain",
        "parties": ["cleveland", "budapest"],
        "owner": "cleveland",
        "requesters": ["long-beach"],
        "purposes": ["decision-support"],
    }
    content = protocol.check(desk.boards.protocol)
    if field is None:
        protocol.check_within(content, **asked)
        return
    with pytest.raises(Refused) as caught:
        protocol.check_within(content, **asked | changes)
    assert (caught.value.reason, caught.value.field) == (R.STUDY_NOT_APPROVED, field)


# --- who may sign


def expedited(scope: str = "expedited-review") -> dict[str, Any]:
    return {"path": "expedited" if scope == "expedited-review" else "full-board"}


def by_member(desk: Desk, *, scope: str = "expedited-review", given: Any = None, named: bool = True) -> None:
    """zurich's member decides, by a delegation of the chair."""
    given = given or desk.boards.delegate("zurich", scope=scope)
    desk.evidence["delegations"] = [given]
    delegation = digest(given["document"]) if named else ""
    desk.put("zurich", desk.boards.decide("zurich", "irb-member", delegation=delegation, **expedited(scope)))


@pytest.mark.parametrize(
    ("role", "path"),
    [
        ("irb-chair", "exempt"),
        ("irb-administrator", "exempt"),
        ("irb-chair", "expedited"),
        ("irb-chair", "full-board"),
    ],
)
def test_these_roles_sign_in_their_own_right(desk: Desk, role: str, path: str) -> None:
    desk.put("zurich", desk.boards.decide("zurich", role, path=path))
    assert desk.check().approvals[-1].statement["role"] == role


@pytest.mark.parametrize(
    ("role", "path"),
    [
        ("irb-member", "exempt"),
        ("irb-administrator", "expedited"),
        ("irb-administrator", "full-board"),
        ("institution-admin", "full-board"),
        ("investigator", "exempt"),
        ("institution-admin", "paper"),
    ],
)
def test_other_roles_do_not(desk: Desk, role: str, path: str) -> None:
    desk.put("zurich", desk.boards.decide("zurich", role, path=path))
    refused = desk.refused(accept_paper=True)
    assert (refused.reason, "zurich" in refused.detail) == (R.ROLE_MISSING, True)


@pytest.mark.parametrize("scope", ["expedited-review", "preside"])
def test_a_member_signs_by_the_chairs_delegation(desk: Desk, scope: str) -> None:
    by_member(desk, scope=scope)
    assert desk.check().approvals[-1].statement["role"] == "irb-member"


def delegation_missing(desk: Desk) -> None:
    by_member(desk)
    desk.evidence["delegations"] = []


def delegation_not_named(desk: Desk) -> None:
    by_member(desk, named=False)


def delegation_over(desk: Desk) -> None:
    past = {"starts": clock.rfc3339(desk.now - 9 * DAY), "ends": clock.rfc3339(desk.now - 2 * DAY)}
    by_member(desk, given=desk.boards.delegate("zurich", signed={"time": desk.now - 9 * DAY}, **past))


def delegation_still_to_come(desk: Desk) -> None:
    by_member(desk, given=desk.boards.delegate("zurich", starts=clock.rfc3339(desk.now + DAY)))


def delegation_signed_afterwards(desk: Desk) -> None:
    by_member(desk, given=desk.boards.delegate("zurich", signed={"time": desk.now + timedelta(minutes=1)}))


def delegation_for_another_study(desk: Desk) -> None:
    by_member(desk, given=desk.boards.delegate("zurich", study="another"))


def delegation_of_another_scope(desk: Desk) -> None:
    by_member(desk, given=desk.boards.delegate("zurich", scope="verify-conditions"))


def delegation_to_another(desk: Desk) -> None:
    by_member(desk, given=desk.boards.delegate("zurich", delegate="zurich-investigator"))


def delegation_of_another_board(desk: Desk) -> None:
    by_member(desk, given=desk.boards.delegate("budapest", delegate="zurich-irb-member"))


def delegation_by_an_administrator(desk: Desk) -> None:
    by_member(desk, given=desk.boards.delegate("zurich", "irb-administrator"))


def delegation_by_the_member_itself(desk: Desk) -> None:
    by_member(desk, given=desk.boards.delegate("zurich", "irb-member"))


@pytest.mark.parametrize(
    "spoil",
    [
        delegation_missing,
        delegation_not_named,
        delegation_over,
        delegation_still_to_come,
        delegation_signed_afterwards,
        delegation_for_another_study,
        delegation_of_another_scope,
        delegation_to_another,
        delegation_of_another_board,
        delegation_by_an_administrator,
        delegation_by_the_member_itself,
    ],
)
def test_a_member_without_a_delegation_that_covers_it_does_not(desk: Desk, spoil: Callable[[Desk], None]) -> None:
    spoil(desk)
    refused = desk.refused()
    assert (refused.reason, "zurich" in refused.detail) == (R.ROLE_MISSING, True)


def test_a_delegation_for_more_than_a_year_is_none(desk: Desk) -> None:
    by_member(desk, given=desk.boards.delegate("zurich", ends=clock.rfc3339(desk.now + 367 * DAY)))
    assert desk.refused().reason is R.FIELD_INVALID


def test_a_delegation_counts_at_the_time_of_signing_and_may_be_over_now(desk: Desk) -> None:
    by_member(desk, given=desk.boards.delegate("zurich", ends=clock.rfc3339(desk.now + DAY)))
    desk.check(now=desk.now + 30 * DAY)


# --- whose passkey counts


def without_chair(desk: Desk, *, version: int = 2, issued: datetime | None = None) -> str:
    roles = ("irb-member", "irb-administrator")
    return desk.boards.roster("zurich", version=version, issued=issued or desk.now - 5 * DAY, roles=roles)


def test_an_officer_whom_a_newer_roster_has_lost_signs_no_more(desk: Desk) -> None:
    desk.evidence["rosters"].append(without_chair(desk))
    assert desk.refused().reason is R.ROSTER_MISSING


def test_what_was_signed_before_the_newer_roster_stays_signed(desk: Desk) -> None:
    desk.put("zurich", desk.boards.decide("zurich", signed={"time": desk.now - 6 * DAY}))
    desk.evidence["rosters"].append(without_chair(desk))
    desk.check()


def test_the_highest_version_counts_and_not_the_one_issued_last(desk: Desk) -> None:
    desk.evidence["rosters"].append(without_chair(desk, version=3, issued=desk.now - 9 * DAY))
    desk.evidence["rosters"].append(desk.boards.roster("zurich", version=2, issued=desk.now - 5 * DAY))
    assert desk.refused().reason is R.ROSTER_MISSING


def test_a_roster_from_after_the_signing_does_not_count(desk: Desk) -> None:
    desk.evidence["rosters"][2] = desk.boards.roster("zurich", issued=desk.now + DAY)
    assert desk.refused().reason is R.ROSTER_MISSING


def test_two_rosters_of_one_version_are_a_contradiction(desk: Desk) -> None:
    desk.evidence["rosters"].append(without_chair(desk, version=1))
    assert desk.refused().reason is R.CONFLICT


@pytest.mark.parametrize("signer", ["identity", "stranger"])
def test_a_roster_that_the_offline_key_did_not_sign_is_refused(desk: Desk, signer: str) -> None:
    key = desk.keystores["zurich"].identity if signer == "identity" else SigningKey.generate()
    desk.evidence["rosters"].append(desk.boards.roster("zurich", version=2, key=key))
    assert desk.refused().reason is R.KEY_UNKNOWN


def test_a_roster_of_an_institution_that_is_not_pinned_is_refused(desk: Desk) -> None:
    del desk.histories["zurich"]
    assert desk.refused().reason is R.KEY_UNKNOWN


@pytest.mark.parametrize(("ground", "reason"), [("rotation", None), ("compromise", R.ROSTER_MISSING)])
def test_a_roster_outlives_a_rotation_of_the_offline_key_and_no_compromise(
    desk: Desk, ground: Any, reason: Reason | None
) -> None:
    new = SigningKey.generate()
    history = desk.histories["zurich"]
    change = build_change(
        history,
        kind="offline",
        key=new.public.b64,
        ground=ground,
        issued=clock.now(),
        offline=desk.keystores["zurich"].offline,
        successor=new,
    )
    desk.histories["zurich"] = history.after(change)
    if reason is None:
        desk.check()
    else:
        assert desk.refused().reason is reason


# --- what was signed


def test_a_signature_with_an_authenticator_app_is_attested_and_does_not_count(desk: Desk) -> None:
    desk.put("zurich", desk.boards.decide("zurich", signed={"method": "totp"}))
    assert desk.refused(accept_paper=True).reason is R.ATTESTED_ONLY


def test_a_strangers_passkey_does_not_count(desk: Desk) -> None:
    stranger = SoftwarePasskey.create("localhost", ORIGIN)
    desk.put("zurich", desk.boards.decide("zurich", signed={"key": stranger}))
    assert desk.refused().reason is R.ROSTER_MISSING


def test_a_passkey_used_on_another_site_does_not_count(desk: Desk) -> None:
    assert desk.refused(origin="http://localhost:8001").reason is R.PASSKEY_INVALID


def test_without_the_passkeys_answer_there_is_no_signature(desk: Desk) -> None:
    desk.decided("zurich")["signatures"][0]["assertion"] = None
    assert desk.refused().reason is R.PASSKEY_INVALID


@pytest.mark.parametrize("signatures", [0, 2])
def test_a_determination_has_one_signature(desk: Desk, signatures: int) -> None:
    decided = desk.decided("zurich")
    decided["signatures"] = decided["signatures"] * signatures
    assert desk.refused().reason is R.SIGNATURE_INVALID


@pytest.mark.parametrize(
    "changes",
    [
        {"meaning": "disapproved"},
        {"kind": "protocol"},
        {"institution": "budapest"},
        {"study": "another"},
        {"record": digest(b"another")},
        {"signer": "zurich-irb-member"},
        {"name": "Somebody Else"},
        {"role": "irb-administrator"},
    ],
)
def test_a_signature_that_says_something_else_does_not_count(desk: Desk, changes: dict[str, Any]) -> None:
    desk.put("zurich", desk.boards.decide("zurich", signed=changes))
    assert desk.refused().reason is R.SIGNATURE_INVALID


@pytest.mark.parametrize("field", ["nonce", "time", "state"])
def test_a_statement_that_was_changed_after_signing_does_not_count(desk: Desk, field: str) -> None:
    statement = desk.decided("zurich")["signatures"][0]["statement"]
    statement[field] = clock.rfc3339(desk.now - DAY) if field == "time" else "changed"
    assert desk.refused().reason is R.PASSKEY_INVALID


def test_a_signature_from_the_future_does_not_count(desk: Desk) -> None:
    desk.put("zurich", desk.boards.decide("zurich", signed={"time": desk.now + DAY}))
    assert desk.refused().reason is R.FIELD_INVALID


@pytest.mark.parametrize("field", ["study", "base"])
def test_a_determination_on_something_else_does_not_count(desk: Desk, field: str) -> None:
    other: Any = {"study": {"study": "another"}, "base": {"kind": "amendment", "base": digest(b"another")}}[field]
    desk.put("zurich", desk.boards.decide("zurich", **other))
    refused = desk.refused()
    assert (refused.reason, refused.field) == (R.STUDY_NOT_APPROVED, field)


def test_the_determination_of_another_board_does_not_count(desk: Desk) -> None:
    desk.evidence["determinations"] = [desk.decided("cleveland"), desk.decided("budapest")]
    refused = desk.refused()
    assert (refused.reason, refused.field) == (R.STUDY_NOT_APPROVED, "zurich")


def test_a_minor_amendment_keeps_the_base_and_its_definitions(desk: Desk) -> None:
    minor = {
        "kind": "amendment",
        "protocol": digest(b"a later version"),
        "path": "expedited",
        "category": "minor-change",
    }
    desk.put("zurich", desk.boards.decide("zurich", **minor))
    desk.check()


def test_a_first_version_is_its_own_base(desk: Desk) -> None:
    desk.put("zurich", desk.boards.decide("zurich", protocol=digest(b"another")))
    assert desk.refused().reason is R.FIELD_INVALID


# --- what was decided


@pytest.mark.parametrize("outcome", ["disapproved", "modifications-required", "deferred"])
def test_what_is_no_approval_lets_nothing_pass(desk: Desk, outcome: str) -> None:
    desk.put("zurich", desk.boards.decide("zurich", outcome=outcome))
    refused = desk.refused()
    assert (refused.reason, "zurich" in refused.detail) == (R.STUDY_NOT_APPROVED, True)


@pytest.mark.parametrize("path", ["expedited", "exempt"])
def test_who_reviews_alone_cannot_disapprove(desk: Desk, path: str) -> None:
    desk.put("zurich", desk.boards.decide("zurich", path=path, outcome="disapproved"))
    assert desk.refused().reason is R.OUTCOME_NOT_ALLOWED


@pytest.mark.parametrize("first", [True, False])
def test_the_last_determination_counts_in_whichever_order_they_are_handed_out(desk: Desk, first: bool) -> None:
    later = desk.boards.decide("zurich", outcome="disapproved", signed={"time": desk.now + timedelta(seconds=5)})
    desk.evidence["determinations"].insert(0 if first else 9, later)
    assert desk.refused().reason is R.STUDY_NOT_APPROVED
    again = desk.boards.decide("zurich", signed={"time": desk.now + timedelta(seconds=9)})
    desk.evidence["determinations"].insert(0 if first else 9, again)
    desk.check()


@pytest.mark.parametrize("first", [True, False])
def test_of_two_determinations_at_one_time_the_one_that_says_no_counts(desk: Desk, first: bool) -> None:
    time = {"time": desk.now}
    both = [desk.boards.decide("zurich", signed=time, outcome=o) for o in ("approved", "disapproved")]
    desk.put("zurich", both[first])
    desk.evidence["determinations"].append(both[not first])
    assert desk.refused().reason is R.STUDY_NOT_APPROVED


def test_an_approval_ends(desk: Desk) -> None:
    desk.put("zurich", desk.boards.decide("zurich", expires=clock.rfc3339(desk.now + DAY)))
    desk.check(now=desk.now + DAY - timedelta(seconds=1))
    refused = desk.refused(now=desk.now + DAY)
    assert (refused.reason, "zurich" in refused.detail) == (R.STUDY_EXPIRED, True)


def test_the_full_board_names_its_minutes(desk: Desk) -> None:
    desk.put("zurich", desk.boards.decide("zurich", minutes=""))
    assert desk.refused().field == "minutes"


@pytest.mark.parametrize("role", ["irb-chair", "irb-administrator"])
def test_an_approval_on_paper_counts_where_the_reader_accepts_it_and_is_marked(desk: Desk, role: str) -> None:
    desk.put("zurich", desk.boards.decide("zurich", role, path="paper", findings={}))
    refused = desk.refused()
    assert (refused.reason, "zurich" in refused.detail) == (R.ATTESTED_ONLY, True)
    assert desk.check(accept_paper=True).attested == ("zurich",)


@pytest.mark.parametrize("name", ["risks-minimised", "privacy-protected"])
@pytest.mark.parametrize("answer", ["not-met", "not-applicable", None])
def test_without_a_finding_the_board_cannot_approve(desk: Desk, name: str, answer: str | None) -> None:
    findings = dict(desk.decided("zurich")["document"]["findings"])
    if answer is None:
        del findings[name]
    else:
        findings[name] = {"answer": answer, "note": ""}
    desk.put("zurich", desk.boards.decide("zurich", findings=findings))
    refused = desk.refused()
    assert (refused.reason, refused.field) == (R.FINDING_MISSING, f"findings.{name}")


@pytest.mark.parametrize("path", ["full-board", "expedited", "exempt"])
def test_a_protocol_that_rests_on_a_waiver_needs_the_findings_for_one(institutions: Any, path: str) -> None:
    basis = {
        "institution": "long-beach",
        "purpose": "decision-support",
        "ground": "waiver",
        "gdpr": None,
        "note": "Waived.",
    }
    desk = make(institutions, bases=[basis])
    desk.check()
    decided = desk.put("zurich", desk.boards.decide("zurich", path=path))
    desk.check()
    findings = {name: made for name, made in decided["document"]["findings"].items() if not name.startswith("waiver")}
    desk.put("zurich", desk.boards.decide("zurich", path=path, findings=findings))
    assert desk.refused().reason is R.FINDING_MISSING


# --- conditions


def conditional(desk: Desk) -> dict[str, Any]:
    return desk.put("zurich", desk.boards.decide("zurich", outcome="approved-with-conditions"))


def test_a_conditional_approval_lets_nothing_pass_until_someone_verified_the_conditions(desk: Desk) -> None:
    decided = conditional(desk)
    refused = desk.refused()
    assert (refused.reason, "zurich" in refused.detail) == (R.CONDITIONS_OPEN, True)
    desk.evidence["conditions"] = [desk.boards.verify(decided)]
    desk.check()


@pytest.mark.parametrize(
    "changes",
    [
        {"conditions": ["Another."]},
        {"conditions": []},
        {"study": "another"},
        {"board": "budapest"},
        {"determination": digest(b"another")},
    ],
)
def test_other_conditions_do_not_count(desk: Desk, changes: dict[str, Any]) -> None:
    desk.evidence["conditions"] = [desk.boards.verify(conditional(desk), **changes)]
    assert desk.refused().reason is R.CONDITIONS_OPEN


@pytest.mark.parametrize(
    ("role", "reason"),
    [
        ("irb-administrator", None),
        ("irb-member", R.ROLE_MISSING),
        ("institution-admin", R.ROLE_MISSING),
    ],
)
def test_chair_and_administrator_verify_conditions(desk: Desk, role: str, reason: Reason | None) -> None:
    desk.evidence["conditions"] = [desk.boards.verify(conditional(desk), role)]
    if reason is None:
        desk.check()
    else:
        assert desk.refused().reason is reason


@pytest.mark.parametrize(("scope", "reason"), [("verify-conditions", None), ("preside", R.ROLE_MISSING)])
def test_a_member_verifies_conditions_by_the_chairs_delegation(desk: Desk, scope: str, reason: Reason | None) -> None:
    desk.evidence["conditions"] = [desk.boards.verify(conditional(desk), "irb-member")]
    desk.evidence["delegations"] = [desk.boards.delegate("budapest"), desk.boards.delegate("zurich", scope=scope)]
    if reason is None:
        desk.check()
    else:
        assert desk.refused().reason is reason


# --- reliance


def relying(desk: Desk, **changes: Any) -> None:
    """long-beach and cleveland agree otherwise, and cleveland's determination names that agreement."""
    agreed = desk.boards.agree("long-beach", **changes)
    desk.evidence["agreements"] = [agreed]
    desk.put("cleveland", desk.boards.decide("cleveland", reliance={"long-beach": digest(agreed["document"])}))


@pytest.mark.parametrize(
    "changes",
    [
        {"ends": clock.rfc3339(clock.now() - DAY)},
        {"starts": clock.rfc3339(clock.now() + DAY)},
        {"study": "another"},
        {"relying": "budapest"},
        {"reviewing": "zurich"},
    ],
)
def test_an_agreement_that_does_not_cover_it_is_none(desk: Desk, changes: dict[str, Any]) -> None:
    relying(desk, **changes)
    refused = desk.refused()
    assert (refused.reason, "cleveland" in refused.detail) == (R.RELIANCE_MISSING, True)


def test_an_agreement_for_all_studies_covers_each(desk: Desk) -> None:
    relying(desk, study="")
    desk.check()


def test_without_the_agreement_that_it_names_a_board_decides_for_nobody_else(desk: Desk) -> None:
    desk.evidence["agreements"] = []
    assert desk.refused().reason is R.RELIANCE_MISSING


@pytest.mark.parametrize("left", [[], [0], [1], [0, 0], [0, 1, 1]])
def test_both_institutions_sign_the_agreement_once(desk: Desk, left: list[int]) -> None:
    agreed = desk.evidence["agreements"][0]
    agreed["signatures"] = [agreed["signatures"][each] for each in left]
    assert desk.refused().reason is R.RELIANCE_MISSING


@pytest.mark.parametrize(("site", "role"), [("long-beach", "investigator"), ("cleveland", "irb-member")])
def test_only_these_roles_agree_for_an_institution(desk: Desk, site: str, role: str) -> None:
    agreed = desk.evidence["agreements"][0]
    signature = desk.boards.sign(agreed["document"], site, role, kind="reliance", meaning="agrees")
    agreed["signatures"] = [
        signature if each["statement"]["institution"] == site else each for each in agreed["signatures"]
    ]
    assert desk.refused().reason is R.ROLE_MISSING


def test_a_site_that_relies_says_what_is_particular_about_it(desk: Desk) -> None:
    desk.evidence["contexts"] = []
    refused = desk.refused()
    assert (refused.reason, refused.field) == (R.LOCAL_CONTEXT_MISSING, "long-beach")


@pytest.mark.parametrize(
    "changes", [{"study": "another"}, {"board": "zurich"}, {"site": "zurich"}, {"base": digest(b"another")}]
)
def test_a_local_context_about_something_else_is_none(desk: Desk, changes: dict[str, Any]) -> None:
    desk.evidence["contexts"] = [desk.boards.state("long-beach", **changes)]
    assert desk.refused().reason is R.LOCAL_CONTEXT_MISSING


def test_a_local_context_is_signed_by_an_officer_of_the_site(desk: Desk) -> None:
    desk.evidence["contexts"] = [desk.boards.state("long-beach", "investigator")]
    assert desk.refused().reason is R.ROLE_MISSING


def test_a_site_that_nobody_decided_for_is_named(desk: Desk) -> None:
    desk.put("cleveland", desk.boards.decide("cleveland", sites=["cleveland"], reliance={}))
    refused = desk.refused()
    assert (refused.reason, refused.field) == (R.STUDY_NOT_APPROVED, "long-beach")


def test_every_board_that_decides_for_a_site_must_approve(desk: Desk) -> None:
    desk.evidence["determinations"].append(desk.boards.decide("long-beach", sites=["long-beach"], outcome="deferred"))
    assert desk.refused().reason is R.STUDY_NOT_APPROVED


def test_an_approval_that_has_lapsed_leaves_the_site_to_the_board_that_it_relies_on(desk: Desk) -> None:
    ended = {"expires": clock.rfc3339(desk.now + DAY), "sites": ["long-beach"], "reliance": {}}
    desk.evidence["determinations"].append(desk.boards.decide("long-beach", **ended))
    assert len(desk.check().approvals) == 4
    assert len(desk.check(now=desk.now + 2 * DAY).approvals) == 3


def test_whoever_else_is_asked_must_have_approved_though_it_is_no_site(institutions: Any) -> None:
    desk = make(institutions)
    desk.boards.protocol["sites"] = SITES[:2] + SITES[3:]
    desk.evidence = desk.boards.documents()
    desk.check()
    assert desk.refused(also=["zurich"]).field == "zurich"
    desk.evidence["rosters"].append(desk.boards.roster("zurich"))
    desk.evidence["determinations"].append(desk.boards.decide("zurich", sites=[], reliance={}))
    desk.check(also=["zurich"])


# --- whatever is changed


Path = tuple[Any, ...]


def leaves(value: Any, path: Path = ()) -> list[Path]:
    """Every place in the evidence where a text, a number or nothing stands."""
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in leaves(item, (*path, key))]
    if isinstance(value, list):
        return [found for key, item in enumerate(value) for found in leaves(item, (*path, key))]
    return [path]


def mutate(evidence: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> tuple[Any, Path]:
    """The evidence with one text changed by a character, one value replaced, or one member left out of an object."""
    changed = copy.deepcopy(evidence)
    path = draw(st.sampled_from(leaves(evidence)))
    parent: Any = changed
    for key in path[:-1]:
        parent = parent[key]
    value = parent[path[-1]]
    if isinstance(value, str) and value:
        place = draw(st.integers(0, len(value) - 1))
        other = draw(st.characters(codec="utf-8").filter(lambda character: character != value[place]))
        parent[path[-1]] = value[:place] + other + value[place + 1 :]
    else:
        parent[path[-1]] = draw(st.sampled_from(["x", 7, []]).filter(lambda other: other != value))
    return changed, path


@pytest.fixture(scope="module")
def rich(institutions: Any) -> Desk:
    """Evidence in which every kind of document counts."""
    desk = make(institutions)
    by_member(desk)
    decided = desk.put("budapest", desk.boards.decide("budapest", outcome="approved-with-conditions"))
    desk.evidence["conditions"] = [desk.boards.verify(decided)]
    desk.check()
    return desk


@pytest.fixture(scope="module")
def spoilt(rich: Desk) -> dict[str, Any]:
    """Evidence that is refused, each for another reason. Signed once: a signature is another one each time."""
    made: dict[str, Any] = {}
    for name in ("rosters", "conditions", "delegations", "agreements", "contexts"):
        made[name] = rich.evidence | {name: rich.evidence[name][:-1]}
    later = {"time": rich.now + timedelta(seconds=9)}
    refused = rich.boards.decide("zurich", outcome="disapproved", signed=later)
    made["disapproved"] = rich.evidence | {"determinations": [*rich.evidence["determinations"], refused]}
    lost = rich.boards.roster("zurich", version=2, issued=rich.now - DAY, roles=("investigator",))
    made["lost"] = rich.evidence | {"rosters": [*rich.evidence["rosters"], lost]}
    return made


@settings(max_examples=400)
@given(st.data())
def test_a_change_of_anything_that_was_signed_is_refused(rich: Desk, data: st.DataObject) -> None:
    changed, path = mutate(rich.evidence, data.draw)
    with pytest.raises(Refused):
        Desk(rich.keystores, rich.histories, rich.boards, changed, rich.now).check()
    assert path


@settings(max_examples=400)
@given(st.data())
def test_no_change_turns_a_refusal_into_an_approval(rich: Desk, spoilt: dict[str, Any], data: st.DataObject) -> None:
    evidence = data.draw(st.sampled_from(list(spoilt.values())))
    changed, _ = mutate(evidence, data.draw)
    with pytest.raises(Refused):
        Desk(rich.keystores, rich.histories, rich.boards, changed, rich.now).check()
