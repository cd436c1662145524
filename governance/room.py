"""Who is in the room for one item of a board's agenda, who of them counts, and whether that is a quorum."""

from dataclasses import dataclass

from concordat.reasons import Reason, Refused
from governance import permissions, quorum
from governance.models import AgendaItem, Attendance, BoardSeat
from governance.permissions import Verb
from governance.quorum import Quorum

Status = Attendance.Status


@dataclass(frozen=True)
class Place:
    """A current seat, what was marked for this item ("": nothing yet), and whether its holder has a stake in it."""

    seat: BoardSeat
    status: str
    conflicted: bool

    @property
    def present(self) -> bool:
        return self.status == Status.PRESENT

    @property
    def counted_as(self) -> quorum.Seat:
        """The seat as the arithmetic takes it."""
        stands_for = self.seat.alternate_for
        return quorum.Seat(
            name=str(self.seat.uuid),
            scientist=self.seat.scientist,
            present=self.present,
            conflicted=self.conflicted,
            alternate_for=str(stands_for.uuid) if stands_for else "",
        )


@dataclass(frozen=True)
class Room:
    """All current seats of the board, as they stand for one item."""

    places: tuple[Place, ...]

    @property
    def quorum(self) -> Quorum:
        return quorum.quorum(place.counted_as for place in self.places)

    @property
    def voters(self) -> tuple[BoardSeat, ...]:
        """The seats that count and vote."""
        names = {seat.name for seat in quorum.sitting(place.counted_as for place in self.places)}
        return tuple(place.seat for place in self.places if str(place.seat.uuid) in names)

    def having(self, status: str) -> tuple[Place, ...]:
        """The places of this status."""
        return tuple(place for place in self.places if place.status == status)

    def check_quorum(self) -> None:
        """Raises Refused(BOARD_QUORUM_LOST), with the numbers."""
        if not self.quorum.holds:
            raise Refused(Reason.BOARD_QUORUM_LOST, detail=self.quorum.sentence)


def room(item: AgendaItem) -> Room:
    """The room for this item now. Whoever may not vote for the board any more holds an empty seat."""
    study, board = item.review.submission.study, item.meeting.board
    last = {mark.seat_id: mark.status for mark in item.attendance.all()}
    seats = board.seats.filter(until=None).select_related("officer__user", "alternate_for").order_by("since", "pk")
    return Room(
        tuple(
            Place(
                seat=seat,
                status=last.get(seat.pk, ""),
                conflicted=not (
                    permissions.may(seat.officer.user, Verb.VOTE, board)
                    and permissions.independent(seat.officer.user, study)
                ),
            )
            for seat in seats
        )
    )
