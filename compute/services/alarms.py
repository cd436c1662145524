"""When a canary came back wrong: withhold the job, ask its nodes to testify, and keep what the owner finds."""

from contextlib import suppress
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from compute import broker
from compute.models import Alarm, Finding, Job, Testimony
from compute.services.states import lock, transition
from concordat import alarm as alarms
from concordat import clock
from concordat.canonical import digest
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.request import peek_request
from concordat.states import AVAILABLE, JobState
from governance import selectors as governance
from governance.models import Institution
from ledger.services.record import record

ASKED_AGAIN = timedelta(minutes=1)


@transaction.atomic
def raise_alarm(*, job: Job, alarm: str, request: str, by: Institution) -> Job:
    """Withhold a job whose canary came back wrong; nothing of it is released again. The same alarm again is no harm.

    An alarm that comes when nodes may have destroyed their tapes withholds as well: a requester may disown what it was
    given. The log then says that it is too late to be examined, and no node is asked or named.

    Args:
        request: the job's signed request (JWS).

    Raises:
        Refused: what `alarm.read_alarm` refuses; WRONG_INSTITUTION for another's job or alarm; CONFLICT for an alarm
            about something else, or a second one; WRONG_STATE before there is a result.
    """
    locked = lock(job)
    said = alarms.read_alarm(alarm, governance.keyring([by.slug]))
    if locked.requester != by or said["requester"] != by.slug:
        raise Refused(Reason.WRONG_INSTITUTION, detail="The job is another institution's.", field="requester")
    known = Alarm.objects.filter(job=locked).first()
    if known is not None and known.document == alarm:
        return locked
    if known is not None:
        raise Refused(Reason.CONFLICT, detail="There is another alarm about this job.", field="alarm")
    asked = peek_request(request)
    place = said["place"]
    expected = (str(locked.uuid), locked.request_digest, str(locked.request_uuid), locked.model.owner.slug)
    if (said["job"], said["request"], said["name"], said["owner"]) != expected:
        raise Refused(Reason.CONFLICT, detail="The alarm is about something else.", field="job")
    if place >= len(asked["commitments"]) or said["commitments"] != asked["commitments"][place]:
        raise Refused(Reason.CONFLICT, detail="The request committed to another input.", field="commitments")
    if locked.job_state not in AVAILABLE:
        raise Refused(Reason.WRONG_STATE, detail=f"The job is {locked.state}.", field="state")
    locked.results.update(sealed="")
    now = clock.now()
    late = _too_late(locked, now)
    entry = record(
        event=Event.CANARY_FAILED,
        public={
            "job": str(locked.uuid),
            "request": str(locked.request_uuid),
            "definition": locked.definition.digest,
            "model": locked.model.digest,
            "institution": by.slug,
            "examination": "too late to be examined" if late else "asked for",
        },
        documents={"alarm": alarm},
    )
    kept = Alarm.objects.create(job=locked, document=alarm, received=now, entry=entry.index)
    withheld = transition(locked, JobState.WITHHELD, reason=Reason.ALARM_TOO_LATE if late else Reason.CANARY_FAILED)
    if not late:
        transaction.on_commit(lambda: ask(kept))
    return withheld


def _too_late(job: Job, received: datetime) -> bool:
    """Whether a node may have destroyed its tape in time, by our own clock."""
    first = job.results.earliest("received")
    return received > first.received + alarms.IN_TIME


def ask(alarm: Alarm) -> None:
    """Have every node that has not testified do so. Repeatable; without a broker the sweep asks again."""
    heard = set(alarm.testimonies.values_list("node__slug", flat=True))
    Alarm.objects.filter(pk=alarm.pk).update(asked=clock.now())
    with suppress(Refused):
        for node in alarm.job.nodes:
            if node not in heard:
                broker.to_node("node.testify", str(alarm.job.uuid), institution=node)


def ask_again() -> None:
    """For the sweep: ask those who are silent, once a minute for a day."""
    now = clock.now()
    waiting = Alarm.objects.filter(Q(asked=None) | Q(asked__lt=now - ASKED_AGAIN), received__gt=now - alarms.TAPES_KEPT)
    for alarm in waiting.select_related("job__definition").prefetch_related("testimonies"):
        if len(alarm.testimonies.all()) < len(alarm.job.nodes) and not _too_late(alarm.job, alarm.received):
            ask(alarm)


