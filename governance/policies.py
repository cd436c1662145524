"""In which state: what a study's state lets happen to it. `permissions` says who may do it."""

from datetime import datetime

from concordat.reasons import Reason, Refused
from governance.models import Study
from governance.permissions import Verb
from governance.states import StudyState

_S = StudyState

STATES: dict[Verb, frozenset[StudyState]] = {
    Verb.SUBMIT: frozenset({_S.MODIFICATIONS_REQUIRED, _S.DISAPPROVED, _S.SUSPENDED, _S.EXPIRED}),
    Verb.DETERMINE: frozenset({_S.SUBMITTED, _S.UNDER_REVIEW}),
    Verb.SUSPEND: frozenset({_S.APPROVED}),
    Verb.CLOSE: frozenset(_S) - {_S.CLOSED},
    Verb.DEFINE: frozenset({_S.APPROVED}),
    Verb.CONSENT: frozenset({_S.APPROVED}),
}
"""What is in no table is possible in every state: withdrawing consent, revoking an approval, reading a dossier."""


def check_state(study: Study, verb: Verb, now: datetime) -> None:
    """Raises Refused(WRONG_STATE), naming the states that would allow it."""
    state = study.state_at(now)
    if state not in STATES[verb]:
        allowed = ", ".join(sorted(STATES[verb]))
        raise Refused(
            Reason.WRONG_STATE, detail=f"The study is {state}; this is possible when it is: {allowed}.", field="state"
        )


def state_allows(study: Study, verb: Verb, now: datetime) -> bool:
    """Whether `check_state` lets this pass."""
    return study.state_at(now) in STATES[verb]
