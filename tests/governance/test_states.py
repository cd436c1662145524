"""The tables of states, verbs and roles are total, and fit one another."""

from collections.abc import Mapping
from enum import StrEnum

import pytest

from concordat.reasons import Reason, Refused
from governance.permissions import HOLDERS, Verb
from governance.policies import STATES
from governance.states import (
    INCIDENT,
    ITEM,
    MATTER,
    MEETING,
    OPEN,
    STUDY,
    SUBMISSION,
    IncidentState,
    ItemState,
    MatterState,
    MeetingState,
    StudyState,
    SubmissionState,
    check_transition,
)

TABLES: list[tuple[Mapping[StrEnum, frozenset[StrEnum]], type[StrEnum], StrEnum, set[StrEnum]]] = [
    (STUDY, StudyState, StudyState.DRAFT, {StudyState.TERMINATED, StudyState.CLOSED}),  # type: ignore[list-item]
    (SUBMISSION, SubmissionState, SubmissionState.SUBMITTED, set(SubmissionState) - OPEN),  # type: ignore[list-item]
    (MEETING, MeetingState, MeetingState.SCHEDULED, {MeetingState.CLOSED, MeetingState.CANCELLED}),  # type: ignore[list-item]
    (ITEM, ItemState, ItemState.WAITING, {ItemState.DECIDED, ItemState.LOST, ItemState.STOPPED, ItemState.TAKEN_OFF}),  # type: ignore[list-item]
    (MATTER, MatterState, MatterState.OPEN, {MatterState.CLOSED}),  # type: ignore[list-item]
    (INCIDENT, IncidentState, IncidentState.REPORTED, {IncidentState.CLOSED}),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("table", "states", "first", "ends"), TABLES, ids=lambda value: getattr(value, "__name__", ""))
def test_every_state_can_be_reached_and_only_the_ends_are_ends(
    table: Mapping[StrEnum, frozenset[StrEnum]], states: type[StrEnum], first: StrEnum, ends: set[StrEnum]
) -> None:
    assert set(table) == set(states)
    assert {state for state, after in table.items() if not after} == ends
    assert reached(table, first) == set(states)
    for state in states:
        assert reached(table, state) & ends, f"{state} is a trap"


def reached(table: Mapping[StrEnum, frozenset[StrEnum]], start: StrEnum) -> set[StrEnum]:
    found, new = set(), {start}
    while new:
        found |= new
        new = set().union(*(table[state] for state in new)) - found
    return found


def test_every_verb_has_its_holders_and_every_verb_on_a_study_its_states() -> None:
    assert set(HOLDERS) == set(Verb)
    elsewhere = {
        Verb.SEAT,
        Verb.MEET,
        Verb.READ_BOARD,
        Verb.VOTE,
        Verb.DELEGATE,
        Verb.RELY,
        Verb.INVITE,
        Verb.READ_DOSSIER,
        Verb.OPEN_MATTER,
        Verb.WORK_IN_MATTER,
    }
    assert set(STATES) == set(Verb) - elsewhere


@pytest.mark.parametrize(
    ("verb", "state"),
    [(Verb.SUSPEND, StudyState.SUSPENDED), (Verb.TERMINATE, StudyState.TERMINATED), (Verb.CLOSE, StudyState.CLOSED)],
)
def test_a_study_is_stopped_exactly_where_the_table_lets_it_be(verb: Verb, state: StudyState) -> None:
    assert STATES[verb] == {before for before, after in STUDY.items() if state in after}


def test_what_may_not_follow_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        check_transition(STUDY, StudyState.DISAPPROVED, StudyState.APPROVED, what="A study")
    assert caught.value.reason is Reason.WRONG_STATE
