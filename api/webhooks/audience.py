"""Which events concern an institution, and what it is told of them: names, and nothing of what came out.

An event of the log is told to those who may look up what it is about: a prediction's to its requester (an alarm's to
the model's owner and the nodes as well), a definition's to those with a say in it and those whose study it is, a
study's to those whom the study concerns, a model's recall to those with a say in a definition of it and those in the
study of one, a key change or a model's card to everybody, an erasure to who holds something of the person.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from django.urls import reverse

from compute.models import Job
from concordat import clock
from concordat.canonical import Json
from concordat.events import Event
from governance import selectors
from governance.models import Institution
from ledger.models import LogEntry


@dataclass(frozen=True)
class Facts:
    """What is asked of the database once for many entries and one institution."""

    institution: Institution
    entries: Sequence[LogEntry]

    @cached_property
    def jobs(self) -> Mapping[str, Job]:
        named = self._named("job")
        found = Job.objects.filter(uuid__in=named).select_related("requester", "model__owner", "definition")
        return {str(job.uuid): job for job in found}

    @cached_property
    def studies(self) -> frozenset[str]:
        visible = selectors.visible_studies([self.institution]).filter(slug__in=self._named("study"))
        return frozenset(visible.values_list("slug", flat=True))

    @cached_property
    def definitions(self) -> frozenset[str]:
        visible = selectors.visible_definitions(self.institution).filter(digest__in=self._named("definition"))
        return frozenset(visible.values_list("digest", flat=True))

    @cached_property
    def recalled(self) -> frozenset[str]:
        """Models whose recall concerns the institution."""
        told = selectors.told_of_recall
        return frozenset(model for model in self._named("model") if told(model).filter(pk=self.institution.pk).exists())

    def _named(self, field: str) -> set[str]:
        return {str(entry.public[field]) for entry in self.entries if entry.public.get(field)}


Rule = Callable[[Facts, Mapping[str, Any]], bool]


def _own(facts: Facts, public: Mapping[str, Any]) -> bool:
    return bool(public.get("institution") == facts.institution.slug)


def _everybody(facts: Facts, public: Mapping[str, Any]) -> bool:
    return True


def _requester(facts: Facts, public: Mapping[str, Any]) -> bool:
    job = facts.jobs.get(str(public.get("job", "")))
    return job is not None and job.requester_id == facts.institution.pk


def _alarmed(facts: Facts, public: Mapping[str, Any]) -> bool:
    job = facts.jobs.get(str(public.get("job", "")))
    if job is None:
        return False
    return facts.institution.pk in {job.requester_id, job.model.owner_id} or facts.institution.slug in job.nodes


def _study(facts: Facts, public: Mapping[str, Any]) -> bool:
    return public.get("study") in facts.studies


def _definition(facts: Facts, public: Mapping[str, Any]) -> bool:
    return public.get("definition") in facts.definitions


def _recalled(facts: Facts, public: Mapping[str, Any]) -> bool:
    return public.get("model") in facts.recalled


_OF_EVERYBODY = (Event.INSTITUTION_ENROLLED, Event.KEY_CHANGED, Event.MODEL_IMPORTED, Event.MODEL_DESCRIBED)

TOLD: dict[Event, Rule] = {
    **dict.fromkeys(_OF_EVERYBODY, _everybody),
    **dict.fromkeys((Event.ROSTER_PUBLISHED, Event.VERDICT, Event.HOLDER_TOLD), _own),
    **dict.fromkeys(
        (
            *(Event.JOB_RESERVED, Event.JOB_ENDED, Event.PREDICTION_RECORDED, Event.EXPLANATION_RECORDED),
            *(Event.AUDIT_RECORDED, Event.TRAINING_RECORDED, Event.RESULT_WITHHELD),
        ),
        _requester,
    ),
    **dict.fromkeys((Event.CANARY_FAILED, Event.TESTIMONY_MISSING, Event.DEPARTURE_FOUND), _alarmed),
    **dict.fromkeys(
        (
            *(Event.STUDY_SUBMITTED, Event.SUBMISSION_WITHDRAWN, Event.SUBMISSION_SETTLED, Event.REVIEW_SIGNED),
            *(Event.STUDY_APPROVED, Event.STUDY_SUSPENDED, Event.STUDY_TERMINATED, Event.STUDY_EXPIRED),
            *(Event.STUDY_CLOSED, Event.ATTACHMENT_ADDED, Event.DISCLOSURE_SIGNED),
        ),
        _study,
    ),
    **dict.fromkeys((Event.DEFINITION_REGISTERED, Event.DEFINITION_VOTED), _definition),
    Event.MODEL_RECALLED: _recalled,
}
"""Every event that a webhook can be registered for, and whom it concerns."""


def concerning(institution: Institution, entries: Iterable[LogEntry]) -> list[LogEntry]:
    """Those of the entries, all of them of events in `TOLD`, that concern the institution."""
    facts = Facts(institution, list(entries))
    return [entry for entry in facts.entries if TOLD[Event(entry.event)](facts, entry.public)]


def told(entry: LogEntry) -> dict[str, Json]:
    """What a message says of an entry, as `concordat.webhook.Told` has it."""
    public = entry.public
    return {
        "index": entry.index,
        "record": entry.record_number,
        "self": reverse("ledger-entry", kwargs={"index": entry.index}),
        **{name: str(public.get(name) or "") for name in ("institution", "study", "definition", "model")},
        "job": _job(public),
    }


def time_of(entry: LogEntry) -> str:
    return clock.rfc3339(entry.time)


def _job(public: Mapping[str, Any]) -> str:
    named = str(public.get("job") or "")
    return str(UUID(named)) if named else ""
