"""Did the boards, and each institution, agree to it?"""

from concordat import clock
from concordat.canonical import digest
from concordat.determination import Path
from concordat.reasons import Reason, Refused
from governance import selectors
from governance.case import Case
from governance.models import Determination, Review
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


def boards(case: Case) -> str:
    """Each site's board, its own or the one that it still relies on, approves; by signatures that nodes can verify."""
    study = case.definition.study
    submission = selectors.approval_in_force(study)
    made = selectors.deciding(submission) if submission else []
    covered = {site: review.board for review, _ in made for site in review.sites.all()}
    relied = selectors.reliances(covered, study.slug, case.now)
    for slug in case.protocol["sites"]:
        site = next((each for each in covered if each.slug == slug), None)
        if site is None:
            raise Refused(Reason.STUDY_NOT_APPROVED, detail=f"No board has approved for {slug}.")
        board = relied[site].reviewing if site in relied else site
        if board != covered[site]:
            detail = f"{covered[site]} approved for {slug}, which does not rely on it any more."
            raise Refused(Reason.RELIANCE_MISSING, detail=detail)
    for review, determination in made:
        _check_signed(review, determination, case)
    return "Approved by " + ", ".join(_said(review, determination) for review, determination in made) + "."


def _check_signed(review: Review, determination: Determination, case: Case) -> None:
    if not review.lets_pass:
        raise Refused(Reason.CONDITIONS_OPEN, detail=f"The conditions of the board of {review.board.slug} are open.")
    if case.now >= clock.parse(determination.document["expires"]):
        raise Refused(Reason.STUDY_EXPIRED, detail=f"The approval of the board of {review.board.slug} has ended.")
    checked = getattr(determination, "conditions_check", None)
    for signature in (determination.signature, checked.signature if checked else determination.signature):
        if not signature.verifiable:
            detail = f"The board of {review.board.slug} signed without a listed passkey: no node accepts that."
            raise Refused(Reason.ATTESTED_ONLY, detail=detail)


def _said(review: Review, determination: Determination) -> str:
    attested = " (on paper: attested, not verified)" if determination.document["path"] == Path.PAPER else ""
    return f"the board of {review.board.slug}{attested}"


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
