"""The checks of a verdict: each answers with a sentence, or raises `Refused`."""

from collections.abc import Callable, Mapping

from governance.case import Case
from governance.questions import approval, ground, limits, request

Question = Callable[[Case], str]

QUESTIONS: Mapping[str, Question] = {
    "signature": request.signature,
    "period": request.period,
    "study": approval.study,
    "boards": approval.boards,
    "definition": approval.definition,
    "kind": request.kind,
    "model": request.model,
    "shares": request.shares,
    "quorum": approval.quorum,
    "approvals": approval.approvals,
    "requester": request.requester,
    "purpose": request.purpose,
    "urgency": request.urgency,
    "legal-basis": ground.legal_basis,
    "attachments": ground.attached,
    "data-use": ground.data_use,
    "transfers": limits.transfers,
    "budget": limits.budget,
}
"""Every check, in the order in which it is shown."""
