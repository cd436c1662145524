"""Reads of jobs, for their requester and for the nodes that compute them."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from compute.models import Alarm, Answer, ErasureNotice, Finding, Job
from concordat import canonical
from concordat.canonical import Json
from concordat.definition import Kind
from concordat.reasons import Reason, Refused
from concordat.request import named_consent, peek_request
from concordat.states import JobState
from governance import selectors as governance
from governance.evidence import review_evidence
from governance.models import Consent, DisclosureStatement, Institution
from ledger.selectors import document, entry, private_fields

_FOR_NODES = frozenset({JobState.AUTHORISED, JobState.RESERVED, JobState.COMPUTING})


def jobs_of(requester: Institution, kind: Kind = "explain") -> QuerySet[Job]:
    """The institution's own jobs of one kind, newest first: predictions, unless another is named."""
    return _jobs().filter(requester=requester, definition__content__kind=kind)


def job_of(requester: Institution, uuid: UUID, kind: Kind = "explain") -> Job:
    """One of the institution's own jobs of that kind. Raises Refused(NOT_FOUND) for every other."""
    return _one(jobs_of(requester, kind), uuid)


def notices_of(institution: Institution) -> QuerySet[ErasureNotice]:
    """What the institution was told of erasures."""
    return ErasureNotice.objects.filter(institution=institution)


def job_at_node(node: Institution, uuid: UUID) -> Job:
    """A job with a ticket that names the institution's node. Raises Refused(NOT_FOUND) for every other."""
    job = _one(_jobs().exclude(ticket=""), uuid)
    if node.slug not in job.nodes:
        raise Refused(Reason.NOT_FOUND, field="job")
    return job


def alarm_at_node(node: Institution, uuid: UUID) -> Alarm:
    """The alarm about a job of the institution's node. Raises Refused(NOT_FOUND) for every other."""
    return _alarm(job_at_node(node, uuid))


def alarm_of_owner(owner: Institution, uuid: UUID) -> Alarm:
    """The alarm about a job with the institution's own model. Raises Refused(NOT_FOUND) for every other."""
    return _alarm(_one(_jobs().filter(model__owner=owner), uuid))


def alarm_documents(alarm: Alarm, node: Institution) -> dict[str, Any]:
    """What a node testifies with: the alarm, the model's manifest, and its own sealed share of the model."""
    own_share = alarm.job.model.shares.filter(party=node).first()
    return {
        "job": str(alarm.job.uuid),
        "alarm": alarm.document,
        "manifest": alarm.job.model.manifest,
        "model_share": own_share.sealed if own_share and node.slug in alarm.job.definition.content["parties"] else None,
    }


def testimonies(alarm: Alarm) -> dict[str, Any]:
    """What the model's owner finds out from who departed from the protocol."""
    content = alarm.job.definition.content
    finding = Finding.objects.filter(alarm=alarm).first()
    return {
        "prediction": str(alarm.job.uuid),
        "alarm": alarm.document,
        "testimonies": list(alarm.testimonies.values_list("document", flat=True)),
        "receipts": list(alarm.job.results.values_list("receipt", flat=True)),
        "definition": content,
        "schema": canonical.decode(document(content["schema"])),
        "design": canonical.decode(document(content["design"])),
        "manifest": alarm.job.model.manifest,
        "finding": finding.document if finding else "",
    }


def request_of(job: Job) -> str:
    """The request as the requester signed it (JWS). Raises Refused(ERASED) once its subject's key is destroyed."""
    assert job.verdict is not None
    token: str = private_fields(entry(job.verdict))["request_statement"]
    return token


def checks(job: Job) -> list[dict[str, Json]]:
    """Every check of the job's verdict: name, passed, reason, sentence."""
    assert job.verdict is not None
    found: list[dict[str, Json]] = canonical.decode(document(entry(job.verdict).documents["checks"]))
    return found


def documents_for(*, job: Job, node: Institution) -> dict[str, Any]:
    """All that a node needs to decide about a job and to do its part; its own sealed shares, nobody else's.

    Raises:
        Refused: NOT_FOUND for a node that is not in the job; WRONG_STATE when there is nothing to decide or to compute.
    """
    if node.slug not in job.nodes:
        raise Refused(Reason.NOT_FOUND, field="job")
    if job.job_state not in _FOR_NODES:
        raise Refused(Reason.WRONG_STATE, detail=f"The job is {job.state}.", field="state")
    definition = governance.definition(job.definition.digest)
    content = definition.content
    disclosure = DisclosureStatement.objects.filter(study=definition.study, model=job.model.digest).first()
    request = request_of(job)
    named = named_consent(peek_request(request))
    consent = Consent.objects.filter(uuid=named).first() if named else None
    own_input = job.inputs.filter(party=node).first()
    own_share = job.model.shares.filter(party=node).first()
    accepted = dict(
        job.answers.filter(kind=Answer.Kind.ACCEPTANCE).values_list("node__slug", "document")
        if job.job_state is not JobState.AUTHORISED
        else ()
    )
    return {
        "job": str(job.uuid),
        "request": request,
        "definition": content,
        "protocol": governance.protocol_of(definition).content,
        "manifest": job.model.manifest,
        "disclosure": disclosure.statement if disclosure else None,
        "schema": canonical.decode(document(content["schema"])),
        "design": canonical.decode(document(content["design"])),
        # All that stand: a node that has seen a vote does not let it disappear, whatever the contract made of it.
        "votes": [vote.document for vote in governance.standing_votes(definition)],
        "withdrawal": consent.withdrawal or None if consent else None,
        "capacity": consent.lapse or None if consent else None,
        "recall": recall.statement if (recall := governance.recall(job.model.digest)) else None,
        "reviews": review_evidence(definition),
        "input": own_input.sealed if own_input else None,
        "model_share": own_share.sealed if own_share else None,
        "acceptances": [accepted[each] for each in job.nodes if each in accepted],
    }


def _jobs() -> QuerySet[Job]:
    return Job.objects.select_related("definition__study", "model", "requester")


def _alarm(job: Job) -> Alarm:
    found = Alarm.objects.filter(job=job).select_related("job__definition", "job__model__owner").first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, field="alarm")
    return found


def _one(jobs: QuerySet[Job], uuid: UUID) -> Job:
    found = jobs.filter(uuid=uuid).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, field="job")
    return found
