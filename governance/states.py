"""The states of a study, of what is submitted under it, of meetings, incidents and legal matters; and which may follow
which.

`docs/reference/study-states.md` is generated from this file.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from concordat.reasons import Reason, Refused


class StudyState(StrEnum):
    """Where a study stands; the words are those of the admin site and the API."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    UNDER_REVIEW = "under-review"
    MODIFICATIONS_REQUIRED = "modifications-required"
    DEFERRED = "deferred"
    APPROVED = "approved"
    APPROVED_WITH_CONDITIONS = "approved-with-conditions"
    DISAPPROVED = "disapproved"
    SUSPENDED = "suspended"
    TERMINATED = "terminated"
    EXPIRED = "expired"
    CLOSED = "closed"


class SubmissionState(StrEnum):
    """Where a submission stands. Until a study has been approved once, its state is that of its first submission; later
    ones change it only when they let it go on."""

    SUBMITTED = "submitted"
    UNDER_REVIEW = "under-review"
    MODIFICATIONS_REQUIRED = "modifications-required"
    DEFERRED = "deferred"
    APPROVED = "approved"
    APPROVED_WITH_CONDITIONS = "approved-with-conditions"
    DISAPPROVED = "disapproved"
    WITHDRAWN = "withdrawn"


class MeetingState(StrEnum):
    SCHEDULED = "scheduled"
    OPEN = "open"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class ItemState(StrEnum):
    """One sitting of a board over one review. It ends decided; lost, when the motion found no majority; or stopped,
    when the quorum was lost or the board adjourned it. What has ended stays minuted: the review is placed again, in the
    same meeting or in another."""

    WAITING = "waiting"
    OPEN = "open"
    STOPPED = "stopped"
    LOST = "lost"
    DECIDED = "decided"
    TAKEN_OFF = "taken-off"


class IncidentState(StrEnum):
    REPORTED = "reported"
    ASSESSED = "assessed"
    NOTIFIED = "notified"
    CLOSED = "closed"


class MatterState(StrEnum):
    """It expires by the clock alone, and is open again once its end is moved; what is closed stays closed."""

    OPEN = "open"
    EXPIRED = "expired"
    CLOSED = "closed"


_S, _B, _M, _I, _N, _L = StudyState, SubmissionState, MeetingState, ItemState, IncidentState, MatterState

_ENDS = frozenset({_S.TERMINATED, _S.CLOSED})

STUDY: Mapping[StudyState, frozenset[StudyState]] = {
    _S.DRAFT: frozenset({_S.SUBMITTED, _S.CLOSED}),
    _S.SUBMITTED: frozenset(
        {_S.DRAFT, _S.UNDER_REVIEW, _S.APPROVED, _S.APPROVED_WITH_CONDITIONS, _S.MODIFICATIONS_REQUIRED}
        | {_S.DEFERRED, _S.DISAPPROVED, _S.CLOSED}
    ),
    _S.UNDER_REVIEW: frozenset(
        {_S.DRAFT, _S.APPROVED, _S.APPROVED_WITH_CONDITIONS, _S.MODIFICATIONS_REQUIRED, _S.DEFERRED}
        | {_S.DISAPPROVED, _S.CLOSED}
    ),
    _S.MODIFICATIONS_REQUIRED: frozenset({_S.SUBMITTED, _S.CLOSED}),
    _S.DEFERRED: frozenset(
        {_S.DRAFT, _S.UNDER_REVIEW, _S.APPROVED, _S.APPROVED_WITH_CONDITIONS, _S.MODIFICATIONS_REQUIRED}
        | {_S.DISAPPROVED, _S.CLOSED}
    ),
    _S.APPROVED: frozenset({_S.SUSPENDED, _S.EXPIRED}) | _ENDS,
    _S.APPROVED_WITH_CONDITIONS: frozenset({_S.APPROVED, _S.SUSPENDED}) | _ENDS,
    _S.DISAPPROVED: frozenset({_S.SUBMITTED, _S.CLOSED}),
    _S.SUSPENDED: frozenset({_S.APPROVED}) | _ENDS,
    _S.TERMINATED: frozenset(),
    _S.EXPIRED: frozenset({_S.APPROVED, _S.SUSPENDED}) | _ENDS,
    _S.CLOSED: frozenset(),
}
"""An approval lapses into `expired` by the clock alone (`Study.state_at`); everything else is a service's doing."""

_OUTCOMES = frozenset(
    {_B.APPROVED, _B.APPROVED_WITH_CONDITIONS, _B.MODIFICATIONS_REQUIRED, _B.DEFERRED, _B.DISAPPROVED, _B.WITHDRAWN}
)

SUBMISSION: Mapping[SubmissionState, frozenset[SubmissionState]] = {
    _B.SUBMITTED: _OUTCOMES | {_B.UNDER_REVIEW},
    _B.UNDER_REVIEW: _OUTCOMES,
    _B.DEFERRED: (_OUTCOMES | {_B.UNDER_REVIEW}) - {_B.DEFERRED},
    _B.APPROVED_WITH_CONDITIONS: frozenset({_B.APPROVED, _B.WITHDRAWN}),
    _B.MODIFICATIONS_REQUIRED: frozenset(),
    _B.APPROVED: frozenset(),
    _B.DISAPPROVED: frozenset(),
    _B.WITHDRAWN: frozenset(),
}
"""What must be modified comes back as another submission."""

OPEN = frozenset(state for state, after in SUBMISSION.items() if after)
"""A study has one submission in these states at most."""

MEETING: Mapping[MeetingState, frozenset[MeetingState]] = {
    _M.SCHEDULED: frozenset({_M.OPEN, _M.CANCELLED}),
    _M.OPEN: frozenset({_M.CLOSED}),
    _M.CLOSED: frozenset(),
    _M.CANCELLED: frozenset(),
}

ITEM: Mapping[ItemState, frozenset[ItemState]] = {
    _I.WAITING: frozenset({_I.OPEN, _I.TAKEN_OFF}),
    _I.OPEN: frozenset({_I.STOPPED, _I.LOST, _I.DECIDED}),
    _I.STOPPED: frozenset(),
    _I.LOST: frozenset(),
    _I.DECIDED: frozenset(),
    _I.TAKEN_OFF: frozenset(),
}

INCIDENT: Mapping[IncidentState, frozenset[IncidentState]] = {
    _N.REPORTED: frozenset({_N.ASSESSED, _N.NOTIFIED}),
    _N.ASSESSED: frozenset({_N.NOTIFIED, _N.CLOSED}),
    _N.NOTIFIED: frozenset({_N.CLOSED}),
    _N.CLOSED: frozenset(),
}

MATTER: Mapping[MatterState, frozenset[MatterState]] = {
    _L.OPEN: frozenset({_L.EXPIRED, _L.CLOSED}),
    _L.EXPIRED: frozenset({_L.OPEN, _L.CLOSED}),
    _L.CLOSED: frozenset(),
}

S = TypeVar("S", bound=StrEnum)


def check_transition(table: Mapping[S, frozenset[S]], before: S, after: S, *, what: str) -> None:
    """Raises Refused(WRONG_STATE) when `after` may not follow `before`. `what` is a noun for the sentence."""
    if after not in table[before]:
        raise Refused(Reason.WRONG_STATE, detail=f"{what} that is {before} cannot become {after}.", field="state")
