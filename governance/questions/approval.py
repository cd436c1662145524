"""Did the boards, and each institution, agree to it?"""

from concordat import clock
from concordat.canonical import digest
from concordat.reasons import Reason, Refused
from governance import selectors
from governance.case import Case
from governance.states import StudyState
from ledger.chain.types import Authorisation


def study(case: Case) -> str:
    study = case.definition.study
    state = study.state_at(case.now)
    if state is StudyState.EXPIRED:
        raise Refused(Reason.STUDY_EXPIRED)
    if state is not StudyState.APPROVED or study.expires is None:
        raise Refused(Reason.STUDY_NOT_APPROVED, detail=f"The study is {state}.")
    return f"Approved by every reviewing board until {clock.rfc3339(study.expires)}."


def definition(case: Case) -> str:
    definition = case.definition
    if digest(definition.content) != definition.digest:
        raise Refused(Reason.DIGEST_MISMATCH, detail="The definition on file differs from its digest.")
    if not selectors.rests_on_current(definition):
        detail = "The definition rests on an earlier version of the protocol than the one in force."
        raise Refused(Reason.DIGEST_MISMATCH, detail=detail)
    if case.now >= definition.valid_until:
        raise Refused(Reason.DEFINITION_EXPIRED)
    return f"Registered under study {definition.study.slug}, valid until {definition.content['valid_until']}."


def quorum(case: Case) -> str:
    quorum = case.definition.content["quorum"]
    present = [slug for slug in quorum["of"] if slug in case.approving]
    if len(present) < quorum["needed"]:
        detail = f"{len(present)} of {quorum['needed']} approvals that the definition needs. {case.standing}"
        raise Refused(Reason.QUORUM_MISSING, detail=detail)
    if isinstance(case.on_chain, Authorisation) and not case.on_chain.authorised:
        raise Refused(Reason.QUORUM_MISSING, detail="The registry on chain does not authorise the definition.")
    return f"{len(present)} approvals, {quorum['needed']} needed. {case.standing}"


def approvals(case: Case) -> str:
    needed = dict.fromkeys([*selectors.needed_approvals(case.definition), case.request["requester"]])
    missing = sorted(set(needed) - case.approving)
    if missing:
        detail = f"Without its own approval: {', '.join(missing)}. {case.standing}"
        raise Refused(Reason.DEFINITION_NOT_APPROVED, detail=detail)
    return f"Approved by {', '.join(needed)}, each with its own key. {case.standing}"
