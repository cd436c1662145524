"""A node verifies the boards' approvals itself, and remembers whom an institution has struck off."""

from datetime import timedelta

import pytest

from compute.node.seen_rosters import SeenRosters
from concordat import canonical, clock
from concordat.canonical import digest
from concordat.key_change import KeyHistory, build_change
from concordat.reasons import Reason
from concordat.review_evidence import verify_rosters
from concordat.signatures import SigningKey
from tests.compute.node.test_authority import OWN, answer_to
from tests.support.consortium import OWNER, PARTIES, REQUESTER, Case, Consortium


def decided(case, board):
    return next(each for each in case.documents["reviews"]["determinations"] if each["document"]["board"] == board)


def put(case, board, other):
    found = case.documents["reviews"]["determinations"]
    found[found.index(decided(case, board))] = other
    return other


def board_missing(case):
    case.documents["reviews"]["determinations"].remove(decided(case, "zurich"))


def board_disapproves(case):
    later = {"time": clock.now() + timedelta(seconds=1)}
    case.documents["reviews"]["determinations"].append(
        case.consortium.boards.decide("zurich", outcome="disapproved", signed=later)
    )


def board_expired(case):
    put(case, "zurich", case.consortium.boards.decide("zurich", expires=clock.rfc3339(clock.now())))


def member_signed(case):
    put(case, "zurich", case.consortium.boards.decide("zurich", "irb-member", path="expedited"))


def conditions_open(case):
    put(case, "zurich", case.consortium.boards.decide("zurich", outcome="approved-with-conditions"))


def attested(case):
    put(case, "zurich", case.consortium.boards.decide("zurich", signed={"method": "totp"}))


def on_paper(case):
    put(case, "zurich", case.consortium.boards.decide("zurich", path="paper"))


def findings_missing(case):
    put(case, "zurich", case.consortium.boards.decide("zurich", findings={}))


def agreement_missing(case):
    case.documents["reviews"]["agreements"] = []


def context_missing(case):
    case.documents["reviews"]["contexts"] = []


def roster_missing(case):
    rosters = case.documents["reviews"]["rosters"]
    case.documents["reviews"]["rosters"] = [each for each in rosters if each != rosters[PARTIES.index("zurich")]]


def roster_by_the_coordinator(case):
    """Which appoints an officer of its own."""
    forged = case.consortium.boards.roster("zurich", version=2, key=case.consortium.coordinator)
    case.documents["reviews"]["rosters"].append(forged)


def roster_by_the_identity_key(case):
    forged = case.consortium.boards.roster("zurich", version=2, key=case.consortium.identity("zurich"))
    case.documents["reviews"]["rosters"].append(forged)


def another_protocol(case):
    case.documents["protocol"] = case.documents["protocol"] | {"title": "Another"}


def signature_altered(case):
    decided(case, "zurich")["signatures"][0]["statement"]["time"] = clock.rfc3339(clock.now() - timedelta(days=1))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (board_missing, Reason.STUDY_NOT_APPROVED),
        (board_disapproves, Reason.STUDY_NOT_APPROVED),
        (board_expired, Reason.STUDY_EXPIRED),
        (member_signed, Reason.ROLE_MISSING),
        (conditions_open, Reason.CONDITIONS_OPEN),
        (attested, Reason.ATTESTED_ONLY),
        (on_paper, Reason.ATTESTED_ONLY),
        (findings_missing, Reason.FINDING_MISSING),
        (agreement_missing, Reason.RELIANCE_MISSING),
        (context_missing, Reason.LOCAL_CONTEXT_MISSING),
        (roster_missing, Reason.ROSTER_MISSING),
        (roster_by_the_coordinator, Reason.KEY_UNKNOWN),
        (roster_by_the_identity_key, Reason.KEY_UNKNOWN),
        (another_protocol, Reason.DIGEST_MISMATCH),
        (signature_altered, Reason.ROSTER_MISSING),
    ],
)
def test_an_approval_that_does_not_hold_is_refused_by_name(case, make_node, spoil, reason):
    spoil(case)
    answer, engines = answer_to(case, make_node)
    assert answer["reason"] == reason
    assert engines == []


@pytest.mark.parametrize("slug", [*PARTIES, "notary"])
def test_every_node_checks_the_dealer_too(case, make_node, slug):
    board_missing(case)
    answer, _ = answer_to(case, make_node, slug)
    assert answer["reason"] == Reason.STUDY_NOT_APPROVED


