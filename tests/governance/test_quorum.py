"""The arithmetic of a board's quorum, for every room that can be thought of."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.quorum import Quorum, Seat, carries, quorum, sitting


@st.composite
def rooms(draw: st.DrawFn) -> list[Seat]:
    """Members and alternates in any state at all, also in states that no service lets happen."""
    members = draw(st.integers(0, 7))
    names = [f"member-{number}" for number in range(members)]
    flags = st.booleans()
    seats = [Seat(name, draw(flags), draw(flags), draw(flags)) for name in names]
    for number in range(draw(st.integers(0, 4)) if members else 0):
        seats.append(
            Seat(
                f"alternate-{number}", draw(flags), draw(flags), draw(flags), alternate_for=draw(st.sampled_from(names))
            )
        )
    return draw(st.permutations(seats))


@given(rooms())
def test_a_quorum_is_a_majority_of_the_roster_with_a_non_scientist(room: list[Seat]) -> None:
    found = quorum(room)
    members = sum(not seat.alternate_for for seat in room)
    assert found.seats == members
    assert found.holds == (2 * found.present > members and any(not seat.scientist for seat in sitting(room)))


@given(rooms())
def test_there_is_never_a_quorum_without_a_non_scientist(room: list[Seat]) -> None:
    assert not quorum([replace(seat, scientist=True) for seat in room]).holds


@given(rooms(), st.data())
def test_another_conflict_never_makes_a_quorum(room: list[Seat], data: st.DataObject) -> None:
    if not room:
        return
    number = data.draw(st.integers(0, len(room) - 1))
    after = [replace(seat, conflicted=True) if at == number else seat for at, seat in enumerate(room)]
    assert quorum(room).holds or not quorum(after).holds
    assert quorum(after).present <= quorum(room).present
    assert quorum(after).needed == quorum(room).needed


@given(rooms())
def test_alternates_never_fill_more_than_the_members_seats(room: list[Seat]) -> None:
    counted = sitting(room)
    filled = [seat.alternate_for or seat.name for seat in counted]
    assert len(filled) == len(set(filled)) <= quorum(room).seats


@given(rooms())
def test_nobody_counts_who_is_away_or_has_a_conflict(room: list[Seat]) -> None:
    assert all(seat.present and not seat.conflicted for seat in sitting(room))
    assert not quorum([replace(seat, present=False) for seat in room]).holds


@given(rooms())
def test_no_alternate_counts_beside_the_member_they_stand_for(room: list[Seat]) -> None:
    there = {seat.name for seat in room if seat.present}
    assert not any(seat.alternate_for in there for seat in sitting(room))


@given(rooms())
def test_an_alternate_changes_how_much_is_present_but_never_how_much_is_needed(room: list[Seat]) -> None:
    members = [seat for seat in room if not seat.alternate_for]
    assert quorum(members).needed == quorum(room).needed
    assert quorum(members).present <= quorum(room).present


@given(rooms(), st.integers(0, 11))
def test_what_carries_has_more_votes_than_there_are_others_present(room: list[Seat], votes: int) -> None:
    present = quorum(room).present
    assert carries(votes, present) == (votes > present - votes)


@pytest.mark.parametrize(("members", "needed"), [(1, 1), (5, 3), (6, 4), (7, 4)])
def test_more_than_half_is_needed(members: int, needed: int) -> None:
    assert quorum(Seat(str(number), scientist=True, present=False) for number in range(members)).needed == needed


def test_the_numbers_are_said_in_words() -> None:
    assert Quorum(7, 4, 4, True).sentence == "4 of 7 seats present, 4 needed; a non-scientist is present."
    assert Quorum(7, 4, 5, False).sentence == "5 of 7 seats present, 4 needed; no non-scientist is present."
