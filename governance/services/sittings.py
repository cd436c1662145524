"""A board over one item of its agenda: the motion, the ballots, the end. `attendance` says who is there."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from concordat import clock, determination
from concordat.canonical import digest
from concordat.events import Event
from concordat.fields import Text, plain, read
from concordat.reasons import Reason, Refused
from governance import minutes, permissions, quorum, selectors
from governance.models import AgendaItem, Ballot
from governance.notices import Notice
from governance.permissions import Verb
from governance.room import Room, Status, room
from governance.services import notifications
from governance.services.meetings import (
    about,
    check_before_board,
    check_presides,
    locked_item,
    members,
    move_item,
)
from governance.states import ItemState, MeetingState
from ledger.services.record import record


@transaction.atomic
def open_item(*, by: User, item: str) -> AgendaItem:
    """Take up an item. From now on the board's members read the opinions of the reviewers.

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION, ROLE_MISSING, SELF_REVIEW, CONFLICT_OF_INTEREST; WRONG_STATE, also while
            another item of the meeting is open; BOARD_QUORUM_LOST.
    """
    found = presided(by, item)
    check_meeting_open(found)
    check_before_board(found.review)
    if found.meeting.items.filter(state=ItemState.OPEN).exists():
        raise Refused(Reason.WRONG_STATE, detail="An item is open already; end it first.", field="state")
    move_item(found, ItemState.OPEN)
    present = room(found)
    present.check_quorum()
    found.opened = clock.now()
    found.save(update_fields=["state", "opened"])
    record(
        event=Event.ITEM_OPENED,
        public={**about(found), "present": present.quorum.present, "needed": present.quorum.needed},
        private={"officer": str(by.officer.uuid)},
        subject=by.officer.uuid,
    )
    return found


@transaction.atomic
def move(*, by: User, item: str, motion: Mapping[str, Any]) -> AgendaItem:
    """Put into words what is voted on. It can be changed until the first ballot is cast.

    Args:
        motion: outcome, findings, conditions and reasons (:class:`concordat.determination.Motion`).

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION, ROLE_MISSING, SELF_REVIEW, CONFLICT_OF_INTEREST; WRONG_STATE, also after
            a ballot; BOARD_QUORUM_LOST; what :func:`concordat.determination.check_motion` refuses.
    """
    found = presided(by, item)
    _check_open(found)
    if found.ballots.exists():
        raise Refused(Reason.WRONG_STATE, detail="The vote has begun: the motion stands.", field="motion")
    room(found).check_quorum()
    waiver = selectors.waives_consent(found.review.submission.version)
    found.motion = dict(plain(determination.check_motion(motion, waiver=waiver)))
    found.save(update_fields=["motion"])
    record(
        event=Event.MOTION_MADE,
        public=about(found),
        private={"officer": str(by.officer.uuid), "motion": found.motion},
        subject=by.officer.uuid,
    )
    return found


@transaction.atomic
def vote(*, by: User, item: str, choice: str, reason: str = "") -> Ballot:
    """A member's own ballot, once; `reason` is minuted with it.

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION, ROLE_MISSING, also without a seat; SELF_REVIEW, CONFLICT_OF_INTEREST;
            FIELD_INVALID for an unknown choice; WRONG_STATE without a motion, or for who is not present;
            BOARD_QUORUM_LOST; CONFLICT for a second ballot.
    """
    found = locked_item(by, item)
    permissions.check_may(by, Verb.VOTE, found.meeting.board)
    permissions.check_independent(by, found.review.submission.study)
    seat = found.meeting.board.seats.filter(officer__user=by, until=None).first()
    if seat is None:
        raise Refused(Reason.ROLE_MISSING, detail="You have no seat on this board.")
    if choice not in Ballot.Choice.values:
        raise Refused(Reason.FIELD_INVALID, detail="Vote for, against, or abstain.", field="choice")
    if reason:
        read(reason, Text)
    _check_open(found)
    _check_motion_made(found)
    present = room(found)
    present.check_quorum()
    if seat not in present.voters:
        detail = "You are not marked as present for this item, or another sits in your seat."
        raise Refused(Reason.WRONG_STATE, detail=detail, field="seat")
    if found.ballots.filter(seat=seat).exists():
        raise Refused(Reason.CONFLICT, detail="You have voted on this motion already.", field="choice")
    ballot = Ballot.objects.create(item=found, seat=seat, choice=choice, reason=reason, cast=clock.now())
    record(
        event=Event.BALLOT_CAST,
        public={**about(found), "seat": str(seat.uuid)},
        private={"officer": str(by.officer.uuid), "choice": choice, "reason": reason},
        subject=by.officer.uuid,
    )
    return ballot


@transaction.atomic
def decide(*, by: User, item: str, controverted: str = "") -> AgendaItem:
    """Close the vote, once everybody present has cast a ballot. The motion carries with the votes of more than half of
    those present (45 CFR 46.108(b)), and then waits to be signed; else it is lost, and the review can be placed on an
    agenda again.

    Args:
        controverted: a summary of the controverted issues and their resolution (45 CFR 46.115(a)(2)).

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION, ROLE_MISSING, SELF_REVIEW, CONFLICT_OF_INTEREST; WRONG_STATE, also while
            a ballot is missing; BOARD_QUORUM_LOST.
    """
    found = presided(by, item)
    _check_open(found)
    check_before_board(found.review)
    _check_motion_made(found)
    present = room(found)
    present.check_quorum()
    ballots = minutes.counted(found, present)
    missing = len(present.voters) - len(ballots)
    if missing:
        detail = f"{missing} of {len(present.voters)} members present have not voted; whoever will not, abstains."
        raise Refused(Reason.WRONG_STATE, detail=detail, field="ballots")
    votes = minutes.tally(ballots)
    carried = quorum.carries(votes["for"], len(present.voters))
    outcome = found.motion["outcome"] if carried else ""
    _end(found, present, ItemState.DECIDED if carried else ItemState.LOST, outcome=outcome, controverted=controverted)
    record(
        event=Event.ITEM_DECIDED,
        public={
            **about(found),
            **votes,
            "outcome": outcome or "motion-lost",
            "recused": len(present.having(Status.RECUSED)),
            "minutes": found.minutes_digest,
        },
        private={"officer": str(by.officer.uuid), "minutes_text": found.minutes},
        subject=by.officer.uuid,
    )
    return found


@transaction.atomic
def stop_item(*, by: User, item: str, ground: str) -> AgendaItem:
    """Adjourn an open item. Whoever may run the meeting can, whatever their stake in the study: it decides nothing.

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION, ROLE_MISSING; FIELD_INVALID without a ground; WRONG_STATE.
    """
    found = locked_item(by, item)
    check_presides(by, found.meeting.board, found.review.submission.study)
    try:
        read(ground, Text)
    except Refused as refused:
        raise Refused(refused.reason, detail=refused.detail, field="ground") from None
    stop(found, by, ground)
    return found


def presided(by: User, item: str) -> AgendaItem:
    """The item, locked, for somebody who runs the meeting and has no stake in the study."""
    found = locked_item(by, item)
    study = found.review.submission.study
    check_presides(by, found.meeting.board, study)
    permissions.check_independent(by, study)
    return found


def check_meeting_open(item: AgendaItem) -> None:
    """Raises Refused(WRONG_STATE)."""
    if item.meeting.state != MeetingState.OPEN:
        raise Refused(Reason.WRONG_STATE, detail=f"The meeting is {item.meeting.state}.", field="state")


def _check_open(item: AgendaItem) -> None:
    if item.state != ItemState.OPEN:
        raise Refused(Reason.WRONG_STATE, detail=f"The item is {item.state}, not open.", field="state")


def _check_motion_made(item: AgendaItem) -> None:
    if not item.motion:
        raise Refused(Reason.WRONG_STATE, detail="There is no motion yet.", field="motion")


def stop(item: AgendaItem, by: User, ground: str) -> None:
    """End an open item undecided, within the caller's transaction, which has locked it. Raises Refused(WRONG_STATE)."""
    present, study = room(item), item.review.submission.study
    _end(item, present, ItemState.STOPPED, ground=ground)
    record(
        event=Event.ITEM_STOPPED,
        public={
            **about(item),
            "present": present.quorum.present,
            "needed": present.quorum.needed,
            "minutes": item.minutes_digest,
        },
        private={"officer": str(by.officer.uuid), "ground": ground, "minutes_text": item.minutes},
        subject=by.officer.uuid,
    )
    notifications.tell(
        Notice.ITEM_STOPPED,
        to=members(item.meeting.board),
        study=study,
        key=f"stopped item {item.uuid}",
        sentence=f"“{study.title}”: the board of {item.meeting.board} has stopped this item undecided.",
    )


def _end(
    item: AgendaItem, present: Room, to: ItemState, *, outcome: str = "", ground: str = "", controverted: str = ""
) -> None:
    move_item(item, to)
    item.outcome, item.ended = outcome, clock.now()
    item.minutes = minutes.write(item, present, state=to, outcome=outcome, ground=ground, controverted=controverted)
    item.minutes_digest = digest(item.minutes)
    item.save()
