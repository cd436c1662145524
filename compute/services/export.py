"""Everything that the coordinator holds on a person, for the person: the counterpart of `erasure`."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from compute.models import Job
from concordat import clock
from concordat.canonical import Json
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance.models import Consent
from ledger import selectors as ledger
from ledger.models import LegalHold, LogEntry, SubjectKey
from ledger.services.record import record


@transaction.atomic
def export_subject(*, institution: str, subject: UUID) -> dict[str, Json]:
    """All that is held on one person, known to the institution under this pseudonym (GDPR, article 15).

    `entries` are the log's entries about them, with the private fields that their key opens: consents, withdrawals,
    verdicts, predictions under their record numbers, displays. `related` are entries that name their requests and hold
    nothing private of theirs: how jobs ended, in which role a dossier was read. `consents`, `jobs` and `holds` are what
    tables hold besides; sealed shares are counted, as only those they are sealed to can open them. That it was exported
    is recorded.

    Raises:
        Refused: NOT_FOUND for an unknown subject; ERASED once their key is destroyed.
    """
    key = SubjectKey.objects.filter(holder=institution, subject=subject).first()
    if key is None:
        raise Refused(Reason.NOT_FOUND, field="subject")
    if key.wrapped is None:
        raise Refused(Reason.ERASED, detail="This person was erased; nothing is left to export.", field="subject")
    entries = list(ledger.about(institution, subject).order_by("index"))
    jobs = list(Job.objects.filter(verdict__in=[entry.index for entry in entries]).order_by("pk"))
    consents = Consent.objects.filter(institution__slug=institution, subject=subject).order_by("pk")
    holds = LegalHold.objects.filter(holder=institution, subject=subject).order_by("pk")
    document: dict[str, Json] = {
        "v": 1,
        "institution": institution,
        "subject": str(subject),
        "exported": clock.rfc3339(clock.now()),
        "entries": [_entry(entry) | {"private": dict(ledger.private_fields(entry))} for entry in entries],
        "related": [_entry(entry) for entry in _related(entries)],
        "consents": [_consent(consent) for consent in consents.select_related("study")],
        "jobs": [_job(job) for job in jobs],
        "holds": [
            {
                "ground": each.ground,
                "exemption": each.exemption,
                "placed": _time(each.placed),
                "until": _time(each.until),
                "lifted": _time(each.lifted),
            }
            for each in holds
        ],
    }
    record(
        event=Event.SUBJECT_EXPORTED,
        public={"institution": institution},
        private={"subject": str(subject)},
        subject=subject,
    )
    return document


def _related(entries: Iterable[LogEntry]) -> Iterable[LogEntry]:
    """What the log says of the person's requests elsewhere than under their key."""
    own = {entry.pk for entry in entries}
    requests = {entry.public["request"] for entry in entries if "request" in entry.public}
    named = LogEntry.objects.filter(references__name="request", references__value__in=requests)
    return named.exclude(pk__in=own).order_by("index")


def _entry(entry: LogEntry) -> dict[str, Any]:
    return {
        "record": entry.record_number,
        "event": entry.event,
        "time": _time(entry.time),
        "public": dict(entry.public),
        "documents": dict(entry.documents),
    }


def _consent(consent: Consent) -> dict[str, Any]:
    return {
        "consent": str(consent.uuid),
        "study": consent.study.slug,
        "purposes": consent.purposes,
        "given": _time(consent.given),
        "until": _time(consent.until),
        "withdrawn": _time(consent.withdrawn),
        "statement": consent.statement,
        "withdrawal": consent.withdrawal,
    }


def _job(job: Job) -> dict[str, Any]:
    return {
        "job": str(job.uuid),
        "request": str(job.request_uuid),
        "state": job.state,
        "reason": job.reason,
        "record": job.record,
        "created": _time(job.created),
        "sealed_inputs": job.inputs.count(),
        "sealed_results": job.results.exclude(sealed="").count(),
        "records_packages": job.packages.exclude(content="").count(),
    }


def _time(time: datetime | None) -> str:
    return clock.rfc3339(time) if time else ""
