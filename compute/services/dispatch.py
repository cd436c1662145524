"""Get every node of a job to accept one ticket, then to start: no engine starts before all have accepted."""

from datetime import timedelta
from uuid import uuid4

from django.conf import settings
from django.db import transaction

from compute import broker
from compute.models import Answer, Job
from compute.selectors import request_of
from compute.services import batches
from compute.services.endings import end
from compute.services.jobs import move_on
from compute.services.states import lock, note, transition
from concordat import answers, clock, fields
from concordat import ticket as tickets
from concordat.events import Event
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from concordat.request import peek_request
from concordat.signatures import SigningKey, keyring, peek
from concordat.states import JobState
from concordat.ticket import Ticket
from governance import selectors as governance
from governance import verdict
from governance.models import Institution
from ledger.services.record import record

_S = JobState


def push(*, job: Job) -> None:
    """Take the job's next step, whichever it is; none is no harm. Repeatable at any time."""
    job.refresh_from_db()
    if job.job_state is _S.AUTHORISED and job.dispatched is None:
        reserve(job=job)
    elif job.job_state is _S.RESERVED:
        start(job=job)


def reserve(*, job: Job) -> None:
    """Send a signed ticket to every node of the job. Without a broker the job stays as it is, with that as its reason.

    A job whose request has expired meanwhile ends as expired; one whose authority has ended, as refused; one whose
    subject was erased, as failed.
    """
    try:
        request = request_of(job)
    except Refused as refused:
        end(job, _S.FAILED, reason=refused.reason)
        return
    if clock.now() >= clock.parse(peek_request(request)["expires"]):
        end(job, _S.EXPIRED, reason=Reason.EXPIRED)
        return
    if verdict.epoch(request) != job.epoch:
        reasons = verdict.authorise(request, now=clock.now()).reasons
        end(job, _S.REFUSED, reason=reasons[0] if reasons else Reason.STUDY_NOT_APPROVED)
        return
    ticketed = _issue(job)
    try:
        for node in ticketed.nodes:
            broker.to_node("node.reserve", ticketed.ticket, institution=node)
    except Refused as refused:
        note(job, refused.reason)
    else:
        now = clock.now()
        deadline = now + timedelta(seconds=settings.RESERVATION_SECONDS)
        Job.objects.filter(pk=job.pk, state=_S.AUTHORISED, dispatched=None).update(
            dispatched=now, deadline=deadline, reason="", updated=now
        )


@transaction.atomic
def take_answer(*, job: Job, node: Institution, answer: str) -> Job:
    """Keep a node's answer to the job's ticket. The same answer again is no harm.

    When the last node accepts, the job is reserved and its computation is started. A refusal ends the job; that of
    a node that had accepted says that it has dropped out.

    Raises:
        Refused: what :func:`concordat.answers.read_answer` refuses; WRONG_INSTITUTION for another node's answer;
            CONFLICT for a second, different one; EXPIRED for an acceptance that has lapsed; WRONG_STATE when the job
            waits for no answer.
    """
    locked = lock(job)
    ticket = read_own_ticket(locked)
    document = answers.read_answer(answer, governance.keyring(locked.nodes), ticket)
    if document["node"] != node.slug:
        raise Refused(Reason.WRONG_INSTITUTION, detail="This is another node's answer.", field="node")
    said = fields.plain(document)
    kind = Answer.Kind.REFUSAL if "reason" in said else Answer.Kind.ACCEPTANCE
    known = locked.answers.filter(node=node, kind=kind).first()
    if known is not None and known.document == answer:
        return locked
    if known is not None:
        raise Refused(Reason.CONFLICT, detail="This node has answered otherwise.", field="answer")
    allowed = {_S.AUTHORISED} if kind is Answer.Kind.ACCEPTANCE else {_S.AUTHORISED, _S.RESERVED, _S.COMPUTING}
    if locked.job_state not in allowed:
        raise Refused(Reason.WRONG_STATE, detail=f"The job is {locked.state}.", field="state")
    if "expires" in said and clock.now() >= clock.parse(str(said["expires"])):
        raise Refused(Reason.EXPIRED, field="expires")
    Answer.objects.create(job=locked, node=node, kind=kind, document=answer, received=clock.now())
    if "reason" in said:
        return _drop(locked, node, Reason(str(said["reason"])))
    return _all_accepted(locked)


def start(*, job: Job) -> None:
    """Tell every node of a reserved job to start. Without a broker the job stays as it is, with that as its reason."""
    try:
        for node in job.nodes:
            broker.to_node("node.start", str(job.uuid), institution=node)
    except Refused as refused:
        note(job, refused.reason)
        return
    begin_computing(job)


@transaction.atomic
def begin_computing(job: Job) -> Job:
    """The nodes were told to start, or one has evidently been."""
    locked = lock(job)
    if locked.job_state is not _S.RESERVED:
        return locked
    deadline = clock.now() + timedelta(seconds=settings.COMPUTE_SECONDS)
    return transition(locked, _S.COMPUTING, deadline=deadline)


def read_own_ticket(job: Job) -> Ticket:
    """The ticket that was issued for the job. Raises Refused(WRONG_STATE) before there is one."""
    if not job.ticket:
        raise Refused(Reason.WRONG_STATE, detail="No ticket was issued for this job yet.", field="state")
    return tickets.read_ticket(job.ticket, keyring(_key().public))


@transaction.atomic
def _issue(job: Job) -> Job:
    """The job with a ticket in its time: nodes that got the last one already must not get a second one beside it."""
    locked = lock(job)
    now = clock.now()
    if locked.job_state is not _S.AUTHORISED or locked.dispatched is not None:
        raise Refused(Reason.WRONG_STATE, detail=f"The job is {locked.state} and was dispatched.", field="state")
    if locked.ticket and now < clock.parse(read_own_ticket(locked)["expires"]):
        return locked
    assert locked.verdict is not None  # an authorised job has one
    request = peek_request(request_of(locked))
    batch, ahead = batches.choose(locked, request)
    locked.ticket = tickets.issue(
        ticket=str(uuid4()),
        job=str(locked.uuid),
        request=request,
        definition=locked.definition.content,
        epoch=locked.epoch,
        batch=batch,
        ahead=ahead,
        verdict=locked.verdict,
        key=_key(),
        now=now,
        valid_for=timedelta(seconds=settings.TICKET_SECONDS),
    )
    locked.updated = now
    locked.save(update_fields=["ticket", "updated"])
    locked.answers.all().delete()  # answers to a ticket that has lapsed
    return locked


def _all_accepted(job: Job) -> Job:
    accepted = {answer.node.slug: answer.document for answer in job.answers.select_related("node")}
    if set(accepted) != set(job.nodes):
        return job
    lapses = min(clock.parse(peek(document)[1]["expires"]) for document in accepted.values())
    reserved = transition(job, _S.RESERVED, deadline=lapses)
    record(
        event=Event.JOB_RESERVED,
        public={
            "job": str(reserved.uuid),
            "request": str(reserved.request_uuid),
            "definition": reserved.definition.digest,
        },
        documents={"ticket": reserved.ticket, "acceptances": [accepted[node] for node in reserved.nodes]},
    )
    transaction.on_commit(lambda: move_on(reserved))
    return reserved


def _drop(job: Job, node: Institution, reason: Reason) -> Job:
    if job.job_state is _S.COMPUTING:
        return end(job, _S.FAILED, reason=reason, detail=f"{node.slug} has dropped out.")
    return end(job, _S.REFUSED, reason=reason, detail=f"Refused by {node.slug}.")


def _key() -> SigningKey:
    return Keystore(settings.KEYS_DIR).identity
