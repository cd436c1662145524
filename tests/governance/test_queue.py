"""My queue: what a person can do now, and nothing else; derived each time, in a fixed number of queries."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.urls import reverse

from concordat import clock
from concordat.canonical import digest
from concordat.reasons import Reason, Refused
from governance import acts, permissions
from governance.models import (
    AgendaItem,
    Attendance,
    Ballot,
    BoardSeat,
    DataUseDecision,
    Incident,
    Meeting,
    OfficerProfile,
    Review,
    Signature,
    Study,
)
from governance.queue import Task, Urgency, waiting_for
from governance.services import boards, reviews, sittings, studies
from governance.states import ItemState, MeetingState
from tests.governance.conftest import Consortium
from tests.support.boardroom import APPROVE, DEFER, Boardroom
from tests.support.officers import signed_in
from tests.support.triggers import without_rules


def queue(user: User, now: datetime | None = None) -> list[Task]:
    return waiting_for(user, now or clock.now())


def what(user: User, now: datetime | None = None) -> list[str]:
    return [task.what for task in queue(user, now)]


def waits(user: User, text: str, now: datetime | None = None) -> bool:
    return any(text in each for each in what(user, now))


def expedited(consortium: Consortium, study: Study, slug: str) -> Review:
    review = consortium.review(study, slug)
    chair = consortium.chairs[slug].user
    return reviews.route(by=chair, review=str(review.uuid), path="expedited", category="5", ground="Minimal risk.")


def seat(consortium: Consortium, user: User, slug: str = "zurich") -> BoardSeat:
    return BoardSeat.objects.create(
        board=consortium.at[slug], officer=user.officer, scientist=True, affiliated=True, since=clock.now()
    )


def meeting(consortium: Consortium, slug: str = "zurich", **fields: Any) -> Meeting:
    at = fields.pop("at", clock.now() + timedelta(days=3))
    return Meeting.objects.create(board=consortium.at[slug], kind="regular", at=at, place="Room 1", **fields)


def item(consortium: Consortium, study: Study, of: Meeting, state: ItemState = ItemState.WAITING, **more: Any) -> Any:
    review = consortium.review(study, of.board.slug)
    return AgendaItem.objects.create(meeting=of, review=review, position=1, state=state, **more)


# --- reviews


def test_a_new_submission_waits_for_the_offices_of_its_boards_and_for_nobody_else(consortium: Consortium) -> None:
    study = consortium.submitted()
    chair, admin = consortium.chairs["zurich"].user, consortium.member("zurich", "irb-administrator")
    for user in (chair, admin):
        [task] = queue(user)
        assert task.study == study
        assert task.what == "Choose how your board reviews it, or put it on the agenda of a meeting."
        assert str(consortium.at["zurich"]) in task.why_me
        assert task.since == study.submissions.get().submitted
        assert task.path == reverse("admin:governance_study_change", args=[study.pk]) + "#act-route"
    assert "IRB chair" in queue(chair)[0].why_me
    for slug, role in [("zurich", "irb-member"), ("zurich", "auditor"), ("notary", "irb-chair")]:
        assert queue(consortium.member(slug, role)) == []


def test_a_routed_review_waits_for_who_may_sign_it_until_it_is_signed(consortium: Consortium) -> None:
    study = consortium.submitted()
    consortium.local_context(study)
    chair, admin = consortium.chairs["zurich"], consortium.member("zurich", "irb-administrator")
    review = expedited(consortium, study, "zurich")
    assert what(chair.user) == ["Decide alone (expedited), and sign."]
    assert what(admin) == []  # an administrator decides on exemptions only
    reviews.route(by=admin, review=str(review.uuid), path="exempt", category="4ii", ground="Records only.")
    assert what(admin) == ["Decide alone (exempt), and sign."]
    expedited(consortium, study, "zurich")
    consortium.sign(chair, study)
    assert what(chair.user) == []


def test_a_member_decides_what_the_chair_has_delegated_for_as_long_as_it_lasts(consortium: Consortium) -> None:
    study, chair, member = (
        consortium.submitted(),
        consortium.chairs["zurich"],
        consortium.officer("zurich", "irb-member"),
    )
    expedited(consortium, study, "zurich")
    consortium.roster("zurich", [(chair, "irb-chair"), (member, "irb-member")])
    assert what(member.user) == []
    ends = clock.now() + timedelta(days=10)
    fields = {"board": "zurich", "scope": "expedited-review", "delegate": str(member.user.officer.uuid)}
    consortium.act(chair, "delegate", ends=clock.rfc3339(ends), **fields)
    [task] = queue(member.user)
    assert task.why_me == f"The chair of {consortium.at['zurich']}'s board has delegated this to you."
    assert waits(chair.user, "Delegate anew")
    assert what(member.user, ends) == []


def test_what_the_board_has_voted_waits_for_its_chair_to_sign(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"].user
    board = Boardroom(consortium)
    placed = board.place(study, board.meeting())
    assert not waits(chair, "Choose how")
    board.present(placed, "chair", "second", "lawyer")
    sittings.open_item(by=board.administrator, item=str(placed.uuid))
    sittings.move(by=board.administrator, item=str(placed.uuid), motion=DEFER)
    board.vote(placed, chair="for", second="for", lawyer="for")
    board.decide(placed)
    assert waits(chair, "Sign what the board has voted.")
    assert not waits(consortium.member("zurich", "irb-administrator"), "Sign what")
    consortium.act(consortium.chairs["zurich"], "determine", review=str(board.review(study).uuid))
    assert not waits(chair, "Sign what the board has voted.")  # it was signed
    assert waits(chair, "Put it on the agenda of a meeting.")  # and comes back


def test_members_are_asked_for_an_opinion_once_a_meeting_is_called(consortium: Consortium) -> None:
    study, member = consortium.submitted(), consortium.member("zurich", "irb-member")
    assert what(member) == []
    called = meeting(consortium)
    item(consortium, study, called)
    [task] = queue(member)
    assert task.what.startswith("Read it and give your opinion")
    assert (task.until, task.urgency) == (called.at, Urgency.SOON)
    review = str(consortium.review(study, "zurich").uuid)
    reviews.give_opinion(by=member, review=review, recommendation="approved", findings={}, comment="Fine.")
    assert what(member) == []


def test_open_conditions_wait_for_the_board_s_office(consortium: Consortium) -> None:
    study = consortium.submitted()
    consortium.local_context(study)
    first, *others = consortium.chairs.values()
    consortium.sign(first, study, "approved-with-conditions", conditions=["Train the staff."])
    assert not waits(first.user, "conditions")  # the other boards have not decided yet: verifying would be refused
    for chair in others:
        consortium.sign(chair, study)
    assert what(first.user) == ["Verify that the conditions of your board's approval are met, and sign."]
    assert all(what(chair.user) == [] for chair in others)
    consortium.act(first, "verify-conditions", review=str(consortium.review(study, "cleveland").uuid), note="Seen.")
    assert what(first.user) == []


# --- free hands


def test_nobody_is_asked_to_review_their_own_study(consortium: Consortium) -> None:
    investigator = consortium.member("cleveland", "investigator")
    both = consortium.member("zurich", "irb-chair")
    for user in (investigator, both):
        permissions.Membership.objects.get_or_create(
            user=user,
            institution=consortium.at["cleveland"],
            role="irb-chair" if user == investigator else "investigator",
            defaults={"since": clock.now()},
        )
    consortium.submitted(by=investigator)
    assert [task for task in queue(investigator) if "board" in task.what] == []
    assert [task for task in queue(both) if "board" in task.what] == []


def test_a_declared_conflict_empties_the_queue_of_its_study(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"].user
    running = meeting(consortium, state=MeetingState.OPEN, opened=clock.now())
    place = Attendance.objects.create(
        item=item(consortium, study, running, ItemState.OPEN, motion=APPROVE),
        seat=seat(consortium, chair),
        status="present",
        marked=clock.now(),
    )
    assert waits(chair, "Vote")
    boards.declare_conflict(by=chair, board=consortium.at["zurich"], study=str(study.uuid), ground="My spouse's.")
    assert [task for task in queue(chair) if task.study == study] == []
    assert place.status == "present"


def test_whose_hands_are_tied_is_the_same_to_the_queue_and_to_the_services(consortium: Consortium) -> None:
    investigator = consortium.member("cleveland", "investigator")
    study = consortium.submitted(by=investigator)
    chair = consortium.chairs["zurich"].user
    boards.declare_conflict(by=chair, board=consortium.at["zurich"], study=str(study.uuid), ground="A tie.")
    for user in User.objects.all():
        assert permissions.tied(user).filter(pk=study.pk).exists() is not permissions.independent(user, study)


# --- meetings


def test_a_meeting_waits_for_those_who_sit_on_the_board_and_when_it_is_due_for_its_office(
    consortium: Consortium,
) -> None:
    member, admin = consortium.member("zurich", "irb-member"), consortium.member("zurich", "irb-administrator")
    without_seat = consortium.member("zurich", "irb-member")
    seat(consortium, member)
    called = meeting(consortium)
    assert what(member) == ["Attend your board's meeting (regular): Room 1."]
    assert what(admin) == what(without_seat) == []
    assert what(admin, called.at) == ["Open the meeting."]
    Meeting.objects.filter(pk=called.pk).update(state=MeetingState.OPEN, opened=called.at)
    assert what(admin, called.at) == ["Close the meeting when its agenda is done."]
    with without_rules(Meeting):
        Meeting.objects.filter(pk=called.pk).update(state=MeetingState.CANCELLED, opened=None)
    assert what(admin, called.at) == what(member) == []


def test_a_motion_waits_for_the_ballots_of_who_is_there(consortium: Consortium) -> None:
    study = consortium.submitted()
    users = [consortium.member("zurich", "irb-member") for _ in range(4)]
    running = meeting(consortium, state=MeetingState.OPEN, opened=clock.now())
    taken_up = item(consortium, study, running, ItemState.OPEN)
    places = [
        Attendance.objects.create(item=taken_up, seat=seat(consortium, user), status=status, marked=clock.now())
        for user, status in zip(users, ["present", "present", "absent", "present"], strict=True)
    ]
    Attendance.objects.create(item=taken_up, seat=places[3].seat, status="absent", marked=clock.now())  # who has left
    assert not any(waits(user, "Vote") for user in users)  # on what?
    AgendaItem.objects.filter(pk=taken_up.pk).update(motion=APPROVE)
    Ballot.objects.create(item=taken_up, seat=places[1].seat, choice="for", cast=clock.now())
    assert [waits(user, "Vote") for user in users] == [True, False, False, False]
    assert queue(users[0])[0].what.startswith("Vote")  # before everything else
    assert queue(users[0])[0].urgency is Urgency.TODAY


# --- investigators


def test_a_draft_waits_for_who_writes_it(consortium: Consortium) -> None:
    author, colleague = (consortium.member("cleveland", "investigator") for _ in range(2))
    studies.save_draft(institution=consortium.at["cleveland"], content=consortium.protocol(), by=author)
    assert what(author) == ["Finish your draft, and submit it."]
    assert what(colleague) == []
    assert what(consortium.member("zurich", "investigator")) == []


def test_modifications_wait_for_the_investigators_until_they_submit_again(consortium: Consortium) -> None:
    investigator = consortium.member("cleveland", "investigator")
    study = consortium.submitted()
    assert what(investigator) == []
    consortium.sign(consortium.chairs["zurich"], study, "modifications-required")
    [task] = queue(investigator)
    assert task.what == "Change the protocol as the boards ask, and submit it again."
    assert task.since == study.submissions.get().settled
    assert not waits(consortium.chairs["zurich"].user, "Choose how")  # the submission is closed for all boards
    consortium.submitted(summary="Another one.")
    assert what(investigator) == []


def test_an_approval_that_ends_waits_for_the_investigators_and_then_a_lapsed_one(consortium: Consortium) -> None:
    investigator = consortium.member("cleveland", "investigator")
    study = consortium.approved(valid_until=clock.rfc3339(clock.now() + timedelta(days=900)))
    ends = study.expires
    assert ends is not None
    assert what(investigator, ends - timedelta(days=61)) == []
    [task] = queue(investigator, ends - timedelta(days=60))
    assert task.what == "The approval ends soon: ask for continuing review."
    assert (task.until, task.urgency) == (ends, Urgency.LATER)
    assert queue(investigator, ends - timedelta(hours=2))[0].urgency is Urgency.TODAY
    assert waits(investigator, "has lapsed", ends)
    with time_machine.travel(ends - timedelta(days=30), tick=False):
        studies.continue_review(study=study, report="All is well.")
    assert what(investigator, ends - timedelta(days=30)) == []
    chair = consortium.chairs["zurich"].user
    assert queue(chair, ends - timedelta(days=30))[0].until == ends  # now it waits for the boards


def test_a_suspended_study_waits_for_its_investigators_to_have_it_reinstated(consortium: Consortium) -> None:
    investigator = consortium.member("cleveland", "investigator")
    study = consortium.approved()
    consortium.act(
        consortium.chairs["zurich"], "suspend", study=str(study.uuid), institution="zurich", ground="An incident."
    )
    assert waits(investigator, "must reinstate the study")
    consortium.submitted(summary="With another monitor.")
    assert what(investigator) == []
    assert what(consortium.chairs["zurich"].user) == ["Put it on the agenda of a meeting."]


# --- institutions


def test_a_relying_site_is_asked_for_its_local_context_once_for_each_base(consortium: Consortium) -> None:
    study = consortium.submitted()
    assert waits(consortium.signatory.user, "Say what is particular about your site")
    assert not waits(consortium.member("cleveland", "institution-admin"), "particular")
    consortium.local_context(study)
    assert what(consortium.signatory.user) == []


def test_an_agreement_waits_for_the_side_that_has_not_signed(consortium: Consortium) -> None:
    chair = consortium.chairs["zurich"]
    consortium.act(
        consortium.signatory,
        "propose-reliance",
        relying="long-beach",
        reviewing="zurich",
        responsibilities="The reviewing board decides.",
        ends=clock.rfc3339(clock.now() + timedelta(days=100)),
    )
    assert what(chair.user) == ["Sign or decline: long-beach relies on zurich."]
    assert what(consortium.signatory.user) == []
    assert what(consortium.member("zurich", "irb-administrator")) == []  # who does not sign agreements
    assert what(chair.user, clock.now() + timedelta(days=101)) == []


def test_terms_that_leave_it_to_a_person_wait_for_that_institution_s_steward(consortium: Consortium) -> None:
    steward, other = consortium.member("zurich", "data-steward"), consortium.member("budapest", "data-steward")
    terms = [
        {"institution": "zurich", "terms": ["DUO:0000007"]},  # one disease, nobody says which
        {"institution": "budapest", "terms": ["DUO:0000042"]},
    ]
    study = consortium.submitted(data_use={"study": ["DUO:0000007"], "datasets": terms})
    assert waits(steward, "Decide whether your institution's data may be used")
    assert what(other) == []
    signature = Signature.objects.create(
        officer=steward.officer,
        institution=consortium.at["zurich"],
        study=study,
        printed_name="A steward",
        role="data-steward",
        meaning="allowed",
        record_kind="data-use",
        record=digest(b"decision"),
        document={},
        signed=clock.now(),
        method="totp",
        statement={},
        assertion={},
    )
    DataUseDecision.objects.create(
        study=study,
        institution=consortium.at["zurich"],
        base=study.versions.get().base,
        allowed=True,
        document={},
        signature=signature,
        decided=clock.now(),
    )
    assert what(steward) == []


def test_an_incident_waits_for_its_institution_until_it_is_closed_and_turns_overdue(consortium: Consortium) -> None:
    study, now = consortium.approved(), clock.now()
    admin = consortium.member("zurich", "institution-admin")
    incident = Incident.objects.create(
        study=study,
        institution=consortium.at["zurich"],
        kind="breach",
        discovered=now,
        reported=now,
        due=now + timedelta(hours=72),
        summary="A laptop was lost.",
        reported_by=OfficerProfile.objects.get(user=admin),
    )
    [task] = queue(admin)
    assert task.what == "Breach of personal data: assess it, and tell those who must know."
    assert "laptop" not in str(task)
    assert task.urgency is Urgency.SOON
    assert queue(admin, incident.due + timedelta(seconds=1))[0].urgency is Urgency.OVERDUE
    assert what(consortium.member("budapest", "institution-admin")) == []
    with without_rules(Incident):
        Incident.objects.filter(pk=incident.pk).update(state="closed")
    assert what(admin) == []


# --- the whole


def test_what_is_in_the_queue_is_what_the_service_would_let_pass(consortium: Consortium) -> None:
    study = consortium.submitted()
    consortium.local_context(study)
    chair = consortium.chairs["zurich"]
    review = str(expedited(consortium, study, "zurich").uuid)
    fields = {"review": review, "outcome": "modifications-required", "reasons": "Shorter, please."}
    assert waits(chair.user, "Decide alone")
    assert acts.ask(by=chair.user, act="determine", fields=fields).statement["meaning"] == "modifications-required"
    boards.declare_conflict(by=chair.user, board=consortium.at["zurich"], study=str(study.uuid), ground="A tie.")
    assert not waits(chair.user, "Decide alone")
    with pytest.raises(Refused) as refused:
        acts.ask(by=chair.user, act="determine", fields=fields)
    assert refused.value.reason is Reason.CONFLICT_OF_INTEREST


def landed(user: User, text: str, now: datetime | None = None) -> str:
    """What of the page the task leads to: it must be there, for this person, now."""
    task = next(task for task in queue(user, now) if text in task.what)
    path, _, part = task.path.partition("#")
    with time_machine.travel(now or clock.now(), tick=False):
        shown = signed_in(user).get(path).content.decode()
    assert not part or f'id="{part}"' in shown, f"{task.path} shows no {part}"
    return part


def test_each_task_leads_to_where_it_is_done(consortium: Consortium) -> None:
    study, zurich = consortium.submitted(), Boardroom(consortium)
    chair, investigator = zurich.chair.user, consortium.member("cleveland", "investigator")
    assert landed(chair, "Choose how your board reviews it") == "act-route"
    assert landed(consortium.signatory.user, "Say what is particular") == "act-file-local-context"
    consortium.local_context(study)
    item = zurich.place(study, zurich.meeting())
    assert landed(chair, "give your opinion") == "act-opine"
    zurich.present(item, "chair", "second", "lawyer")
    sittings.open_item(by=zurich.administrator, item=str(item.uuid))
    sittings.move(by=zurich.administrator, item=str(item.uuid), motion=APPROVE)
    assert landed(chair, "Vote") == "vote"
    zurich.vote(item, chair="for", second="for", lawyer="for")
    zurich.decide(item)
    assert landed(chair, "Sign what the board has voted") == "act-determine"
    consortium.act(zurich.chair, "determine", review=str(zurich.review(study).uuid))
    expedited(consortium, study, "budapest")
    assert landed(consortium.chairs["budapest"].user, "Decide alone") == "act-determine"
    for slug in ("budapest", "cleveland"):
        consortium.sign(consortium.chairs[slug], study)
    study.refresh_from_db()
    assert study.expires is not None
    amended = consortium.submitted(valid_until=clock.rfc3339(clock.now() + timedelta(days=900)))
    assert amended == study
    assert landed(chair, "Put it on the agenda of a meeting") == ""
    studies.withdraw(study=study, by=investigator)
    # This protocol ends with its approval: there is nothing to review again before it is amended.
    assert landed(investigator, "ends soon", study.expires - timedelta(days=7)) == "submit"


def test_what_the_board_has_begun_to_talk_about_asks_for_no_first_opinion(consortium: Consortium) -> None:
    study, zurich = consortium.submitted(), Boardroom(consortium)
    item = zurich.place(study, zurich.meeting())
    member = zurich.people["third"]
    assert waits(member, "give your opinion")
    zurich.present(item, "chair", "second", "lawyer")
    sittings.open_item(by=zurich.administrator, item=str(item.uuid))
    assert not waits(member, "give your opinion")
    sittings.stop_item(by=zurich.administrator, item=str(item.uuid), ground="It is late.")
    assert landed(zurich.chair.user, "Put it on the agenda of a meeting.") == ""
    zurich.place(study, item.meeting)
    assert not waits(member, "give your opinion")


def test_what_was_referred_to_the_full_board_is_offered_no_other_path(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    expedited(consortium, study, "zurich")
    consortium.sign(chair, study, "referred")
    address = reverse("admin:governance_study_change", args=[study.pk])
    shown = signed_in(chair.user).get(address).content.decode()
    assert 'name="route" value="full-board"' in shown
    assert 'name="route" value="expedited' not in shown


def test_a_lapsed_approval_leads_to_continuing_review(consortium: Consortium) -> None:
    study = consortium.approved(valid_until=clock.rfc3339(clock.now() + timedelta(days=900)))
    investigator = consortium.member("cleveland", "investigator")
    assert study.expires is not None
    for text, days in [("ends soon", -7), ("has lapsed", 7)]:
        assert landed(investigator, text, study.expires + timedelta(days=days)) == "act-continue-review"


def test_the_number_of_queries_does_not_grow_with_the_number_of_studies(
    consortium: Consortium, django_assert_max_num_queries: Any
) -> None:
    everywhere = consortium.chairs["zurich"].user
    for role in permissions.Role.values:
        permissions.Membership.objects.get_or_create(
            user=everywhere, institution=consortium.at["zurich"], role=role, defaults={"since": clock.now()}
        )
    terms = [{"institution": "zurich", "terms": ["DUO:0000007"]}]
    for number in range(4):
        study = consortium.submitted(
            study=f"study-{number}", title=f"Study {number}", data_use={"study": ["DUO:0000007"], "datasets": terms}
        )
        item(consortium, study, meeting(consortium))
    with django_assert_max_num_queries(14):
        tasks = waiting_for(everywhere, clock.now())
    assert len({task.study for task in tasks if task.study}) == 4


def test_the_first_page_shows_the_queue_before_everything_else(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"].user
    called = meeting(consortium)
    shown = signed_in(chair).get(reverse("admin:index")).content.decode()
    places = [
        shown.index(text)
        for text in (
            "My queue",
            study.title,
            "You are IRB chair",
            "The next 90 days",
            f"{called.at:%Y-%m-%d}",
            "All pages",
        )
    ]
    assert places == sorted(places)
    assert f"{reverse('admin:governance_study_change', args=[study.pk])}#act-route" in shown
    assert f"Welcome, <strong>{chair.officer.name}</strong>" in shown
    empty = signed_in(consortium.member("notary", "auditor")).get(reverse("admin:index")).content.decode()
    assert "Nothing waits for you." in empty
    assert study.title not in empty
