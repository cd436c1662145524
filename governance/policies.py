"""In which state: what a study's state lets happen to it. `permissions` says who may do it."""

from datetime import datetime

from concordat.reasons import Reason, Refused
from governance.models import Study
from governance.permissions import Verb
from governance.states import StudyState

_S = StudyState

_ENDED = frozenset({_S.TERMINATED, _S.CLOSED})
_ALIVE = frozenset(_S) - _ENDED
_PUBLIC = frozenset(_S) - {_S.DRAFT}
_BEFORE_BOARDS = _ALIVE - {_S.DRAFT, _S.MODIFICATIONS_REQUIRED, _S.DISAPPROVED}
_APPROVED_ONCE = frozenset({_S.APPROVED, _S.APPROVED_WITH_CONDITIONS, _S.SUSPENDED, _S.EXPIRED})

STATES: dict[Verb, frozenset[StudyState]] = {
    Verb.DRAFT: _ALIVE,
    Verb.SUBMIT: frozenset(
        {_S.DRAFT, _S.MODIFICATIONS_REQUIRED, _S.DISAPPROVED, _S.APPROVED, _S.SUSPENDED, _S.EXPIRED}
    ),
    Verb.WITHDRAW: _BEFORE_BOARDS,
    Verb.ROUTE: _BEFORE_BOARDS,
    Verb.OPINE: _BEFORE_BOARDS,
    Verb.DETERMINE: _BEFORE_BOARDS,
    Verb.ATTEST_PAPER: _BEFORE_BOARDS,
    Verb.VERIFY_CONDITIONS: _APPROVED_ONCE,
    Verb.DECLARE_CONFLICT: _PUBLIC - _ENDED,
    Verb.FILE_LOCAL_CONTEXT: _PUBLIC - _ENDED,
    Verb.DECIDE_DATA_USE: _PUBLIC - _ENDED,
    Verb.ATTACH: _ALIVE,
    Verb.COMMENT: _PUBLIC,
    Verb.REPORT_INCIDENT: _APPROVED_ONCE | _ENDED,
    Verb.STEP_INCIDENT: _APPROVED_ONCE | _ENDED,
    Verb.SUSPEND: _APPROVED_ONCE - {_S.SUSPENDED},
    Verb.TERMINATE: _APPROVED_ONCE,
    Verb.CLOSE: _ALIVE,
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
