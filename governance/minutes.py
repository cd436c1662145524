"""The minutes of one sitting over one review (45 CFR 46.115(a)(2)), as the document whose digest a determination names.

They name people, so they stay with the board; their digest, which is public, says nothing without them, as they are
salted.
"""

from typing import Any

from concordat import clock
from concordat.canonical import Json
from governance.models import AgendaItem, Ballot, BoardSeat
from governance.models.signature import new_nonce
from governance.room import Room, Status

Choice = Ballot.Choice


def counted(item: AgendaItem, room: Room) -> list[Ballot]:
    """The ballots of those who are in the room: who leaves before the vote is closed takes theirs along."""
    voters = {seat.pk for seat in room.voters}
    return [ballot for ballot in item.ballots.select_related("seat__officer") if ballot.seat_id in voters]


def tally(ballots: list[Ballot]) -> dict[str, int]:
    """How many are for, against, and abstain."""
    return {choice.value: sum(ballot.choice == choice for ballot in ballots) for choice in Choice}


def write(
    item: AgendaItem, room: Room, *, state: str, outcome: str, ground: str = "", controverted: str = ""
) -> dict[str, Json]:
    """The minutes of an item that ends now.

    Args:
        state: how it ends: decided, lost or stopped.
        ground: why it was stopped.
        controverted: the summary of controverted issues and their resolution.
    """
    meeting, submission = item.meeting, item.review.submission
    ballots, quorum = counted(item, room), room.quorum
    counts = {seat.pk for seat in room.voters}
    return {
        "v": 1,
        "meeting": str(meeting.uuid),
        "item": str(item.uuid),
        "board": meeting.board.slug,
        "kind": meeting.kind,
        "at": clock.rfc3339(meeting.at),
        "opened": clock.rfc3339(item.opened) if item.opened else "",
        "ended": clock.rfc3339(clock.now()),
        "study": submission.study.slug,
        "submission": str(submission.uuid),
        "protocol": submission.version.digest,
        "quorum": {"seats": quorum.seats, "needed": quorum.needed, "present": quorum.present},
        "present": [_person(place.seat) for place in room.places if place.seat.pk in counts],
        "recused": [_person(place.seat) for place in room.having(Status.RECUSED)],
        "absent": [_person(place.seat) for place in room.places if place.status in ("", Status.ABSENT)],
        "attendance": [
            {"seat": str(mark.seat.uuid), "status": mark.status, "time": clock.rfc3339(mark.marked)}
            for mark in item.attendance.select_related("seat")
        ],
        "motion": dict(item.motion),
        "votes": {
            **tally(ballots),
            "ballots": [_vote(ballot, ballot in ballots) for ballot in item.ballots.select_related("seat__officer")],
        },
        "controverted": controverted,
        "state": state,
        "outcome": outcome,
        "ground": ground,
        "salt": new_nonce(),
    }


def _person(seat: BoardSeat) -> dict[str, Any]:
    return {
        "seat": str(seat.uuid),
        "name": seat.officer.name,
        "scientist": seat.scientist,
        "affiliated": seat.affiliated,
        "alternate_for": str(seat.alternate_for.uuid) if seat.alternate_for else "",
    }


def _vote(ballot: Ballot, is_counted: bool) -> dict[str, Any]:
    return {
        "seat": str(ballot.seat.uuid),
        "name": ballot.seat.officer.name,
        "choice": ballot.choice,
        "reason": ballot.reason,
        "cast": clock.rfc3339(ballot.cast),
        "counted": is_counted,
    }
