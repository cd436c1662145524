"""The convened board: its meetings, and what is on their agenda. What happens over one item is in `sittings`."""

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max, Q, QuerySet
from django.urls import reverse

from concordat import clock
from concordat.canonical import Json
from concordat.determination import Path
from concordat.events import Event
from concordat.fields import Text, read
from concordat.reasons import Reason, Refused
from governance import permissions, selectors
from governance.models import AgendaItem, Institution, Meeting, Review, Study
from governance.notices import Notice
from governance.permissions import Role, Verb
from governance.services import notifications
from governance.services.reviews import check_pending
from governance.states import ITEM, MEETING, ItemState, MeetingState, check_transition
from ledger.services.record import record

ALREADY_BEGUN = timedelta(hours=1)
"""An urgent meeting may have begun before anybody found the time to call it here."""


@transaction.atomic
def schedule(*, by: User, board: Institution, at: datetime, place: str, kind: str = Meeting.Kind.REGULAR) -> Meeting:
    """Call a meeting; the members and the office are told.

    Args:
        kind: `regular`, with the notice that CONCORDAT_MEETING_NOTICE_DAYS sets; `urgent`, without.

    Raises:
        Refused: WRONG_INSTITUTION, ROLE_MISSING; FIELD_INVALID for an unknown kind, no place, or a time too soon.
    """
    permissions.check_may(by, Verb.MEET, board)
    if kind not in Meeting.Kind.values:
        raise Refused(Reason.FIELD_INVALID, detail="A meeting is regular or urgent.", field="kind")
    _text(place, "place")
    days = settings.MEETING_NOTICE_DAYS
    earliest = clock.now() + (timedelta(days=days) if kind == Meeting.Kind.REGULAR else -ALREADY_BEGUN)
    if at < earliest:
        notice = f"A regular meeting needs {days} days' notice; call an urgent one if it cannot wait."
        detail = notice if kind == Meeting.Kind.REGULAR else "This time is over."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="at")
    meeting = Meeting.objects.create(board=board, kind=kind, at=at, place=place.strip())
    record(
        event=Event.MEETING_SCHEDULED,
        public={**_about_meeting(meeting), "kind": kind, "at": clock.rfc3339(at)},
        private={"officer": str(by.officer.uuid)},
        subject=by.officer.uuid,
    )
    _tell(meeting, Notice.MEETING_CALLED, f"{board}'s board meets on {at:%Y-%m-%d at %H:%M} UTC ({kind}).")
    return meeting


@transaction.atomic
def cancel(*, by: User, meeting: str, ground: str) -> Meeting:
    """Call a meeting off that has not begun; its agenda is free for another one.

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION, ROLE_MISSING; FIELD_INVALID without a ground; WRONG_STATE.
    """
    found = _locked(by, meeting)
    permissions.check_may(by, Verb.MEET, found.board)
    _text(ground, "ground")
    _move(found, MeetingState.CANCELLED)
    _clear(found, by)
    record(
        event=Event.MEETING_CANCELLED,
        public=_about_meeting(found),
        private={"officer": str(by.officer.uuid), "ground": ground},
        subject=by.officer.uuid,
    )
    sentence = f"The meeting of {found.board}'s board on {found.at:%Y-%m-%d at %H:%M} UTC is cancelled."
    _tell(found, Notice.MEETING_CANCELLED, sentence)
    return found


@transaction.atomic
def open(*, by: User, meeting: str) -> Meeting:
    """Begin a meeting, not before its time.

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION, ROLE_MISSING; WRONG_STATE.
    """
    found = _locked(by, meeting)
    check_presides(by, found.board)
    if clock.now() < found.at:
        detail = f"It was called for {found.at:%Y-%m-%d %H:%M} UTC; members may still be on their way."
        raise Refused(Reason.WRONG_STATE, detail=detail, field="at")
    found.opened = clock.now()
    _move(found, MeetingState.OPEN)
    record(
        event=Event.MEETING_OPENED,
        public=_about_meeting(found),
        private={"officer": str(by.officer.uuid)},
        subject=by.officer.uuid,
    )
    return found


@transaction.atomic
def close(*, by: User, meeting: str) -> Meeting:
    """End a meeting. What it did not come to is taken off its agenda, free for another one.

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION, ROLE_MISSING; WRONG_STATE, also while an item is open.
    """
    found = _locked(by, meeting)
    check_presides(by, found.board)
    if found.items.filter(state=ItemState.OPEN).exists():
        raise Refused(Reason.WRONG_STATE, detail="An item is open: decide or stop it first.", field="state")
    found.closed = clock.now()
    _move(found, MeetingState.CLOSED)
    _clear(found, by)
    record(
        event=Event.MEETING_CLOSED,
        public=_about_meeting(found),
        private={"officer": str(by.officer.uuid)},
        subject=by.officer.uuid,
    )
    return found


