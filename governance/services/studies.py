"""A study's life before the boards: drafted, submitted, amended, put up for another year, taken back."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from concordat import clock, law, protocol
from concordat.canonical import Json, digest
from concordat.determination import Path, SubmissionKind
from concordat.events import Event
from concordat.fields import Slug, Text, read
from concordat.protocol import Protocol
from concordat.reasons import Reason, Refused
from governance import permissions, policies, selectors
from governance.models import Draft, Institution, ProtocolVersion, Review, Study, Submission
from governance.notices import Notice
from governance.permissions import Role, Verb
from governance.services import data_use, notifications
from governance.services.settling import move, move_submission, reset_sites
from governance.states import StudyState, SubmissionState
from ledger.services.record import record

_S = StudyState

_KIND: dict[StudyState, SubmissionKind] = {
    _S.DRAFT: SubmissionKind.INITIAL,
    _S.MODIFICATIONS_REQUIRED: SubmissionKind.INITIAL,
    _S.DISAPPROVED: SubmissionKind.INITIAL,
    _S.APPROVED: SubmissionKind.AMENDMENT,
    _S.SUSPENDED: SubmissionKind.REINSTATEMENT,
    _S.EXPIRED: SubmissionKind.REINSTATEMENT,
}
"""What a protocol that is submitted in this state is."""


@transaction.atomic
def save_draft(*, institution: Institution, content: Mapping[str, Json], by: User) -> Draft:
    """Keep a protocol in the making, which may be incomplete; a study that is not there yet begins with it.

    Raises:
        Refused: WRONG_INSTITUTION or ROLE_MISSING for who may not, or for another institution's study; FIELD_INVALID
            for a draft without a short name and a title; WRONG_STATE.
    """
    permissions.check_may(by, Verb.DRAFT, institution)
    slug, title = _read(content, "study", Slug), _read(content, "title", Text)
    study, _ = _own(institution, slug, title)
    now = clock.now()
    policies.check_state(study, Verb.DRAFT, now)
    draft, _ = Draft.objects.update_or_create(
        study=study, defaults={"content": dict(content), "edited_by": by, "edited": now}
    )
    if study.state == _S.DRAFT:
        study.title = title
        study.save(update_fields=["title"])
    record(
        event=Event.STUDY_DRAFTED,
        public={"institution": institution.slug},
        private={"officer": str(by.officer.uuid), "study": slug, "draft": digest(content)},
        subject=by.officer.uuid,
    )
    return draft


@transaction.atomic
def submit(
    *, institution: Institution, content: Mapping[str, Json], by: User | None = None, report: str = ""
) -> Submission:
    """Put a protocol version before the boards of all its sites; a study that is not there yet begins with it. The same
    version again, while nobody has looked at it yet, is no harm.

    What it is follows from the study's state: the first submission, an amendment of a study in force, or a
    reinstatement. A study that was suspended comes back only with the approval of the boards that had reviewed it and
    of whoever suspended it too: leaving a site out does not leave its board out.

    Args:
        institution: the leading institution, which submits.
        content: the protocol document.
        by: the investigator; none when the institution's own system submits.
        report: what the investigator reports to the boards with it.

    Raises:
        Refused: what :func:`concordat.protocol.check` and :func:`concordat.law.check_gdpr` refuse; WRONG_INSTITUTION or
            ROLE_MISSING for who may not; NOT_FOUND for a site that is not enrolled; EXPIRED for a protocol that has no
            time left; WRONG_STATE; CONFLICT while another submission is before the boards, or for the content of an
            earlier version.
    """
    document = protocol.check(content)
    now = clock.now()
    if document["institution"] != institution.slug:
        raise Refused(Reason.WRONG_INSTITUTION, detail="The leading institution submits.", field="institution")
    if by is not None:
        permissions.check_may(by, Verb.SUBMIT, institution)
    if clock.parse(document["valid_until"]) <= now:
        raise Refused(Reason.EXPIRED, detail="The protocol ends before it begins.", field="valid_until")
    sites = selectors.institutions(document["sites"], field="sites")
    law.check_gdpr(document["bases"], {slug: site.jurisdiction for slug, site in sites.items()})
    study, _ = _own(institution, document["study"], document["title"])
    pending = selectors.open_submission(study)
    same = pending is not None and pending.version.digest == digest(content)
    if pending is not None and same and pending.state == SubmissionState.SUBMITTED:
        return pending
    check_submit(study, now)
    kind = _KIND[study.state_at(now)]
    version, material = _version(study, document, content, kind, by)
    study.sites.add(*sites.values())
    if kind is SubmissionKind.INITIAL:
        study.sites.set(sites.values())
        study.title = document["title"]
        move(study, _S.SUBMITTED)
    Draft.objects.filter(study=study).delete()
    return _put(study, version, kind, material=material, by=by, report=report)


@transaction.atomic
def continue_review(*, study: Study, by: User | None = None, report: str) -> Submission:
    """Ask the boards for another period of approval of the version in force (45 CFR 46.109(e)), lapsed or not.

    Args:
        by: the investigator; none when the leading institution's own system asks.
        report: progress, incidents, numbers: what the boards need in order to decide.

    Raises:
        Refused: WRONG_INSTITUTION or ROLE_MISSING; WRONG_STATE; FIELD_MISSING without a report; CONFLICT while another
            submission is before the boards; EXPIRED once the protocol itself has ended.
    """
    study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    if by is not None:
        permissions.check_may(by, Verb.SUBMIT, study.institution)
    version = check_continue(study, clock.now())
    if not report.strip():
        raise Refused(Reason.FIELD_MISSING, detail="The boards need a progress report.", field="report")
    return _put(study, version, SubmissionKind.CONTINUING_REVIEW, material=True, by=by, report=report)


@transaction.atomic
def withdraw(*, study: Study, by: User) -> Submission:
    """Take back what is before the boards. A study that was never approved is a draft again.

    Raises:
        Refused: WRONG_INSTITUTION, ROLE_MISSING; WRONG_STATE; NOT_FOUND when nothing is before the boards.
    """
    study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    permissions.check_may(by, Verb.WITHDRAW, study.institution)
    pending = check_withdraw(study, clock.now())
    move_submission(pending, SubmissionState.WITHDRAWN)
    reset_sites(study)
    if pending.kind == SubmissionKind.INITIAL:
        move(study, _S.DRAFT)
        Draft.objects.update_or_create(
            study=study, defaults={"content": pending.version.content, "edited_by": by, "edited": clock.now()}
        )
    record(
        event=Event.SUBMISSION_WITHDRAWN,
        public={"study": study.slug, "institution": study.institution.slug, "submission": str(pending.uuid)},
        private={"officer": str(by.officer.uuid)},
        subject=by.officer.uuid,
    )
    return pending


def check_submit(study: Study, now: datetime) -> None:
    """Whether a protocol could be submitted now. Raises Refused: WRONG_STATE; CONFLICT while another is pending."""
    policies.check_state(study, Verb.SUBMIT, now)
    _check_nothing_pending(selectors.open_submission(study))


def check_continue(study: Study, now: datetime) -> ProtocolVersion:
    """Whether the boards could be asked for another period now, and for which version.

    Raises:
        Refused: WRONG_STATE; EXPIRED once the protocol has ended; CONFLICT while a submission is pending.
    """
    if study.state_at(now) not in (_S.APPROVED, _S.EXPIRED) or study.in_force is None:
        detail = f"The study is {study.state_at(now)}; only an approved or expired one is reviewed again."
        raise Refused(Reason.WRONG_STATE, detail=detail, field="state")
    if clock.parse(study.in_force.content["valid_until"]) <= now:
        raise Refused(Reason.EXPIRED, detail="The protocol has ended; submit an amended one.", field="study")
    _check_nothing_pending(selectors.open_submission(study))
    return study.in_force


def check_withdraw(study: Study, now: datetime) -> Submission:
    """What could be taken back now. Raises Refused: WRONG_STATE; NOT_FOUND when nothing is before the boards."""
    policies.check_state(study, Verb.WITHDRAW, now)
    pending = selectors.open_submission(study)
    if pending is None:
        raise Refused(Reason.NOT_FOUND, detail="Nothing is before the boards.", field="study")
    if pending.kind == SubmissionKind.INITIAL and study.state == _S.APPROVED_WITH_CONDITIONS:
        detail = "The boards have decided already; meet their conditions, or close the study."
        raise Refused(Reason.WRONG_STATE, detail=detail, field="state")
    return pending


def _own(institution: Institution, slug: str, title: str) -> tuple[Study, bool]:
    """The institution's study of this name, locked; a new one is a draft."""
    study, new = Study.objects.select_for_update(no_key=True).get_or_create(
        slug=slug, defaults={"title": title[:200], "institution": institution, "created": clock.now()}
    )
    if study.institution_id != institution.pk:
        raise Refused(Reason.WRONG_INSTITUTION, detail="Another institution leads this study.", field="study")
    return study, new