def name_silent() -> None:
    """For the sweep: log which nodes have not testified in time, once for each alarm that came in time itself. They may
    still testify."""
    in_time = clock.now() - timedelta(seconds=settings.TESTIMONY_SECONDS)
    for alarm in Alarm.objects.filter(closed=None, received__lte=in_time).select_related("job"):
        _close(alarm)


@transaction.atomic
def _close(alarm: Alarm) -> None:
    job = lock(alarm.job)
    if not Alarm.objects.filter(pk=alarm.pk, closed=None).update(closed=clock.now()):
        return
    if _too_late(job, alarm.received):
        return
    heard = set(alarm.testimonies.values_list("node__slug", flat=True))
    for node in job.nodes:
        if node not in heard:
            record(
                event=Event.TESTIMONY_MISSING,
                public={
                    "job": str(job.uuid),
                    "request": str(job.request_uuid),
                    "definition": job.definition.digest,
                    "institution": node,
                },
                documents={"alarm": alarm.document},
            )


@transaction.atomic
def take_testimony(*, alarm: Alarm, testimony: str, node: Institution) -> Testimony:
    """Keep a node's testimony. The same again is no harm.

    Raises:
        Refused: what `alarm.read_testimony` refuses; WRONG_INSTITUTION for another node's; CONFLICT for one about
            something else, or other commitments than the alarm's, which are the request's; or for a second one.
    """
    said = alarms.read_testimony(testimony, governance.keyring([node.slug]))
    if said["node"] != node.slug:
        raise Refused(Reason.WRONG_INSTITUTION, detail="This is another node's testimony.", field="node")
    if (said["job"], said["alarm"]) != (str(alarm.job.uuid), digest(alarm.document.encode())):
        raise Refused(Reason.CONFLICT, detail="The testimony is about another alarm.", field="alarm")
    if said["commitments"] != alarms.peek_alarm(alarm.document)["commitments"]:
        raise Refused(Reason.CONFLICT, detail="The request committed to another input.", field="commitments")
    lock(alarm.job)
    known = alarm.testimonies.filter(node=node).first()
    if known is not None and known.document != testimony:
        raise Refused(Reason.CONFLICT, detail="This node has testified something else.", field="testimony")
    return known or Testimony.objects.create(alarm=alarm, node=node, document=testimony, received=clock.now())


@transaction.atomic
def take_finding(*, alarm: Alarm, finding: str, by: Institution) -> Finding:
    """Log who, as the model's owner found, departed from the protocol. The same again is no harm.

    Raises:
        Refused: what `alarm.read_finding` refuses; WRONG_INSTITUTION unless the owner signed it; CONFLICT for one about
            something else, or a second one; NODE_SILENT while a node has not testified, unless the
            finding is about the alarm itself, or about receipts.
    """
    said = alarms.read_finding(finding, governance.keyring([by.slug]))
    job = lock(alarm.job)
    if job.model.owner != by or said["owner"] != by.slug:
        raise Refused(Reason.WRONG_INSTITUTION, detail="The model's owner finds out.", field="owner")
    if (said["job"], said["alarm"]) != (str(job.uuid), digest(alarm.document.encode())):
        raise Refused(Reason.CONFLICT, detail="The finding is about another alarm.", field="alarm")
    for each in said["departures"]:
        if each["node"] not in ([job.requester.slug] if each["act"] in alarms.REQUESTERS_ACTS else job.nodes):
            detail = "The finding names somebody who could not do this in the job."
            raise Refused(Reason.CONFLICT, detail=detail, field="departures")
    known = Finding.objects.filter(alarm=alarm).first()
    if known is not None and known.document != finding:
        raise Refused(Reason.CONFLICT, detail="There is another finding about this job.", field="finding")
    if known is not None:
        return known
    testimonies = list(alarm.testimonies.values_list("document", flat=True))
    acts = {each["act"] for each in said["departures"]}
    needs_no_word = bool(acts) and acts <= alarms.REQUESTERS_ACTS | alarms.SHOWN_BY_ITSELF
    if not needs_no_word and len(testimonies) < len(job.nodes):
        raise Refused(Reason.NODE_SILENT, detail="Not every node has testified.")
    record(
        event=Event.DEPARTURE_FOUND,
        public={
            "job": str(job.uuid),
            "request": str(job.request_uuid),
            "definition": job.definition.digest,
            "institution": by.slug,
            "departures": [f"{each['node']}: {each['act']}, round {each['round']}" for each in said["departures"]],
        },
        documents={"alarm": alarm.document, "testimonies": testimonies, "finding": finding},
    )
    return Finding.objects.create(alarm=alarm, document=finding, received=clock.now())
