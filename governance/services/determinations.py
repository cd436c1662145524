"""What the boards decide, and the signatures with which they do: determinations, paper approvals, conditions met."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dateutil.relativedelta import relativedelta
from django.contrib.auth.models import User

from concordat import clock
from concordat import determination as documents
from concordat.canonical import Json, digest
from concordat.determination import LETS_PASS, Outcome, Path, SubmissionKind
from concordat.events import Event
from concordat.fields import plain, read
from concordat.protocol import AttachmentKind
from concordat.reasons import Reason, Refused
from governance import permissions, policies, selectors
from governance.models import (
    ConditionsCheck,
    Delegation,
    Determination,
    LocalContext,
    Review,
    Signature,
    Submission,
)
from governance.permissions import Role, Verb
from governance.services.settling import settle
from governance.services.signing import Act, Ask, Prepared
from governance.states import OPEN, ItemState, SubmissionState
from ledger.services.record import record

SIGNERS: dict[Path, frozenset[str]] = {
    Path.EXEMPT: frozenset({Role.IRB_CHAIR, Role.IRB_ADMINISTRATOR}),
    Path.EXPEDITED: frozenset({Role.IRB_CHAIR}),
    Path.FULL_BOARD: frozenset({Role.IRB_CHAIR}),
    Path.PAPER: frozenset({Role.IRB_CHAIR, Role.IRB_ADMINISTRATOR}),
}
DELEGABLE = {Path.EXPEDITED: "expedited-review", Path.FULL_BOARD: "preside"}
"""Who signs a determination on which path, and the scope of a delegation by which a member does."""


@dataclass(frozen=True)
class Decision:
    """What the officer, or the meeting, decided."""

    outcome: str
    findings: Mapping[str, Json]
    conditions: list[str]
    reasons: str
    minutes: str = ""
    scan: str = ""


def _prepare(ask: Ask) -> Prepared:
    review = selectors.seen_review(ask.by, str(ask.fields.get("review", "")))
    roles, delegation = check_determine(ask.by, review, ask.moment)
    path = Path(review.path)
    decision = minuted(review) if path is Path.FULL_BOARD else _stated(ask.fields)
    return _prepared(review, decision, path, roles, delegation, ask.moment)


def _prepare_paper(ask: Ask) -> Prepared:
    review = selectors.seen_review(ask.by, str(ask.fields.get("review", "")))
    check_attest_paper(ask.by, review, ask.moment)
    scan = str(ask.fields.get("scan", ""))
    known = review.submission.study.attachments.filter(
        kind=AttachmentKind.PAPER_APPROVAL, institution=review.board, digest=scan
    )
    if not known.exists():
        detail = "Attach the scan of the board's letter first."
        raise Refused(Reason.ATTACHMENT_MISSING, detail=detail, field="scan")
    decision = _stated(ask.fields, scan=scan)
    return _prepared(review, decision, Path.PAPER, SIGNERS[Path.PAPER], None, ask.moment)


def _perform(ask: Ask, prepared: Prepared, signature: Signature) -> Review:
    review = selectors.seen_review(ask.by, str(ask.fields["review"]))
    document: dict[str, Any] = dict(prepared.document)
    Determination.objects.create(
        review=review,
        signature=signature,
        outcome=document["outcome"],
        digest=signature.record,
        document=document,
        made=signature.signed,
    )
    review.outcome, review.determined, review.conditions_met = document["outcome"], clock.now(), False
    review.path = Path.FULL_BOARD if review.outcome == Outcome.REFERRED else document["path"]
    review.category = "" if review.outcome == Outcome.REFERRED else document["category"]
    review.save()
    record(
        event=Event.REVIEW_SIGNED,
        public={
            "study": review.submission.study.slug,
            "institution": review.board.slug,
            "submission": str(review.submission.uuid),
            "kind": review.submission.kind,
            "path": document["path"],
            "determination": document["outcome"],
            "method": signature.method,
        },
        private={"officer": str(signature.officer.uuid)},
        subject=signature.officer.uuid,
        documents={
            "protocol": review.submission.version.content,
            "determination": document,
            "signature": signature.evidence,
        },
    )
    settle(review.submission)
    return review


def _prepare_conditions(ask: Ask) -> Prepared:
    review = selectors.seen_review(ask.by, str(ask.fields.get("review", "")))
    study = review.submission.study
    roles, decided = check_verify_conditions(ask.by, review, ask.moment)
    document = {
        "v": 1,
        "study": study.slug,
        "board": review.board.slug,
        "determination": decided.digest,
        "conditions": decided.document["conditions"],
        "note": ask.fields.get("note", ""),
    }
    met = dict(plain(read(document, documents.ConditionsMet)))
    return Prepared("conditions", met, "conditions-verified", review.board, roles, study)


def _perform_conditions(ask: Ask, prepared: Prepared, signature: Signature) -> Review:
    review = selectors.seen_review(ask.by, str(ask.fields["review"]))
    decided = review.determinations.first()
    assert decided is not None  # or it would not have been prepared
    ConditionsCheck.objects.create(determination=decided, signature=signature, document=dict(prepared.document))
    review.conditions_met = True
    review.save(update_fields=["conditions_met"])
    record(
        event=Event.CONDITIONS_VERIFIED,
        public={
            "study": review.submission.study.slug,
            "institution": review.board.slug,
            "submission": str(review.submission.uuid),
            "method": signature.method,
        },
        private={"officer": str(signature.officer.uuid)},
        subject=signature.officer.uuid,
        documents={"conditions": dict(prepared.document), "signature": signature.evidence},
    )
    settle(review.submission)
    return review


DETERMINE = Act("determine", Verb.DETERMINE, _prepare, _perform)
ATTEST_PAPER = Act("attest-paper", Verb.ATTEST_PAPER, _prepare_paper, _perform)
VERIFY_CONDITIONS = Act("verify-conditions", Verb.VERIFY_CONDITIONS, _prepare_conditions, _perform_conditions)


def check_determine(by: User, review: Review, now: datetime) -> tuple[frozenset[str], Delegation | None]:
    """Whether this person could sign the board's determination now, whatever it says; in which roles, by whose power.

    Raises:
        Refused: WRONG_INSTITUTION, ROLE_MISSING, SELF_REVIEW, CONFLICT_OF_INTEREST; WRONG_STATE; MEETING_NEEDED.
    """
    _check(by, review, Verb.DETERMINE, now)
    path = Path(review.path)
    authority = _authority(by, review, SIGNERS[path], DELEGABLE.get(path, ""), now)
    if path is Path.FULL_BOARD:
        minuted(review)
    return authority


def check_attest_paper(by: User, review: Review, now: datetime) -> None:
    """Whether this person could attest the board's letter now. Raises Refused as :func:`check_determine` does, and
    WRONG_STATE while the convened board decides here, or has voted and nobody has signed that: no letter undoes it."""
    _check(by, review, Verb.ATTEST_PAPER, now)
    if selectors.vote_to_sign(review) is not None or review.items.filter(state=ItemState.OPEN).exists():
        detail = "The convened board has taken it up here; what it votes is signed."
        raise Refused(Reason.WRONG_STATE, detail=detail, field="review")


def check_verify_conditions(by: User, review: Review, now: datetime) -> tuple[frozenset[str], Determination]:
    """Whether this person could say now that the board's conditions are met; in which roles, and which conditions.

    Raises:
        Refused: WRONG_INSTITUTION, ROLE_MISSING, SELF_REVIEW, CONFLICT_OF_INTEREST; WRONG_STATE.
    """
    study = review.submission.study
    permissions.check_may(by, Verb.VERIFY_CONDITIONS, review.board)
    permissions.check_independent(by, study)
    policies.check_state(study, Verb.VERIFY_CONDITIONS, now)
    decided = review.determinations.first()
    if review.outcome != Outcome.APPROVED_WITH_CONDITIONS or review.conditions_met or decided is None:
        raise Refused(Reason.WRONG_STATE, detail="No condition of this board is open.", field="review")
    if review.submission.state not in OPEN:
        raise Refused(Reason.WRONG_STATE, detail=f"The submission is {review.submission.state}.", field="review")
    office = frozenset({Role.IRB_CHAIR, Role.IRB_ADMINISTRATOR})
    roles, _ = _authority(by, review, office, "verify-conditions", now)
    return roles, decided


def _check(by: User, review: Review, verb: Verb, now: datetime) -> None:
    """Whether this person may decide for the board at all, now."""
    study = review.submission.study
    permissions.check_may(by, verb, review.board)
    permissions.check_independent(by, study)
    policies.check_state(study, verb, now)
    if review.submission.state not in OPEN - {SubmissionState.APPROVED_WITH_CONDITIONS}:
        raise Refused(Reason.WRONG_STATE, detail=f"The submission is {review.submission.state}.", field="review")
    if not review.open:
        raise Refused(Reason.WRONG_STATE, detail=f"{review.board} has decided on this already.", field="review")


def _authority(
    by: User, review: Review, own: frozenset[str], scope: str, now: datetime
) -> tuple[frozenset[str], Delegation | None]:
    """The roles in which this person signs: those whose power it is, or a member's by the chair's delegation."""
    if permissions.roles_at(by, review.board) & own:
        return own, None
    delegation = selectors.delegation(by, review.board, scope, review.submission.study, now) if scope else None
    if delegation is None:
        names = " or ".join(sorted(Role(role).label for role in own))
        detail = f"This needs the role {names} at {review.board}, or the chair's delegation."
        raise Refused(Reason.ROLE_MISSING, detail=detail)
    return frozenset({Role.IRB_MEMBER}), delegation


def _stated(fields: Mapping[str, Any], *, scan: str = "") -> Decision:
    outcome = str(fields.get("outcome", ""))
    if outcome not in frozenset(Outcome):
        names = ", ".join(Outcome)
        raise Refused(Reason.FIELD_INVALID, detail=f"An outcome is one of: {names}.", field="outcome")
    findings, conditions = fields.get("findings") or {}, fields.get("conditions") or []
    for field, given, kind in (("findings", findings, Mapping), ("conditions", conditions, list)):
        if not isinstance(given, kind):
            raise Refused(Reason.FIELD_INVALID, field=field)
    return Decision(
        outcome,
        dict(findings),
        [condition for condition in conditions if str(condition).strip()],
        str(fields.get("reasons", "")),
        scan=scan,
    )


def minuted(review: Review) -> Decision:
    """What the convened board voted; the officer signs that and nothing else. Raises Refused(MEETING_NEEDED)."""
    item = selectors.vote_to_sign(review)
    if item is None:
        raise Refused(Reason.MEETING_NEEDED)
    motion = item.motion
    return Decision(
        item.outcome, motion["findings"], motion["conditions"], motion["reasons"], minutes=item.minutes_digest
    )


def _prepared(
    review: Review,
    decision: Decision,
    path: Path,
    roles: frozenset[str],
    delegation: Delegation | None,
    now: datetime,
) -> Prepared:
    submission = review.submission
    study, version = submission.study, submission.version
    sites = sorted(review.sites.all(), key=lambda site: site.slug)
    lets_pass = decision.outcome in LETS_PASS
    document: dict[str, Any] = {
        "v": 1,
        "study": study.slug,
        "board": review.board.slug,
        "sites": [site.slug for site in sites],
        "submission": str(submission.uuid),
        "kind": submission.kind,
        "protocol": version.digest,
        "base": version.base,
        "path": path.value,
        "category": "" if path in (Path.FULL_BOARD, Path.PAPER) else review.category,
        "outcome": decision.outcome,
        "findings": dict(decision.findings),
        "conditions": decision.conditions,
        "reasons": decision.reasons,
        "expires": clock.rfc3339(_ends(submission, path, now)) if lets_pass else "",
        "reliance": {},
        "delegation": delegation.digest if delegation else "",
        "minutes": decision.minutes,
        "scan": decision.scan,
    }
    for site in sites:
        if site != review.board:
            document["reliance"][site.slug] = _relies(review, site.slug, now, context=lets_pass)
    documents.check(document, waiver=selectors.waives_consent(version))
    if review.determinations.filter(digest=digest(document)).exists():
        raise Refused(Reason.CONFLICT, detail="The board has decided this before, in the same words.")
    return Prepared("determination", document, decision.outcome, review.board, roles, study)


def _relies(review: Review, slug: str, now: datetime, *, context: bool) -> str:
    """The digest of the agreement under which the board reviews for a site, which must have filed its local context."""
    study = review.submission.study
    site = selectors.institution(slug, field="sites")
    agreement = selectors.reliance(site, study.slug, now)
    if agreement is None or agreement.reviewing_id != review.board_id:
        detail = f"No agreement in force says that {site} relies on {review.board}."
        raise Refused(Reason.RELIANCE_MISSING, detail=detail)
    filed = LocalContext.objects.filter(study=study, site=site, board=review.board, base=review.submission.version.base)
    if context and not filed.exists():
        raise Refused(Reason.LOCAL_CONTEXT_MISSING, detail=f"{site} has filed none for this version.")
    return agreement.digest


def _ends(submission: Submission, path: Path, now: datetime) -> datetime:
    """When an approval given now ends: with the protocol, or after its period of review. An exemption has no such
    period (45 CFR 46.104), and an amendment prolongs none."""
    protocol, study = submission.version.content, submission.study
    ends = clock.parse(protocol["valid_until"])
    if submission.kind == SubmissionKind.AMENDMENT and study.expires is not None:
        return min(ends, study.expires)
    return ends if path is Path.EXEMPT else min(ends, now + relativedelta(months=protocol["review_months"]))
