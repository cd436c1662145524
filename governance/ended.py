"""Why what was authorised does not stand any more, in words; `verdict.epoch` says that it does not.

No chain is asked, so that this is safe inside a transaction: a revocation counts from the moment it is handed in.
"""

from collections.abc import Callable

from concordat import clock
from concordat.reasons import Reason, Refused
from governance import selectors
from governance.case import Case
from governance.questions import approval, ground, request


def _votes(case: Case) -> None:
    revoked = sorted(slug for slug, last in selectors.last_votes(case.definition).items() if not last.approve)
    if revoked:
        detail = f"The definition's approval was revoked by {', '.join(revoked)}."
        raise Refused(Reason.DEFINITION_NOT_APPROVED, detail=detail)


_CAN_END: tuple[Callable[[Case], object], ...] = (
    request.model,
    ground.legal_basis,
    approval.study,
    _votes,
    approval.definition,
    ground.attached,
)


def why(token: str) -> str:
    """What has ended of the authority behind a request (JWS), as a sentence: the first thing that has."""
    case = Case(token, clock.now(), None)
    for question in _CAN_END:
        try:
            question(case)
        except Refused as refused:
            return refused.detail
    return "It had ended for a while, and stands again: ask anew."