def _check_nothing_pending(pending: Submission | None) -> None:
    if pending is not None:
        detail = f"A submission ({pending.kind}) is {pending.state}; withdraw it first, or wait."
        raise Refused(Reason.CONFLICT, detail=detail, field="study")


def _version(
    study: Study, document: Protocol, content: Mapping[str, Json], kind: SubmissionKind, by: User | None
) -> tuple[ProtocolVersion, bool]:
    """The immutable version of this content, and whether it changes what definitions rest on."""
    own, base = digest(content), study.in_force
    material = base is None or protocol.is_material(base.content, content)
    known = ProtocolVersion.objects.filter(digest=own).first()
    if known is not None:
        last = known.submissions.first()
        unchanged = base is not None and known.pk == base.pk and kind is SubmissionKind.REINSTATEMENT
        taken_back = last is not None and last.state == SubmissionState.WITHDRAWN
        if known.study_id == study.pk and (unchanged or taken_back):
            return known, material
        raise Refused(Reason.CONFLICT, detail="This very version was submitted before; change it.", field="protocol")
    latest = study.versions.first()
    version = ProtocolVersion.objects.create(
        study=study,
        number=latest.number + 1 if latest else 1,
        digest=own,
        base=own if base is None or material else base.base,
        content=protocol.document_of(document),
        submitted_by=by,
        submitted=clock.now(),
    )
    return version, material