@transaction.atomic
def place(*, by: User, meeting: str, review: str) -> AgendaItem:
    """Put a review on the agenda of a meeting that has not ended. What was stopped or lost there is placed again.

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION for another board's review, ROLE_MISSING; WRONG_STATE for a meeting that
            has ended, for what the board has decided or voted on, and for another path; CONFLICT for what is on an
            agenda already.
    """
    where = selectors.seen_meeting(by, meeting)
    found = selectors.seen_review(by, review)
    where = _locked(by, str(where.uuid))
    permissions.check_may(by, Verb.MEET, where.board)
    if found.board_id != where.board_id:
        raise Refused(Reason.WRONG_INSTITUTION, detail="Another board reviews this.", field="review")
    if where.state not in (MeetingState.SCHEDULED, MeetingState.OPEN):
        raise Refused(Reason.WRONG_STATE, detail=f"The meeting is {where.state}.", field="state")
    check_before_board(found)
    if selectors.vote_to_sign(found) is not None:
        raise Refused(Reason.WRONG_STATE, detail="The board has voted; that is to be signed.", field="review")
    if found.items.filter(state__in=[ItemState.WAITING, ItemState.OPEN]).exists():
        raise Refused(Reason.CONFLICT, detail="It is on an agenda already.", field="review")
    last = where.items.aggregate(Max("position"))["position__max"] or 0
    item = AgendaItem.objects.create(meeting=where, review=found, position=last + 1)
    _record_item(Event.ITEM_PLACED, item, by)
    return item


@transaction.atomic
def take_off(*, by: User, item: str) -> AgendaItem:
    """Take off the agenda what has not been taken up.

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION, ROLE_MISSING; WRONG_STATE.
    """
    found = locked_item(by, item)
    permissions.check_may(by, Verb.MEET, found.meeting.board)
    _take_off(found, by)
    return found


def check_presides(by: User, board: Institution, study: Study | None = None) -> None:
    """Whether this person runs a meeting, or its item about a study: chair, administrator, or a member to whom the
    chair has delegated it. Raises Refused: WRONG_INSTITUTION, ROLE_MISSING."""
    member = Role.IRB_MEMBER in permissions.roles_at(by, board)
    if not (member and selectors.delegation(by, board, "preside", study, clock.now())):
        permissions.check_may(by, Verb.MEET, board)


def check_before_board(review: Review) -> None:
    """Whether the convened board has still to decide on this. Raises Refused(WRONG_STATE)."""
    check_pending(review, Verb.DETERMINE)
    if review.path != Path.FULL_BOARD:
        raise Refused(Reason.WRONG_STATE, detail=f"It is reviewed on the path “{review.path}”.", field="path")


def locked_item(by: User, item: str) -> AgendaItem:
    """An item that this person sees, its study and meeting locked, in this order everywhere. The study may have become
    a draft of another institution meanwhile; the meeting goes on."""
    found = selectors.seen_item(by, item)
    lock_item(found)
    return selectors.seen_item(by, item)


def lock_item(item: AgendaItem) -> None:
    """Whoever else locks its study or its meeting waits for the caller's transaction."""
    Study.objects.select_for_update(no_key=True).get(pk=item.review.submission.study_id)
    Meeting.objects.select_for_update(no_key=True).get(pk=item.meeting_id)


def move_item(item: AgendaItem, to: ItemState) -> None:
    """The one writer of an item's state; the caller saves it. Raises Refused(WRONG_STATE)."""
    check_transition(ITEM, ItemState(item.state), to, what="An item")
    item.state = to


def about(item: AgendaItem) -> dict[str, Json]:
    """What every log event on an item says in the open."""
    submission = item.review.submission
    return {
        "study": submission.study.slug,
        **_about_meeting(item.meeting),
        "submission": str(submission.uuid),
    }


def members(board: Institution) -> QuerySet[User]:
    """Whoever has a seat on the board, and its office."""
    office = notifications.holders(board, Role.IRB_CHAIR, Role.IRB_ADMINISTRATOR)
    seated = Q(officer__seats__in=board.seats.filter(until=None), is_active=True)
    return User.objects.filter(seated | Q(pk__in=office.values("pk"))).distinct()


def _locked(by: User, meeting: str) -> Meeting:
    found = selectors.seen_meeting(by, meeting)
    return Meeting.objects.select_for_update(no_key=True, of=("self",)).select_related("board").get(pk=found.pk)


def _move(meeting: Meeting, to: MeetingState) -> None:
    check_transition(MEETING, MeetingState(meeting.state), to, what="A meeting")
    meeting.state = to
    meeting.save()


def _clear(meeting: Meeting, by: User) -> None:
    items = meeting.items.select_related("meeting__board", "review__submission__study")
    for item in items.filter(state=ItemState.WAITING):
        _take_off(item, by)


def _take_off(item: AgendaItem, by: User) -> None:
    move_item(item, ItemState.TAKEN_OFF)
    item.ended = clock.now()
    item.save(update_fields=["state", "ended"])
    _record_item(Event.ITEM_TAKEN_OFF, item, by)


def _record_item(event: Event, item: AgendaItem, by: User) -> None:
    record(event=event, public=about(item), private={"officer": str(by.officer.uuid)}, subject=by.officer.uuid)


def _about_meeting(meeting: Meeting) -> dict[str, Json]:
    return {"institution": meeting.board.slug, "meeting": str(meeting.uuid)}


def _tell(meeting: Meeting, notice: Notice, sentence: str) -> None:
    notifications.tell(
        notice,
        to=members(meeting.board),
        study=None,
        key=f"{notice} {meeting.uuid}",
        sentence=sentence,
        path=reverse("admin:governance_meeting_change", args=[meeting.pk]),
    )


def _text(text: str, field: str) -> None:
    try:
        read(text, Text)
    except Refused as refused:
        raise Refused(refused.reason, detail=refused.detail, field=field) from None
