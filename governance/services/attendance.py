"""Who is there for one item of a board's agenda: members come, leave, and are recused. A lost quorum stops the item."""

from collections.abc import Mapping

from django.contrib.auth.models import User
from django.db import transaction

from concordat import clock
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance import permissions
from governance.models import AgendaItem, Attendance, BoardSeat, Conflict, Institution
from governance.permissions import Verb
from governance.room import Room, Status, room
from governance.services.meetings import about, lock_item
from governance.services.sittings import check_meeting_open, presided, stop
from governance.states import ItemState
from ledger.services.record import record


@transaction.atomic
def attend(*, by: User, item: str, marks: Mapping[str, str]) -> AgendaItem:
    """Mark who is present, absent or recused for an item, any number of seats at once, so that an alternate can take a
    member's place. If that costs an open item its quorum, the item stops by itself.

    Args:
        marks: the status by the UUID of a seat; what is marked so already is left alone.

    Raises:
        Refused: NOT_FOUND, also for a seat that is not this board's any more; WRONG_INSTITUTION, ROLE_MISSING,
            SELF_REVIEW, CONFLICT_OF_INTEREST for who marks; WRONG_STATE unless the meeting is open and the item has not
            ended; FIELD_INVALID for an unknown status, or an alternate beside the member; SELF_REVIEW or
            CONFLICT_OF_INTEREST, with the seat as field, for who cannot be present.
    """
    found = presided(by, item)
    check_meeting_open(found)
    if found.state not in (ItemState.WAITING, ItemState.OPEN):
        raise Refused(Reason.WRONG_STATE, detail=f"The item is {found.state}.", field="state")
    seats = {str(place.seat.uuid): place for place in room(found).places}
    for name, status in marks.items():
        if name not in seats:
            raise Refused(Reason.NOT_FOUND, detail="The board has no such seat.", field=f"marks.{name}")
        if status not in Status.values:
            detail = "Somebody is present, absent or recused."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field=f"marks.{name}")
        if status == Status.PRESENT and seats[name].conflicted:
            _refuse_presence(seats[name].seat, found)
        if seats[name].status != status:
            _mark(found, seats[name].seat, status)
    after = room(found)
    _check_one_person_a_seat(after)
    if found.state == ItemState.OPEN and not after.quorum.holds:
        stop(found, by, _lost(after))
    return found


def recuse(conflict: Conflict, *, by: User) -> None:
    """Whoever declares a conflict leaves what is about the study at once, within the caller's transaction, which has
    locked the study. An item whose quorum this costs stops."""
    items = AgendaItem.objects.select_related("meeting__board", "review__submission__study").filter(
        review__submission__study=conflict.study, state__in=[ItemState.WAITING, ItemState.OPEN]
    )
    for item in items:
        seat = item.meeting.board.seats.filter(officer=conflict.officer, until=None).first()
        if seat is None:
            continue
        lock_item(item)
        _mark(item, seat, Status.RECUSED)
        _stop_without_quorum(item, by)


def count_again(board: Institution, *, by: User) -> None:
    """After the board's seats have changed: an open item that has no quorum any more stops."""
    for item in AgendaItem.objects.select_related("meeting__board", "review__submission__study").filter(
        meeting__board=board, state=ItemState.OPEN
    ):
        lock_item(item)
        _stop_without_quorum(item, by)


def _refuse_presence(seat: BoardSeat, item: AgendaItem) -> None:
    try:
        permissions.check_may(seat.officer.user, Verb.VOTE, item.meeting.board)
        permissions.check_independent(seat.officer.user, item.review.submission.study)
    except Refused as refused:
        detail = "Who holds this seat can only be absent or recused."
        raise Refused(refused.reason, detail=detail, field=f"marks.{seat.uuid}") from None


def _check_one_person_a_seat(after: Room) -> None:
    filled = set()
    for place in after.having(Status.PRESENT):
        fills = place.seat.alternate_for_id or place.seat.pk
        if fills in filled:
            detail = "An alternate is present only while the member, and every other alternate of theirs, is not."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field=f"marks.{place.seat.uuid}")
        filled.add(fills)


def _mark(item: AgendaItem, seat: BoardSeat, status: str) -> None:
    Attendance.objects.create(item=item, seat=seat, status=status, marked=clock.now())
    record(
        event=Event.ATTENDANCE_MARKED,
        public={**about(item), "seat": str(seat.uuid), "status": status},
        private={"officer": str(seat.officer.uuid)},
        subject=seat.officer.uuid,
    )


def _stop_without_quorum(item: AgendaItem, by: User) -> None:
    item.refresh_from_db(fields=["state", "motion"])
    after = room(item)
    if item.state == ItemState.OPEN and not after.quorum.holds:
        stop(item, by, _lost(after))


def _lost(after: Room) -> str:
    return f"The quorum was lost: {after.quorum.sentence}"