def test_an_institution_decides_for_itself_whether_an_approval_on_paper_is_enough(consortium, make_node):
    consortium.write_policy(OWN, paper="accept")
    case = Case.make(consortium)
    on_paper(case)
    assert "reason" not in answer_to(case, make_node)[0]
    assert answer_to(case, make_node, "zurich")[0]["reason"] == Reason.ATTESTED_ONLY


def test_a_policy_file_that_does_not_say_so_is_no_policy(consortium, case, make_node):
    file = consortium.homes[OWN].directory / "policy.json"
    said = canonical.decode(file.read_bytes())
    del said["paper"]
    file.write_bytes(canonical.encode(said))
    assert answer_to(case, make_node)[0]["reason"] == Reason.FIELD_MISSING


@pytest.mark.parametrize(
    "changes",
    [
        {"requesters": [REQUESTER, "notary"], "recipients": [REQUESTER, "notary"]},
        {"purposes": ["decision-support", "marketing"]},
    ],
)
def test_a_definition_that_goes_beyond_its_protocol_is_refused(consortium, make_node, changes):
    wider = consortium.new_definition(**changes)
    case = Case.make(consortium, definition=wider, purpose="decision-support")
    case.documents["votes"] = [consortium.vote(slug, about=digest(wider)) for slug in (*PARTIES, REQUESTER)]
    assert answer_to(case, make_node)[0]["reason"] == Reason.STUDY_NOT_APPROVED


def test_the_officers_page_is_the_pinned_one_and_else_the_coordinators(consortium, case, make_node):
    home, pins = consortium.homes[OWN], consortium.pins()
    assert home.site == pins["site"]
    try:
        del pins["site"]
        home.pin(canonical.encode(pins))
        assert home.site == "http://127.0.0.1:1"
        assert answer_to(case, make_node)[0]["reason"] == Reason.PASSKEY_INVALID
    finally:
        home.pin(canonical.encode(consortium.pins()))


# --- what a node has seen stays seen


def struck_off(consortium, **changes):
    """zurich's second roster, which lists its chair no more, from before the determination was signed."""
    fields = {"version": 2, "issued": clock.now() - timedelta(days=1), "roles": ("irb-member",)}
    return consortium.boards.roster("zurich", **fields | changes)


def test_a_roster_that_was_seen_once_cannot_be_left_out_later(consortium, make_node):
    first, second = Case.make(consortium), Case.make(consortium)
    first.documents["reviews"]["rosters"].append(struck_off(consortium))
    for case in (first, second):  # a new process each time, which reads what the first wrote down
        assert answer_to(case, make_node)[0]["reason"] == Reason.ROSTER_MISSING


def test_a_roster_that_was_seen_counts_though_another_is_given_under_its_number(consortium, make_node):
    first, second = Case.make(consortium), Case.make(consortium)
    first.documents["reviews"]["rosters"].append(struck_off(consortium))
    second.documents["reviews"]["rosters"].append(consortium.boards.roster("zurich", version=2))
    assert answer_to(first, make_node)[0]["reason"] == Reason.ROSTER_MISSING
    assert answer_to(second, make_node)[0]["reason"] == Reason.CONFLICT


def test_the_highest_version_is_remembered_and_not_the_last_one_shown(consortium, tmp_path):
    seen, histories = SeenRosters(tmp_path / "state"), consortium.homes[OWN].pins.histories
    tokens = [struck_off(consortium, version=version) for version in (2, 5, 3)]
    for token in tokens:
        seen.remember(verify_rosters([token], histories))
    assert seen.tokens(histories) == [tokens[1]]
    assert seen.tokens({"budapest"}) == []


def test_what_a_thief_of_the_offline_key_signed_is_forgotten_once_the_theft_is_known(tmp_path):
    consortium = Consortium(tmp_path)
    home, zurich = consortium.homes[OWN], consortium.homes["zurich"]
    seen, new = SeenRosters(home.state), SigningKey.generate()
    seen.remember(verify_rosters([struck_off(consortium, version=999)], home.pins.histories))
    change = build_change(
        KeyHistory(home.pins.enrolment("zurich")),
        kind="offline",
        key=new.public.b64,
        ground="compromise",
        issued=clock.now(),
        offline=zurich.keys.offline,
        successor=new,
    )
    home.update_pins([change])
    histories = home.pins.histories
    assert verify_rosters(seen.tokens(histories), histories) == ()
    [again] = verify_rosters([consortium.boards.roster("zurich", key=new)], histories)
    seen.remember([again])
    assert verify_rosters(seen.tokens(histories), histories) == (again,)


def test_the_owners_board_decides_for_the_requester_that_relies_on_it(case):
    assert decided(case, OWNER)["document"]["sites"] == [OWNER, REQUESTER]
