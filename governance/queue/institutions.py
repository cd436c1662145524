"""What waits for an institution itself: local context, agreements, the use of its data, incidents."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import Exists, F, Min, OuterRef, Prefetch, Q

from concordat.data_use import Answer, match
from governance import links, policies
from governance.models import (
    DataUseDecision,
    Incident,
    LocalContext,
    RelianceAgreement,
    Review,
    Study,
    Submission,
)
from governance.permissions import Verb
from governance.queue.tasks import Person, Task
from governance.states import OPEN, IncidentState


def local_contexts(person: Person) -> Iterator[Task]:
    """What is particular about a relying site, before the board that reviews for it approves."""
    sites = person.at(Verb.FILE_LOCAL_CONTEXT)
    if not sites:
        return
    filed = LocalContext.objects.filter(
        study=OuterRef("review__submission__study"),
        site=OuterRef("institution"),
        board=OuterRef("review__board"),
        base=OuterRef("review__submission__version__base"),
    )
    agreed = RelianceAgreement.objects.filter(
        Q(study="") | Q(study=OuterRef("review__submission__study__slug")),
        relying=OuterRef("institution"),
        reviewing=OuterRef("review__board"),
        agreed__isnull=False,
        ended=None,
        starts__lte=person.now,
        ends__gt=person.now,
    )
    wanted = (
        Review.sites.through.objects.filter(
            Exists(agreed), ~Exists(filed), institution__in=sites, review__submission__state__in=OPEN
        )
        .exclude(institution=F("review__board"))
        .select_related("institution", "review__board", "review__submission__study")
    )
    for each in wanted:
        study = each.review.submission.study
        if each.review.open and policies.state_allows(study, Verb.FILE_LOCAL_CONTEXT, person.now):
            yield person.task(
                f"Say what is particular about your site: {each.review.board} reviews for it.",
                person.because(Verb.FILE_LOCAL_CONTEXT, each.institution),
                study=study,
                since=each.review.submission.submitted,
                path=links.of_study(study, "act-file-local-context"),
            )


def agreements(person: Person) -> Iterator[Task]:
    """Reliance agreements that the other side has signed."""
    signing = person.at(Verb.RELY)
    if not signing:
        return
    proposed = RelianceAgreement.objects.filter(
        Q(relying__in=signing) | Q(reviewing__in=signing), agreed=None, ended=None, ends__gt=person.now
    ).select_related("relying", "reviewing")
    for each in proposed.annotate(by=Min("signatures__institution"), signed=Min("signatures__signed")):
        mine = each.reviewing if each.by == each.relying_id else each.relying
        if mine.pk in signing:
            yield person.task(
                f"Sign or decline: {each}{f' for {each.study}' if each.study else ''}.",
                person.because(Verb.RELY, mine),
                since=each.signed,
                path=links.of_agreement(each),
            )


def data_use(person: Person) -> Iterator[Task]:
    """Studies whose use of the institution's data its terms leave to a person, version by version."""
    stewarded = person.at(Verb.DECIDE_DATA_USE)
    if not stewarded:
        return
    pending = Prefetch(
        "submissions", Submission.objects.filter(state__in=OPEN).select_related("version"), to_attr="pending"
    )
    studies = Study.objects.filter(sites__in=stewarded, state__in=policies.STATES[Verb.DECIDE_DATA_USE]).distinct()
    decided = set(
        DataUseDecision.objects.filter(institution__in=stewarded).values_list("study", "institution__slug", "base")
    )
    for study in studies.exclude(pk__in=person.tied).select_related("in_force").prefetch_related(pending):
        submission = next(iter(study.pending), None)  # type: ignore[attr-defined]
        version = submission.version if submission else study.in_force
        if version is None:
            continue
        for key in stewarded:
            institution = person.institutions[key]
            known = (study.pk, institution.slug, version.base) in decided
            if not known and _undecided(version.content, institution.slug):
                yield person.task(
                    "Decide whether your institution's data may be used for it: the terms leave it to you.",
                    person.because(Verb.DECIDE_DATA_USE, institution),
                    study=study,
                    since=version.submitted,
                    path=links.of_study(study, "data-use"),
                )


def incidents(person: Person) -> Iterator[Task]:
    """Incidents at the institution whose clocks run."""
    open_ = Incident.objects.filter(institution__in=person.at(Verb.STEP_INCIDENT)).exclude(state=IncidentState.CLOSED)
    for each in open_.select_related("institution", "study"):
        if policies.state_allows(each.study, Verb.STEP_INCIDENT, person.now):
            told = each.state == IncidentState.NOTIFIED
            yield person.task(
                f"{each.get_kind_display()}: {'close it when it is resolved' if told else _INCIDENT[each.state]}.",
                person.because(Verb.STEP_INCIDENT, each.institution),
                study=each.study,
                since=each.reported,
                until=None if told else each.due,
                path=links.of_study(each.study, "incidents"),
            )


_INCIDENT = {
    IncidentState.REPORTED: "assess it, and tell those who must know",
    IncidentState.ASSESSED: "tell those who must know, or close it",
}


def _undecided(protocol: Mapping[str, Any], slug: str) -> bool:
    terms = {each["institution"]: each["terms"] for each in protocol["data_use"]["datasets"]}
    return slug in terms and match(protocol["data_use"]["study"], terms[slug]).answer is Answer.NEEDS_HUMAN
