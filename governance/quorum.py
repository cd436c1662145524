"""Whether a board has a quorum, and whether a motion carries: arithmetic on who is in the room (45 CFR 46.108(b)).

The reading that is implemented: the roster is every current seat that is not an alternate's, the seats of those with
a conflict included, so that a conflict never makes a quorum easier. More than half of these seats must be filled by
people who may vote, one of them a non-scientist. A seat is filled by its member or, while the member is away, by one
alternate. Whoever has a conflict counts in neither quorum nor vote. A motion carries with the votes of more than half
of those who are present, so that abstaining helps nobody.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Seat:
    """One seat, for one item of an agenda. `alternate_for` names the member's seat that an alternate can fill."""

    name: str
    scientist: bool
    present: bool
    conflicted: bool = False
    alternate_for: str = ""


@dataclass(frozen=True)
class Quorum:
    """The numbers behind a quorum."""

    seats: int
    needed: int
    present: int
    nonscientist: bool

    @property
    def holds(self) -> bool:
        """Whether the board can take up an item, and vote."""
        return self.present >= self.needed and self.nonscientist

    @property
    def sentence(self) -> str:
        """The numbers in words."""
        scientists = "a non-scientist is present" if self.nonscientist else "no non-scientist is present"
        return f"{self.present} of {self.seats} seats present, {self.needed} needed; {scientists}."


def sitting(seats: Iterable[Seat]) -> tuple[Seat, ...]:
    """Who counts and votes: at most one person for each member's seat. While a member is marked present, no alternate
    of theirs counts, whatever else is true of the member."""
    seats = tuple(seats)
    found = []
    for member in (seat for seat in seats if not seat.alternate_for):
        alternates = [seat for seat in seats if seat.alternate_for == member.name]
        filling = next((seat for seat in (member, *alternates) if seat.present), None)
        if filling is not None and not filling.conflicted:
            found.append(filling)
    return tuple(found)


def quorum(seats: Iterable[Seat]) -> Quorum:
    """The quorum of these seats: more than half of the members' seats, and a non-scientist."""
    seats = tuple(seats)
    roster, counted = sum(not seat.alternate_for for seat in seats), sitting(seats)
    return Quorum(
        seats=roster,
        needed=roster // 2 + 1,
        present=len(counted),
        nonscientist=any(not seat.scientist for seat in counted),
    )


def carries(votes_for: int, present: int) -> bool:
    """Whether more than half of those present, not merely of those voting, are for it."""
    return 2 * votes_for > present
