"""What goes wrong: reported at once whatever the study's state, and then under a clock."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from pydantic import Field, with_config
from typing_extensions import TypedDict

from concordat import clock
from concordat.events import Event
from concordat.fields import STRICT, Text, read
from concordat.reasons import Reason, Refused
from governance import permissions, policies, selectors
from governance.models import Incident, IncidentStep, Institution, Study
from governance.notices import Notice
from governance.permissions import HOLDERS, Role, Verb
from governance.services import notifications
from governance.states import INCIDENT, IncidentState, check_transition
from ledger.services.record import record


@dataclass(frozen=True)
class Duty:
    """Who must have been told by when, and which rule says so."""

    whom: str
    until: Callable[[datetime], datetime]
    source: str


def _days(days: int) -> Callable[[datetime], datetime]:
    return lambda discovered: discovered + timedelta(days=days)


def _working_days(discovered: datetime, days: int) -> datetime:
    """Mondays to Fridays, as holidays differ from site to site."""
    until = discovered
    while days:
        until += timedelta(days=1)
        days -= until.weekday() < 5
    return until


_KIND = Incident.Kind

DUTIES: Mapping[str, tuple[Duty, ...]] = {
    _KIND.BREACH: (
        Duty("the supervisory authority", _days(3), "GDPR Article 33(1): 72 hours after becoming aware"),
        Duty("affected persons and HHS", _days(60), "45 CFR 164.404(b), 164.408(b): 60 days after discovery"),
    ),
    _KIND.UNANTICIPATED_PROBLEM: (
        Duty(
            "the board, institutional officials and OHRP",
            lambda discovered: _working_days(discovered, settings.PROBLEM_WORKING_DAYS),
            "45 CFR 46.108(a)(4)(i): promptly",
        ),
    ),
    _KIND.NONCOMPLIANCE: (
        Duty(
            "the board, institutional officials and OHRP",
            lambda discovered: discovered + timedelta(days=settings.NONCOMPLIANCE_DAYS),
            "45 CFR 46.108(a)(4)(i): promptly",
        ),
    ),
    _KIND.ADVERSE_EVENT: (
        Duty("the board and the sponsor", _days(7), "21 CFR 312.32(c)(2): 7 days, where a life is in danger"),
    ),
}
"""The clocks. The first one that runs out is the incident's; no day is too early."""

_TOLD = (Role.IRB_CHAIR, Role.IRB_ADMINISTRATOR, Role.INSTITUTION_ADMIN, Role.DATA_STEWARD)
_RUNNING = (IncidentState.REPORTED, IncidentState.ASSESSED)


@with_config(STRICT)
class _Report(TypedDict):
    kind: Annotated[Incident.Kind, Field(strict=False)]
    summary: Text


@with_config(STRICT)
class _Step(TypedDict):
    to: Annotated[IncidentState, Field(strict=False)]
    text: Text


@transaction.atomic
def report(
    *, by: User, study: Study, institution: Institution, kind: str, discovered: datetime, summary: str
) -> Incident:
    """Report an incident at one's own institution; every site and reviewing board is told.

    Args:
        discovered: when somebody became aware of it: the clock began then.
        summary: what happened. The institutions of the study read it; the log only commits to it.

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION or ROLE_MISSING; WRONG_STATE for a study that was never approved;
            FIELD_INVALID, naming the field.
    """
    study = selectors.seen_study(by, str(study.uuid))
    permissions.check_may(by, Verb.REPORT_INCIDENT, institution)
    permissions.check_takes_part(institution, study)
    now = clock.now()
    policies.check_state(study, Verb.REPORT_INCIDENT, now)
    said = read({"kind": kind, "summary": summary}, _Report)
    if discovered > now:
        raise Refused(Reason.FIELD_INVALID, detail="Nobody discovers what is still to come.", field="discovered")
    incident = Incident.objects.create(
        study=study,
        institution=institution,
        kind=said["kind"],
        discovered=discovered,
        reported=now,
        due=min(duty.until(discovered) for duty in DUTIES[said["kind"]]),
        summary=said["summary"],
        reported_by=by.officer,
    )
    record(
        event=Event.INCIDENT_REPORTED,
        public={
            "study": study.slug,
            "institution": institution.slug,
            "incident": str(incident.uuid),
            "kind": incident.kind,
            "discovered": clock.rfc3339(discovered),
            "due": clock.rfc3339(incident.due),
        },
        private={"officer": str(by.officer.uuid), "text": incident.summary},
        subject=by.officer.uuid,
    )
    for each in selectors.institutions_in(study.slug):
        notifications.tell(
            Notice.INCIDENT_REPORTED,
            to=notifications.holders(each, *_TOLD),
            study=study,
            key=f"incident {incident.uuid}",
            sentence=f"{incident}, in “{study.title}”: those who must know are told by {_minute(incident.due)}.",
        )
    return incident


@transaction.atomic
def step(*, by: User, incident: Incident, to: str, text: str) -> IncidentStep:
    """Say what was done about an incident of one's own institution. It is late if the time was over before those who
    must know had been told.

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION or ROLE_MISSING; WRONG_STATE; FIELD_INVALID, naming the field.
    """
    incident = (
        Incident.objects.select_for_update(of=("self",)).select_related("study", "institution").get(pk=incident.pk)
    )
    study = selectors.seen_study(by, str(incident.study.uuid))
    permissions.check_may(by, Verb.STEP_INCIDENT, incident.institution)
    now = clock.now()
    policies.check_state(study, Verb.STEP_INCIDENT, now)
    said = read({"to": to, "text": text}, _Step)
    check_transition(INCIDENT, IncidentState(incident.state), said["to"], what="An incident")
    late = incident.state in _RUNNING and now > incident.due
    incident.state = said["to"]
    incident.save(update_fields=["state"])
    taken = IncidentStep.objects.create(
        incident=incident, to=said["to"], text=said["text"], late=late, by=by.officer, taken=now
    )
    record(
        event=Event.INCIDENT_STEP,
        public={
            "study": study.slug,
            "institution": incident.institution.slug,
            "incident": str(incident.uuid),
            "step": taken.to,
            "late": late,
        },
        private={"officer": str(by.officer.uuid), "text": taken.text},
        subject=by.officer.uuid,
    )
    return taken


@transaction.atomic
def remind(now: datetime) -> None:
    """Tell those who can take the next step: a day before the time is over, and once it is."""
    running = Incident.objects.filter(state__in=_RUNNING, due__lte=now + timedelta(days=1))
    for incident in running.select_related("study", "institution"):
        over = now > incident.due
        notifications.tell(
            Notice.INCIDENT_DUE,
            to=notifications.holders(incident.institution, *HOLDERS[Verb.STEP_INCIDENT]),
            study=incident.study,
            key=f"incident {incident.uuid} {'overdue' if over else 'due'}",
            sentence=f"{incident}, in “{incident.study.title}”: the time to tell those who must know "
            f"{'was over' if over else 'is over'} at {_minute(incident.due)}.",
        )


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
