"""The states of a study, and which may follow which. `docs/reference/study-states.md` is generated from this file."""

from enum import StrEnum

from concordat.reasons import Reason, Refused


class StudyState(StrEnum):
    """Where a study stands; the words are those of the admin site and the API."""

    SUBMITTED = "submitted"
    UNDER_REVIEW = "under-review"
    MODIFICATIONS_REQUIRED = "modifications-required"
    APPROVED = "approved"
    DISAPPROVED = "disapproved"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    CLOSED = "closed"


_S = StudyState

TRANSITIONS: dict[StudyState, frozenset[StudyState]] = {
    _S.SUBMITTED: frozenset({_S.UNDER_REVIEW, _S.APPROVED, _S.MODIFICATIONS_REQUIRED, _S.DISAPPROVED, _S.CLOSED}),
    _S.UNDER_REVIEW: frozenset({_S.APPROVED, _S.MODIFICATIONS_REQUIRED, _S.DISAPPROVED, _S.CLOSED}),
    _S.MODIFICATIONS_REQUIRED: frozenset({_S.SUBMITTED, _S.CLOSED}),
    _S.APPROVED: frozenset({_S.SUSPENDED, _S.EXPIRED, _S.CLOSED}),
    _S.DISAPPROVED: frozenset({_S.SUBMITTED, _S.CLOSED}),
    _S.SUSPENDED: frozenset({_S.SUBMITTED, _S.CLOSED}),
    _S.EXPIRED: frozenset({_S.SUBMITTED, _S.CLOSED}),
    _S.CLOSED: frozenset(),
}
"""An approval lapses into `expired` by the clock alone (`Study.state_at`); everything else is a service's doing."""


def check_transition(before: StudyState, after: StudyState) -> None:
    """Raises Refused(WRONG_STATE) when `after` may not follow `before`."""
    if after not in TRANSITIONS[before]:
        raise Refused(Reason.WRONG_STATE, detail=f"A study that is {before} cannot become {after}.", field="state")
