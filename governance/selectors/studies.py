"""Studies, who sees them, and what their boards have decided."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Prefetch, Q, QuerySet

from concordat import findings
from concordat.findings import Finding
from concordat.reasons import Reason, Refused
from governance.models import (
    Determination,
    Institution,
    ProtocolVersion,
    Review,
    Study,
    Submission,
)
from governance.permissions import takes_part
from governance.selectors.people import as_uuid
from governance.states import OPEN, StudyState, SubmissionState


def institutions_in(study: str) -> QuerySet[Institution]:
    """Who takes part in the study of this name: its sites, and the institutions whose boards review for them."""
    return Institution.objects.filter(Q(studies__slug=study) | Q(reviews__submission__study__slug=study)).distinct()


def study_of(institution: Institution, slug: str) -> Study:
    """A study in which the institution takes part. Raises Refused(NOT_FOUND) for every other as if it was not there."""
    found = Study.objects.select_related("institution").filter(slug=slug).first()
    if found is None or not takes_part(institution, found):
        raise Refused(Reason.NOT_FOUND, detail=f"You take part in no study “{slug}”.", field="study")
    return found


def visible_studies(to: Iterable[Institution]) -> QuerySet[Study]:
    """The studies that concern one of these institutions: those it leads, those it is a site of, those its board
    reviews. Nobody sees another institution's drafts."""
    of_others = (Q(sites__in=to) | Q(submissions__reviews__board__in=to)) & ~Q(state=StudyState.DRAFT)
    return Study.objects.filter(Q(institution__in=to) | of_others).select_related("institution").distinct()


def studies_of(taking_part: QuerySet[Institution]) -> QuerySet[Study]:
    """The studies in which one of these institutions takes part: as a site, or by its board's review."""
    return Study.objects.filter(Q(sites__in=taking_part) | Q(submissions__reviews__board__in=taking_part)).distinct()


def seen_study(by: User, uuid: str) -> Study:
    """The study of this identifier, if it concerns an institution of this person. Raises Refused(NOT_FOUND)."""
    found = visible_studies(Institution.objects.filter(memberships__user=by)).filter(uuid=as_uuid(uuid)).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="No study that you can see has this identifier.", field="study")
    return found


def seen_through(by: User, study: Study) -> list[Institution]:
    """The institutions of this person that the study concerns; its leading one first, where it is one of them."""
    of_study = Q(pk=study.institution_id) | Q(studies=study) | Q(reviews__submission__study=study)
    found = Institution.objects.filter(of_study, memberships__user=by).distinct()
    return sorted(found, key=lambda each: (each.pk != study.institution_id, each.slug))


def locked_study(by: User, uuid: str) -> Study:
    """As :func:`seen_study`; whoever else locks it waits for the caller's transaction."""
    return Study.objects.select_for_update(no_key=True, of=("self",)).get(pk=seen_study(by, uuid).pk)


def waives_consent(version: ProtocolVersion) -> bool:
    """Whether a protocol rests on a waiver of consent, so that an approval needs the findings for one."""
    return findings.waives_consent([basis["ground"] for basis in version.content["bases"]])


def open_submission(study: Study) -> Submission | None:
    """What is before the boards, or waits for conditions to be met."""
    return study.submissions.filter(state__in=OPEN).select_related("version").first()


def approval_in_force(study: Study) -> Submission | None:
    """The submission whose approval a study in force rests on: the last one on the base in force."""
    if study.in_force is None:
        return None
    approved = study.submissions.filter(state=SubmissionState.APPROVED, version__base=study.in_force.base)
    return approved.order_by("-settled", "-pk").first()


def deciding(submission: Submission) -> list[tuple[Review, Determination]]:
    """Each board's review, with its sites, and its last determination, with its signatures."""
    latest = Determination.objects.select_related("signature", "conditions_check__signature").order_by("-pk")
    reviews = submission.reviews.select_related("board").prefetch_related(
        "sites", Prefetch("determinations", queryset=latest)
    )
    return [(review, made[0]) for review in reviews if (made := list(review.determinations.all()))]


def determination_for(study: Study, institution: Institution) -> Mapping[str, Any] | None:
    """The signed document of the approval in force by the board that reviews for this institution, or None."""
    submission = approval_in_force(study)
    found = Determination.objects.filter(review__submission=submission, review__sites=institution).order_by("-pk")
    last = found.first() if submission else None
    return last.document if last else None


def findings_for(study: Study, institution: Institution) -> Mapping[str, Finding]:
    """The findings of the determination in force of the board that reviews for this institution; none without one."""
    document = determination_for(study, institution)
    return document["findings"] if document else {}
