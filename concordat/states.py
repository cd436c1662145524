"""The states of a job, and which may follow which.

    requested → authorised → reserved → computing → returned → recorded → anchored → final

and the ways in which it can end early. `docs/reference/states.md` is generated from this file.
"""

from enum import StrEnum

from concordat.reasons import Reason, Refused


class JobState(StrEnum):
    """Where a job stands; the words are those of the API and the admin site."""

    REQUESTED = "requested"
    REFUSED = "refused"
    AUTHORISED = "authorised"
    RESERVED = "reserved"
    COMPUTING = "computing"
    RETURNED = "returned"
    RECORDED = "recorded"
    ANCHORED = "anchored"
    FINAL = "final"
    WITHHELD = "withheld"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FAILED = "failed"
    EXPIRED = "expired"


_S = JobState

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    _S.REQUESTED: frozenset({_S.AUTHORISED, _S.REFUSED}),
    _S.REFUSED: frozenset(),
    _S.AUTHORISED: frozenset({_S.RESERVED, _S.REFUSED, _S.FAILED, _S.EXPIRED, _S.CANCELLED}),
    _S.RESERVED: frozenset({_S.COMPUTING, _S.REFUSED, _S.FAILED, _S.EXPIRED, _S.CANCELLED}),
    _S.COMPUTING: frozenset({_S.RETURNED, _S.FAILED, _S.WITHHELD, _S.CANCELLING, _S.EXPIRED}),
    _S.RETURNED: frozenset({_S.RECORDED, _S.WITHHELD, _S.FAILED}),
    _S.RECORDED: frozenset({_S.ANCHORED, _S.WITHHELD}),
    _S.ANCHORED: frozenset({_S.FINAL, _S.RECORDED, _S.WITHHELD}),
    _S.FINAL: frozenset({_S.WITHHELD}),  # a canary may turn out false when the result is opened
    _S.WITHHELD: frozenset(),
    _S.CANCELLING: frozenset({_S.CANCELLED, _S.FAILED}),
    _S.CANCELLED: frozenset(),
    _S.FAILED: frozenset(),
    _S.EXPIRED: frozenset(),
}


AVAILABLE = frozenset({_S.RECORDED, _S.ANCHORED, _S.FINAL})
"""The states in which a result can be opened."""


def check_transition(before: JobState, after: JobState) -> None:
    """Raises Refused(WRONG_STATE) when `after` may not follow `before`."""
    if after not in TRANSITIONS[before]:
        raise Refused(Reason.WRONG_STATE, detail=f"A job that is {before} cannot become {after}.", field="state")


def ended(state: JobState) -> bool:
    """Whether no result can follow."""
    return not TRANSITIONS[state]