def _put(
    study: Study, version: ProtocolVersion, kind: SubmissionKind, *, material: bool, by: User | None, report: str
) -> Submission:
    now = clock.now()
    submission = Submission.objects.create(
        study=study, version=version, kind=kind, material=material, report=report, submitted_by=by, submitted=now
    )
    boards: dict[Institution, list[Institution]] = {}
    for site in selectors.institutions(version.content["sites"], field="sites").values():
        boards.setdefault(selectors.board_of(site, study.slug, now), []).append(site)
    for board in study.reinstating_boards.all():
        boards.setdefault(board, [])
    minor = kind is SubmissionKind.AMENDMENT and not material
    for board, sites in boards.items():
        review = Review.objects.create(
            submission=submission,
            board=board,
            path=Path.EXPEDITED if minor else Path.FULL_BOARD,
            category="minor-change" if minor else "",
        )
        review.sites.set(sites)
        _tell(review, sites)
    data_use.ask_stewards(submission)
    record(
        event=Event.STUDY_SUBMITTED,
        public={
            "study": study.slug,
            "institution": study.institution.slug,
            "boards": sorted(board.slug for board in boards),
            "submission": str(submission.uuid),
            "kind": kind,
        },
        private={"submitter": str(by.officer.uuid), "report": report} if by is not None else {"report": report},
        subject=by.officer.uuid if by is not None else None,
        documents={"protocol": version.content},
    )
    return submission


def _tell(review: Review, sites: Iterable[Institution]) -> None:
    study, board = review.submission.study, review.board
    notifications.tell(
        Notice.REVIEW_WAITS,
        to=notifications.holders(board, Role.IRB_CHAIR, Role.IRB_ADMINISTRATOR),
        study=study,
        key=f"review {review.uuid}",
        sentence=f"“{study.title}” ({review.submission.kind}) was submitted for your board's review.",
    )
    for site in sites:
        if site != board:
            notifications.tell(
                Notice.LOCAL_CONTEXT_WANTED,
                to=notifications.holders(site, Role.INSTITUTION_ADMIN, Role.IRB_CHAIR, Role.IRB_ADMINISTRATOR),
                study=study,
                key=f"local context {review.uuid}",
                sentence=f"“{study.title}” is reviewed for you by {board}: say what is particular about your site.",
            )


def _read(content: Mapping[str, Any], field: str, shape: Any) -> str:
    try:
        value: str = read(content.get(field), shape)
    except Refused as refused:
        raise Refused(refused.reason, detail=refused.detail, field=field) from None
    return value
