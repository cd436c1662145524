"""The tables of states, verbs and roles are total, and fit one another."""

import pytest

from concordat.reasons import Reason, Refused
from governance.permissions import HOLDERS, Verb
from governance.policies import STATES
from governance.states import TRANSITIONS, StudyState, check_transition

LEADS_TO = {
    Verb.SUBMIT: {StudyState.SUBMITTED},
    Verb.DETERMINE: {StudyState.APPROVED, StudyState.MODIFICATIONS_REQUIRED, StudyState.DISAPPROVED},
    Verb.SUSPEND: {StudyState.SUSPENDED},
    Verb.CLOSE: {StudyState.CLOSED},
}


def test_every_state_has_its_followers_and_every_verb_its_holders() -> None:
    assert set(TRANSITIONS) == set(StudyState)
    assert set(HOLDERS) == set(Verb)
    assert set(STATES) == set(Verb) - {Verb.INVITE, Verb.READ_DOSSIER}


def test_every_state_can_be_reached_and_only_closed_is_the_end() -> None:
    assert set().union(*TRANSITIONS.values()) == set(StudyState)
    assert [state for state, after in TRANSITIONS.items() if not after] == [StudyState.CLOSED]


@pytest.mark.parametrize("verb", LEADS_TO)
def test_a_verb_is_allowed_exactly_where_its_outcome_may_follow(verb: Verb) -> None:
    assert STATES[verb] == {state for state in StudyState if LEADS_TO[verb] <= TRANSITIONS[state]}


def test_what_may_not_follow_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        check_transition(StudyState.DISAPPROVED, StudyState.APPROVED)
    assert caught.value.reason is Reason.WRONG_STATE
