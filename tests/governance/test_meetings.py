"""The convened board: notice, agenda, attendance, quorum, motion, ballots, minutes."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from concordat import clock
from concordat.canonical import digest
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance import blindness, selectors
from governance.models import AgendaItem, Attendance, Ballot, Conflict, Meeting, Notification, Study
from governance.notices import Notice
from governance.room import room
from governance.services import attachments, attendance, boards, meetings, people, reviews, sittings, studies
from ledger.models import LogEntry
from ledger.selectors import entries
from tests.governance.conftest import Consortium
from tests.support.boardroom import APPROVAL, APPROVE, DEFER, Boardroom


@pytest.fixture
def study(consortium: Consortium) -> Study:
    return consortium.submitted()


@pytest.fixture
def zurich(consortium: Consortium) -> Boardroom:
    return Boardroom(consortium)


def refused(call: Callable[[], object]) -> Refused:
    """Why it was refused; a refusal has changed nothing."""
    before = LogEntry.objects.count()
    with pytest.raises(Refused) as caught:
        call()
    assert LogEntry.objects.count() == before
    return caught.value


def fresh(item: AgendaItem) -> AgendaItem:
    return AgendaItem.objects.get(pk=item.pk)


def told(notice: Notice) -> set[int]:
    return set(Notification.objects.filter(notice=notice).values_list("user", flat=True))


# --- meetings


def test_a_regular_meeting_needs_notice_and_tells_members_alternates_and_office(zurich: Boardroom) -> None:
    by, soon = zurich.administrator, clock.now() + timedelta(days=2)

    def call(**given: Any) -> Meeting:
        return meetings.schedule(by=by, board=zurich.board, place="Room 1", **given)

    assert refused(lambda: call(at=soon)).field == "at"
    meeting = call(at=soon + timedelta(days=2))
    assert told(Notice.MEETING_CALLED) == {user.pk for user in [*zurich.people.values(), by]}
    logged = entries(event=Event.MEETING_SCHEDULED).get()
    assert logged.public["meeting"] == str(meeting.uuid)
    assert logged.public["kind"] == "regular"


def test_how_much_notice_is_a_setting(zurich: Boardroom, settings: Any) -> None:
    settings.MEETING_NOTICE_DAYS = 1
    soon = clock.now() + timedelta(days=2)
    assert meetings.schedule(by=zurich.administrator, board=zurich.board, at=soon, place="Room 1").state == "scheduled"


def test_an_urgent_meeting_needs_no_notice_but_the_same_quorum(zurich: Boardroom, study: Study) -> None:
    item = zurich.place(study, zurich.meeting())
    zurich.present(item, "chair", "lawyer")
    stopped = refused(lambda: sittings.open_item(by=zurich.administrator, item=str(item.uuid)))
    assert (stopped.reason, stopped.detail) == (
        Reason.BOARD_QUORUM_LOST,
        "2 of 5 seats present, 3 needed; a non-scientist is present.",
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"place": " "}, "place"), ({"kind": "secret"}, "kind"), ({"at": clock.now() - timedelta(days=1)}, "at")],
)
def test_a_meeting_has_a_place_a_kind_and_a_time_to_come(
    zurich: Boardroom, changes: dict[str, Any], field: str
) -> None:
    given = {"at": clock.now(), "place": "Room 1", "kind": "urgent"} | changes
    assert refused(lambda: meetings.schedule(by=zurich.administrator, board=zurich.board, **given)).field == field


def test_a_meeting_does_not_begin_before_its_time(zurich: Boardroom) -> None:
    later = clock.now() + timedelta(hours=2)
    meeting = meetings.schedule(by=zurich.administrator, board=zurich.board, at=later, place="Room 1", kind="urgent")
    assert refused(lambda: meetings.open(by=zurich.administrator, meeting=str(meeting.uuid))).field == "at"


def test_a_cancelled_meeting_frees_its_agenda_and_tells_why_not(zurich: Boardroom, study: Study) -> None:
    meeting = zurich.meeting(begun=False)
    item = zurich.place(study, meeting)
    by = zurich.administrator
    assert refused(lambda: meetings.cancel(by=by, meeting=str(meeting.uuid), ground=" ")).field == "ground"
    meetings.cancel(by=by, meeting=str(meeting.uuid), ground="The chair is ill.")
    assert fresh(item).state == "taken-off"
    assert told(Notice.MEETING_CANCELLED) >= {zurich.people["priest"].pk}
    assert refused(lambda: meetings.open(by=by, meeting=str(meeting.uuid))).reason is Reason.WRONG_STATE
    assert refused(lambda: zurich.place(study, meeting)).reason is Reason.WRONG_STATE
    assert zurich.place(study, zurich.meeting()).state == "waiting"


def test_a_meeting_ends_when_no_item_is_open_and_leaves_the_rest_for_another(
    zurich: Boardroom, study: Study, consortium: Consortium
) -> None:
    item = zurich.opened(study)
    other = zurich.place(consortium.submitted(study="another"), item.meeting)
    by, meeting = zurich.administrator, str(item.meeting.uuid)
    assert refused(lambda: meetings.close(by=by, meeting=meeting)).reason is Reason.WRONG_STATE
    sittings.stop_item(by=by, item=str(item.uuid), ground="It is late.")
    assert meetings.close(by=by, meeting=meeting).state == "closed"
    assert fresh(other).state == "taken-off"
    assert zurich.place(study, zurich.meeting()).state == "waiting"


# --- the agenda


def test_what_the_board_has_still_to_decide_is_placed_once(zurich: Boardroom, study: Study) -> None:
    item, other = zurich.place(study, zurich.meeting()), zurich.meeting()
    assert refused(lambda: zurich.place(study, other)).reason is Reason.CONFLICT
    meetings.take_off(by=zurich.administrator, item=str(item.uuid))
    assert refused(lambda: meetings.take_off(by=zurich.administrator, item=str(item.uuid))).reason is Reason.WRONG_STATE
    assert zurich.place(study, zurich.meeting()).position == 1
    assert [entry.public["study"] for entry in entries(event=Event.ITEM_TAKEN_OFF)] == [study.slug]


def test_an_item_that_was_taken_up_cannot_be_taken_off(zurich: Boardroom, study: Study) -> None:
    item = zurich.opened(study)
    assert refused(lambda: meetings.take_off(by=zurich.administrator, item=str(item.uuid))).reason is Reason.WRONG_STATE


def test_another_board_s_review_is_not_placed(zurich: Boardroom, study: Study, consortium: Consortium) -> None:
    meeting, review = zurich.meeting(), consortium.review(study, "budapest")
    call = refused(lambda: meetings.place(by=zurich.administrator, meeting=str(meeting.uuid), review=str(review.uuid)))
    assert call.reason is Reason.WRONG_INSTITUTION


def test_what_one_reviewer_decides_is_not_placed(zurich: Boardroom, study: Study, consortium: Consortium) -> None:
    item = zurich.place(study, zurich.meeting())
    review = str(zurich.review(study).uuid)
    reviews.route(by=zurich.chair.user, review=review, path="expedited", category="5", ground="Minimal risk.")
    zurich.present(item, "chair", "second", "lawyer")
    assert refused(lambda: sittings.open_item(by=zurich.administrator, item=str(item.uuid))).field == "path"
    meetings.take_off(by=zurich.administrator, item=str(item.uuid))
    assert refused(lambda: zurich.place(study, item.meeting)).field == "path"
    consortium.sign(zurich.chair, study)
    assert refused(lambda: zurich.place(study, item.meeting)).reason is Reason.WRONG_STATE


def test_an_item_that_was_only_placed_and_taken_off_can_still_go_another_way(zurich: Boardroom, study: Study) -> None:
    item, review = zurich.place(study, zurich.meeting()), zurich.review(study)
    meetings.take_off(by=zurich.administrator, item=str(item.uuid))
    assert not blindness.taken_up(review)
    routed = reviews.route(
        by=zurich.chair.user, review=str(review.uuid), path="expedited", category="5", ground="Minimal risk."
    )
    assert routed.path == "expedited"


# --- who may


Steps = dict[str, Callable[[Any], object]]


def steps(room: Boardroom, item: AgendaItem, review: str) -> Steps:
    meeting, uuid, board = str(item.meeting.uuid), str(item.uuid), room.board
    return {
        "schedule": lambda by: meetings.schedule(by=by, board=board, at=clock.now(), place="Room", kind="urgent"),
        "cancel": lambda by: meetings.cancel(by=by, meeting=meeting, ground="No."),
        "open": lambda by: meetings.open(by=by, meeting=meeting),
        "close": lambda by: meetings.close(by=by, meeting=meeting),
        "place": lambda by: meetings.place(by=by, meeting=meeting, review=review),
        "take off": lambda by: meetings.take_off(by=by, item=uuid),
        "attend": lambda by: attendance.attend(by=by, item=uuid, marks={}),
        "open item": lambda by: sittings.open_item(by=by, item=uuid),
        "move": lambda by: sittings.move(by=by, item=uuid, motion=APPROVE),
        "vote": lambda by: sittings.vote(by=by, item=uuid, choice="for"),
        "decide": lambda by: sittings.decide(by=by, item=uuid),
        "stop": lambda by: sittings.stop_item(by=by, item=uuid, ground="No."),
    }


OF_THE_MEETING = ("schedule", "cancel", "open", "close", "place", "take off")
VERBS = (*OF_THE_MEETING, "attend", "open item", "move", "vote", "decide", "stop")
OF_MEMBERS = {"vote"}


@pytest.mark.parametrize("verb", VERBS)
def test_nobody_of_another_institution_does_anything(
    zurich: Boardroom, study: Study, consortium: Consortium, verb: str
) -> None:
    item = zurich.opened(study)
    outsider = consortium.chairs["budapest"].user
    call = steps(zurich, item, str(zurich.review(study).uuid))[verb]
    expected = Reason.WRONG_INSTITUTION if verb == "schedule" else Reason.NOT_FOUND
    assert refused(lambda: call(outsider)).reason is expected


@pytest.mark.parametrize("verb", VERBS)
def test_a_role_of_the_house_is_not_enough(zurich: Boardroom, study: Study, consortium: Consortium, verb: str) -> None:
    item = zurich.opened(study)
    call = steps(zurich, item, str(zurich.review(study).uuid))[verb]
    auditor = consortium.member("zurich", "auditor")
    assert refused(lambda: call(auditor)).reason is Reason.ROLE_MISSING
    if verb not in OF_MEMBERS:
        assert refused(lambda: call(zurich.people["second"])).reason is Reason.ROLE_MISSING


@pytest.mark.parametrize("verb", ["attend", "open item", "move", "vote", "decide"])
def test_nobody_runs_or_votes_on_what_they_have_a_stake_in(zurich: Boardroom, study: Study, verb: str) -> None:
    item = zurich.moved(study, "chair", "second", "third", "lawyer", "priest")
    boards.declare_conflict(by=zurich.chair.user, board=zurich.board, study=str(study.uuid), ground="I am paid by it.")
    call = steps(zurich, item, "")[verb]
    assert refused(lambda: call(zurich.chair.user)).reason is Reason.CONFLICT_OF_INTEREST


def test_a_member_runs_a_meeting_by_the_chair_s_delegation(
    consortium: Consortium, zurich: Boardroom, study: Study
) -> None:
    deputy = consortium.officer("zurich", "irb-member")
    consortium.roster("zurich", [(zurich.chair, "irb-chair"), (deputy, "irb-member")])
    meeting = zurich.meeting(begun=False)
    assert refused(lambda: meetings.open(by=deputy.user, meeting=str(meeting.uuid))).reason is Reason.ROLE_MISSING
    consortium.act(
        zurich.chair,
        "delegate",
        board="zurich",
        delegate=str(deputy.user.officer.uuid),
        scope="preside",
        ends=clock.rfc3339(clock.now() + timedelta(days=30)),
    )
    assert meetings.open(by=deputy.user, meeting=str(meeting.uuid)).state == "open"
    item = zurich.place(study, meeting)
    assert zurich.attend(item, by=deputy.user, chair="present").pk == item.pk


# --- attendance and quorum


def test_only_current_seats_are_marked_and_only_so(zurich: Boardroom, study: Study) -> None:
    item = zurich.place(study, zurich.meeting())
    boards.end_seat(by=zurich.administrator, board=zurich.board, seat=str(zurich.seats["third"].uuid))
    assert refused(lambda: zurich.present(item, "third")).reason is Reason.NOT_FOUND
    assert refused(lambda: zurich.attend(item, chair="asleep")).reason is Reason.FIELD_INVALID
    zurich.present(item, "chair")
    zurich.present(item, "chair")
    assert item.attendance.count() == entries(event=Event.ATTENDANCE_MARKED).count() == 1


def test_attendance_is_of_a_meeting_that_is_held(zurich: Boardroom, study: Study) -> None:
    item = zurich.place(study, zurich.meeting(begun=False))
    assert refused(lambda: zurich.present(item, "chair")).reason is Reason.WRONG_STATE


def test_an_alternate_is_present_only_while_the_member_is_not(zurich: Boardroom, study: Study) -> None:
    item = zurich.place(study, zurich.meeting())
    zurich.present(item, "chair", "second", "lawyer")
    assert refused(lambda: zurich.present(item, "deputy")).reason is Reason.FIELD_INVALID
    zurich.attend(item, lawyer="absent", deputy="present")
    assert room(item).quorum.sentence == "3 of 5 seats present, 3 needed; a non-scientist is present."
    assert zurich.seats["deputy"] in room(item).voters


def test_a_change_of_places_in_an_open_item_does_not_stop_it(zurich: Boardroom, study: Study) -> None:
    item = zurich.opened(study)
    zurich.attend(item, lawyer="absent", deputy="present")
    assert fresh(item).state == "open"


def test_scientists_alone_are_no_quorum(zurich: Boardroom, study: Study) -> None:
    item = zurich.place(study, zurich.meeting())
    zurich.present(item, "chair", "second", "third")
    lost = refused(lambda: sittings.open_item(by=zurich.administrator, item=str(item.uuid)))
    assert lost.detail == "3 of 5 seats present, 3 needed; no non-scientist is present."


def test_who_has_declared_a_conflict_can_be_recused_or_absent_only(zurich: Boardroom, study: Study) -> None:
    item = zurich.place(study, zurich.meeting())
    boards.declare_conflict(by=zurich.people["priest"], board=zurich.board, study=str(study.uuid), ground="A cousin.")
    call = refused(lambda: zurich.present(item, "priest"))
    assert call.reason is Reason.CONFLICT_OF_INTEREST
    assert call.field == f"marks.{zurich.seats['priest'].uuid}"
    zurich.attend(item, priest="absent")
    zurich.attend(item, priest="recused")


def test_who_submitted_it_or_investigates_where_it_is_led_cannot_be_present(
    consortium: Consortium, zurich: Boardroom
) -> None:
    people.add_member(
        email=zurich.people["second"].email,
        name=zurich.people["second"].officer.name,
        institution=consortium.at["cleveland"],
        role="investigator",
    )
    item = zurich.place(consortium.submitted(by=zurich.people["second"]), zurich.meeting())
    assert refused(lambda: zurich.present(item, "second")).reason is Reason.SELF_REVIEW


def test_a_recusal_that_costs_the_quorum_stops_the_item(zurich: Boardroom, study: Study) -> None:
    item = zurich.moved(study)
    zurich.vote(item, chair="for")
    boards.declare_conflict(by=zurich.people["second"], board=zurich.board, study=str(study.uuid), ground="Shares.")
    stopped = fresh(item)
    assert stopped.state == "stopped"
    assert stopped.minutes["ground"].startswith("The quorum was lost: 2 of 5 seats present")
    assert [person["name"] for person in stopped.minutes["recused"]] == [zurich.people["second"].officer.name]
    assert stopped.minutes["votes"]["for"] == 1
    logged = entries(event=Event.ITEM_STOPPED).get().public
    assert (logged["present"], logged["needed"], logged["minutes"]) == (2, 3, stopped.minutes_digest)
    assert told(Notice.ITEM_STOPPED) >= {user.pk for user in zurich.people.values()}
    assert refused(lambda: zurich.vote(item, lawyer="for")).reason is Reason.WRONG_STATE
    assert refused(lambda: zurich.decide(item)).reason is Reason.WRONG_STATE


def test_a_recusal_that_leaves_the_quorum_leaves_the_item_open_and_takes_the_ballot_along(
    zurich: Boardroom, study: Study
) -> None:
    item = zurich.moved(study, "chair", "second", "third", "lawyer")
    zurich.vote(item, second="against", chair="for", third="for", lawyer="abstain")
    boards.declare_conflict(by=zurich.people["second"], board=zurich.board, study=str(study.uuid), ground="Shares.")
    assert fresh(item).state == "open"
    decided = zurich.decide(item)
    votes = decided.minutes["votes"]
    assert (votes["for"], votes["against"], votes["abstain"]) == (2, 0, 1)
    assert [vote["counted"] for vote in votes["ballots"]] == [False, True, True, True]


def test_whoever_leaves_may_stop_the_item_too(zurich: Boardroom, study: Study) -> None:
    item = zurich.opened(study)
    zurich.attend(item, lawyer="absent")
    assert fresh(item).state == "stopped"


def test_a_larger_roster_or_a_seat_that_ends_may_stop_it_too(zurich: Boardroom, study: Study) -> None:
    item = zurich.opened(study)
    boards.end_seat(by=zurich.administrator, board=zurich.board, seat=str(zurich.seats["lawyer"].uuid))
    assert fresh(item).state == "stopped"


def test_no_vote_without_a_quorum_however_it_was_lost(consortium: Consortium, zurich: Boardroom, study: Study) -> None:
    item = zurich.moved(study)
    second = zurich.people["second"]
    people.add_member(
        email=second.email, name=second.officer.name, institution=consortium.at["cleveland"], role="investigator"
    )
    assert refused(lambda: zurich.vote(item, chair="for")).reason is Reason.BOARD_QUORUM_LOST
    assert refused(lambda: zurich.vote(item, second="for")).reason is Reason.SELF_REVIEW
    assert refused(lambda: zurich.decide(item)).reason is Reason.BOARD_QUORUM_LOST
    assert fresh(item).state == "open"


def test_one_item_is_open_at_a_time(consortium: Consortium, zurich: Boardroom, study: Study) -> None:
    item = zurich.opened(study)
    other = zurich.place(consortium.submitted(study="another"), item.meeting)
    zurich.present(other, "chair", "second", "lawyer")
    assert refused(lambda: sittings.open_item(by=zurich.administrator, item=str(other.uuid))).field == "state"
    with pytest.raises(IntegrityError), transaction.atomic():
        AgendaItem.objects.filter(pk=other.pk).update(state="open")


# --- motion, ballots, decision


@pytest.mark.parametrize(
    ("motion", "reason"),
    [
        (APPROVE | {"findings": {}}, Reason.FINDING_MISSING),
        (APPROVE | {"findings": APPROVAL | {"risks-minimised": {"answer": "not-met", "note": ""}}}, "finding-missing"),
        (APPROVE | {"conditions": ["Shorten the form."]}, Reason.FIELD_INVALID),
        (APPROVE | {"outcome": "approved-with-conditions"}, Reason.FIELD_INVALID),
        (APPROVE | {"outcome": "referred"}, Reason.OUTCOME_NOT_ALLOWED),
        (APPROVE | {"outcome": "perhaps"}, Reason.FIELD_INVALID),
        (DEFER | {"reasons": ""}, Reason.FIELD_MISSING),
        ({"outcome": "deferred"}, Reason.FIELD_MISSING),
    ],
)
def test_a_motion_is_checked_as_the_determination_will_be(
    zurich: Boardroom, study: Study, motion: dict[str, Any], reason: str
) -> None:
    item = zurich.opened(study)
    call = refused(lambda: sittings.move(by=zurich.administrator, item=str(item.uuid), motion=motion))
    assert call.reason == reason


def test_a_protocol_on_a_waiver_needs_the_findings_for_one(consortium: Consortium, zurich: Boardroom) -> None:
    bases = consortium.protocol()["bases"]
    study = consortium.submitted(bases=[basis | {"ground": "waiver"} for basis in bases])
    item = zurich.opened(study)
    call = refused(lambda: sittings.move(by=zurich.administrator, item=str(item.uuid), motion=APPROVE))
    assert call.field == "findings.waiver-minimal-risk"


def test_the_motion_stands_once_a_ballot_is_cast(zurich: Boardroom, study: Study) -> None:
    item = zurich.moved(study, motion=DEFER)
    sittings.move(by=zurich.administrator, item=str(item.uuid), motion=APPROVE)
    zurich.vote(item, chair="for")
    call = refused(lambda: sittings.move(by=zurich.administrator, item=str(item.uuid), motion=DEFER))
    assert call.field == "motion"


def test_without_a_motion_nobody_votes_and_nothing_is_decided(zurich: Boardroom, study: Study) -> None:
    item = zurich.opened(study)
    assert refused(lambda: zurich.vote(item, chair="for")).field == "motion"
    assert refused(lambda: zurich.decide(item)).field == "motion"


def test_who_is_present_votes_once_with_the_own_seat(zurich: Boardroom, study: Study) -> None:
    item = zurich.moved(study)
    assert refused(lambda: zurich.vote(item, priest="for")).field == "seat"
    assert refused(lambda: zurich.vote(item, deputy="for")).field == "seat"
    assert refused(lambda: zurich.vote(item, chair="perhaps")).field == "choice"
    zurich.vote(item, chair="for")
    assert refused(lambda: zurich.vote(item, chair="against")).reason is Reason.CONFLICT
    assert Ballot.objects.get().choice == "for"


def test_a_ballot_is_never_changed(zurich: Boardroom, study: Study) -> None:
    item = zurich.moved(study)
    zurich.vote(item, chair="for")
    with pytest.raises(IntegrityError), transaction.atomic():
        Ballot.objects.update(choice="against")


def test_a_board_member_without_a_seat_has_no_vote(consortium: Consortium, zurich: Boardroom, study: Study) -> None:
    item, guest = zurich.moved(study), consortium.member("zurich", "irb-member")
    call = refused(lambda: sittings.vote(by=guest, item=str(item.uuid), choice="for"))
    assert call.reason is Reason.ROLE_MISSING


def test_an_alternate_who_sits_in_votes_and_the_member_does_not(zurich: Boardroom, study: Study) -> None:
    item = zurich.moved(study, "chair", "second", "deputy")
    assert refused(lambda: zurich.vote(item, lawyer="for")).field == "seat"
    zurich.vote(item, chair="for", second="against", deputy="for")
    decided = zurich.decide(item)
    by_name = {person["name"]: person for person in decided.minutes["present"]}
    deputy = by_name[zurich.people["deputy"].officer.name]
    assert deputy["alternate_for"] == str(zurich.seats["lawyer"].uuid)


def test_everybody_present_votes_before_it_is_decided(zurich: Boardroom, study: Study) -> None:
    item = zurich.moved(study)
    zurich.vote(item, chair="for", second="for")
    assert refused(lambda: zurich.decide(item)).detail.startswith("1 of 3 members present have not voted")
    zurich.vote(item, lawyer="abstain")
    assert zurich.decide(item).outcome == "approved"


def test_the_decision_is_minuted_and_the_minutes_are_hashed(zurich: Boardroom, study: Study) -> None:
    item = zurich.moved(study)
    sittings.vote(by=zurich.people["second"], item=str(item.uuid), choice="against", reason="The sample is small.")
    zurich.vote(item, chair="for", lawyer="for")
    decided = zurich.decide(item, controverted="Whether the sample is large enough.")
    minutes = decided.minutes
    assert decided.minutes_digest == digest(minutes)
    assert minutes["motion"] == APPROVE
    assert (minutes["study"], minutes["protocol"]) == (study.slug, study.versions.get().digest)
    assert minutes["controverted"] == "Whether the sample is large enough."
    assert minutes["votes"]["ballots"][0] | {"cast": ""} == {
        "seat": str(zurich.seats["second"].uuid),
        "name": zurich.people["second"].officer.name,
        "choice": "against",
        "reason": "The sample is small.",
        "cast": "",
        "counted": True,
    }
    assert [mark["status"] for mark in minutes["attendance"]] == ["present"] * 3
    logged = entries(event=Event.ITEM_DECIDED).get().public
    assert (logged["for"], logged["against"], logged["abstain"]) == (2, 1, 0)
    assert logged["minutes"] == decided.minutes_digest
    assert "name" not in str(logged)


def test_equal_minutes_of_two_sittings_have_different_digests(
    consortium: Consortium, zurich: Boardroom, study: Study
) -> None:
    item = zurich.decided(study)
    salts = {item.minutes["salt"], zurich.decided(consortium.submitted(study="another")).minutes["salt"]}
    assert len(salts) == 2
    assert min(map(len, salts)) >= 43


def test_half_of_those_present_is_no_majority(zurich: Boardroom, study: Study) -> None:
    item = zurich.moved(study, "chair", "second", "third", "lawyer")
    zurich.vote(item, chair="for", second="for", third="abstain", lawyer="abstain")
    lost = zurich.decide(item)
    assert (lost.state, lost.outcome, lost.minutes["votes"]["for"]) == ("lost", "", 2)
    assert entries(event=Event.ITEM_DECIDED).get().public["outcome"] == "motion-lost"
    assert selectors.vote_to_sign(zurich.review(study)) is None


def test_a_lost_motion_is_followed_by_another_in_another_sitting_of_the_same_meeting(
    zurich: Boardroom, study: Study
) -> None:
    item = zurich.moved(study)
    zurich.vote(item, chair="against", second="against", lawyer="against")
    zurich.decide(item)
    again = zurich.place(study, item.meeting)
    assert (again.position, again.motion) == (2, {})
    zurich.present(again, "chair", "second", "lawyer")
    sittings.open_item(by=zurich.administrator, item=str(again.uuid))
    sittings.move(by=zurich.administrator, item=str(again.uuid), motion=DEFER)
    zurich.vote(again, chair="for", second="for", lawyer="for")
    assert zurich.decide(again).outcome == "deferred"


def test_a_stopped_item_is_taken_up_again_in_the_same_meeting_or_another(zurich: Boardroom, study: Study) -> None:
    item = zurich.opened(study)
    call = refused(lambda: sittings.stop_item(by=zurich.administrator, item=str(item.uuid), ground=""))
    assert call.field == "ground"
    sittings.stop_item(by=zurich.chair.user, item=str(item.uuid), ground="It is late.")
    assert zurich.opened(study, meeting=item.meeting).position == 2
    assert refused(lambda: sittings.stop_item(by=zurich.chair.user, item=str(item.uuid), ground="Again.")).field == (
        "state"
    )


def test_what_is_withdrawn_while_it_is_open_can_be_stopped_but_not_decided(
    consortium: Consortium, zurich: Boardroom
) -> None:
    investigator = consortium.member("cleveland", "investigator")
    study = consortium.submitted(by=investigator)
    item = zurich.moved(study)
    zurich.vote(item, chair="for", second="for", lawyer="for")
    studies.withdraw(study=study, by=investigator)
    assert refused(lambda: zurich.decide(item)).reason is Reason.WRONG_STATE
    assert sittings.stop_item(by=zurich.chair.user, item=str(item.uuid), ground="Withdrawn.").state == "stopped"


# --- what follows


def test_the_chair_signs_what_the_board_voted_and_nothing_else(
    consortium: Consortium, zurich: Boardroom, study: Study
) -> None:
    review = str(zurich.review(study).uuid)
    assert refused(lambda: consortium.act(zurich.chair, "determine", review=review)).reason is Reason.MEETING_NEEDED
    item = zurich.decided(study, APPROVE | {"outcome": "approved-with-conditions", "conditions": ["Shorter form."]})
    consortium.act(zurich.chair, "determine", review=review, outcome="disapproved", reasons="I say so.")
    document = zurich.review(study).determinations.get().document
    assert (document["outcome"], document["conditions"]) == ("approved-with-conditions", ["Shorter form."])
    assert (document["findings"], document["minutes"]) == (APPROVAL, item.minutes_digest)


def test_what_was_voted_is_signed_before_the_board_votes_again(
    consortium: Consortium, zurich: Boardroom, study: Study
) -> None:
    item = zurich.decided(study, DEFER)
    assert refused(lambda: zurich.place(study, item.meeting)).field == "review"
    consortium.act(zurich.chair, "determine", review=str(zurich.review(study).uuid))
    call = refused(lambda: consortium.act(zurich.chair, "determine", review=str(zurich.review(study).uuid)))
    assert call.reason is Reason.MEETING_NEEDED
    assert zurich.place(study, item.meeting).position == 2


def test_no_letter_on_paper_undoes_what_the_convened_board_decides(
    consortium: Consortium, zurich: Boardroom, study: Study
) -> None:
    letter = attachments.add(
        by=zurich.administrator,
        study=study,
        kind="paper-approval",
        institution="zurich",
        name="letter.pdf",
        media_type="application/pdf",
        content=b"%PDF-1.7 approved",
    )
    attest = lambda: consortium.act(  # noqa: E731
        zurich.chair, "attest-paper", review=str(zurich.review(study).uuid), scan=letter.digest, outcome="approved"
    )
    disapprove = DEFER | {"outcome": "disapproved"}
    item = zurich.moved(study, motion=disapprove)
    assert refused(attest).reason is Reason.WRONG_STATE
    zurich.vote(item, chair="for", second="for", lawyer="for")
    zurich.decide(item)
    assert refused(attest).reason is Reason.WRONG_STATE
    consortium.act(zurich.chair, "determine", review=str(zurich.review(study).uuid))
    assert zurich.review(study).outcome == "disapproved"


def test_four_boards_and_one_meeting_approve_a_study(consortium: Consortium, zurich: Boardroom, study: Study) -> None:
    consortium.local_context(study)
    for slug in ("cleveland", "budapest"):
        consortium.sign(consortium.chairs[slug], study)
    zurich.decided(study)
    consortium.act(zurich.chair, "determine", review=str(zurich.review(study).uuid))
    study.refresh_from_db()
    assert study.state == "approved"


# --- blind opinions


def opine(room: Boardroom, study: Study, name: str) -> None:
    reviews.give_opinion(
        by=room.people[name],
        review=str(room.review(study).uuid),
        recommendation="approved",
        findings={},
        comment=f"By the {name}.",
    )


def seen(room: Boardroom, study: Study, by: Any) -> set[str]:
    return {opinion.comment for opinion in blindness.opinions_visible(by, room.review(study))}


def test_before_the_board_takes_it_up_everybody_reads_their_own_opinion_only(zurich: Boardroom, study: Study) -> None:
    for name in ("second", "lawyer"):
        opine(zurich, study, name)
    zurich.place(study, zurich.meeting())
    assert seen(zurich, study, zurich.people["second"]) == {"By the second."}
    assert seen(zurich, study, zurich.chair.user) == set()
    assert zurich.review(study).opinions.count() == 2


def test_from_then_on_the_board_reads_all_and_no_other_institution_any(
    consortium: Consortium, zurich: Boardroom, study: Study
) -> None:
    for name in ("second", "lawyer"):
        opine(zurich, study, name)
    item = zurich.opened(study)
    both = {"By the second.", "By the lawyer."}
    auditor = consortium.member("zurich", "auditor")
    assert all(seen(zurich, study, by) == both for by in (zurich.chair.user, zurich.administrator, auditor))
    assert seen(zurich, study, consortium.chairs["budapest"].user) == set()
    assert seen(zurich, study, consortium.member("zurich", "investigator")) == set()
    sittings.stop_item(by=zurich.chair.user, item=str(item.uuid), ground="It is late.")
    assert seen(zurich, study, zurich.people["priest"]) == both


def test_who_has_a_stake_reads_nobody_else_s(zurich: Boardroom, study: Study) -> None:
    for name in ("second", "lawyer"):
        opine(zurich, study, name)
    zurich.opened(study, "chair", "third", "priest")
    boards.declare_conflict(by=zurich.people["second"], board=zurich.board, study=str(study.uuid), ground="Shares.")
    assert seen(zurich, study, zurich.people["second"]) == {"By the second."}


def test_who_decides_alone_opens_the_opinions_by_deciding(
    consortium: Consortium, zurich: Boardroom, study: Study
) -> None:
    opine(zurich, study, "second")
    consortium.sign(zurich.chair, study)
    assert seen(zurich, study, zurich.chair.user) == {"By the second."}


def test_no_opinion_is_a_first_one_any_more_once_the_others_are_read(zurich: Boardroom, study: Study) -> None:
    zurich.opened(study)
    assert refused(lambda: opine(zurich, study, "third")).reason is Reason.WRONG_STATE


# --- conflicts


def test_two_chairs_at_once_end_a_conflict_once(
    consortium: Consortium, zurich: Boardroom, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"board": zurich.board, "study": str(study.uuid), "ground": "Shares in the owner."}
    conflict = boards.declare_conflict(by=zurich.people["second"], **given).pk
    locked = selectors.locked_study

    def behind_another(by: User, uuid: str) -> Study:
        """The lock, when the other chair has had it before."""
        monkeypatch.setattr(selectors, "locked_study", locked)
        other = consortium.member("zurich", "irb-chair")
        boards.withdraw_conflict(by=other, conflict=conflict, ground="Sold.")
        return locked(by, uuid)

    monkeypatch.setattr(selectors, "locked_study", behind_another)
    with pytest.raises(Refused) as caught:
        boards.withdraw_conflict(by=zurich.chair.user, conflict=conflict, ground="Sold.")
    assert caught.value.reason is Reason.NOT_FOUND


def test_a_conflict_is_declared_once_and_ended_by_another_chair(
    consortium: Consortium, zurich: Boardroom, study: Study
) -> None:
    given = {"by": zurich.chair.user, "board": zurich.board, "study": str(study.uuid), "ground": "Shares."}
    first = boards.declare_conflict(**given)
    assert boards.declare_conflict(**given) == first
    own = refused(lambda: boards.withdraw_conflict(by=zurich.chair.user, conflict=first.pk, ground="Sold."))
    assert own.reason is Reason.SELF_REVIEW
    other = consortium.member("zurich", "irb-chair")
    assert boards.withdraw_conflict(by=other, conflict=first.pk, ground="Sold.").withdrawn is not None
    item = zurich.opened(study)
    assert room(item).quorum.holds
    assert Conflict.objects.count() == 1


# --- all or nothing


class Broken(Exception):
    """The ledger is down."""


def broken(**_: Any) -> None:
    raise Broken


@pytest.mark.parametrize("verb", ["schedule", "close", "place", "take off", "attend", "open item", "stop"])
def test_a_deed_and_its_record_happen_together_or_not_at_all(
    consortium: Consortium, zurich: Boardroom, study: Study, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    other = consortium.submitted(study="another")
    item = zurich.opened(study) if verb == "stop" else zurich.place(study, zurich.meeting())
    zurich.present(item, "chair", "second", "lawyer")
    call = steps(zurich, item, str(zurich.review(other).uuid))[verb]
    if verb == "attend":
        call = lambda by: zurich.attend(item, by=by, priest="present")  # noqa: E731
    _nothing_happens(monkeypatch, lambda: call(zurich.administrator))
    call(zurich.administrator)


@pytest.mark.parametrize("verb", ["move", "vote", "decide", "declare"])
def test_so_do_motion_ballot_decision_and_recusal(
    zurich: Boardroom, study: Study, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    item = zurich.moved(study)
    by, call = zurich.administrator, steps(zurich, item, "").get(verb, lambda by: None)
    if verb == "decide":
        zurich.vote(item, chair="for", second="for", lawyer="for")
    if verb == "vote":
        by = zurich.people["lawyer"]
    if verb == "declare":
        by = zurich.people["lawyer"]
        given = {"board": zurich.board, "study": str(study.uuid), "ground": "Shares."}
        call = lambda by: boards.declare_conflict(by=by, **given)  # noqa: E731
    _nothing_happens(monkeypatch, lambda: call(by))
    call(by)


def _nothing_happens(monkeypatch: pytest.MonkeyPatch, call: Callable[[], object]) -> None:
    def rows() -> list[Any]:
        models = (Meeting, AgendaItem, Attendance, Ballot, Conflict, Notification, LogEntry)
        return [list(model.objects.order_by("pk").values()) for model in models]

    before = rows()
    with monkeypatch.context() as patch:
        for service in (attendance, meetings, sittings):
            patch.setattr(service, "record", broken)
        with pytest.raises(Broken):
            call()
    assert rows() == before
