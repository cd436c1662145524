"""Get every node of a job to accept one ticket, then to start: no engine starts before all have accepted. Jobs that are
computed together are asked together, and start together."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from compute import broker
from compute.models import Answer, Job
from compute.selectors import request_of
from compute.services import batches, waiting
from compute.services.endings import end
from compute.services.states import lock, note, transition
from compute.services.waiting import move_on, put_back
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

_NOT_ITS_OWN = frozenset({Reason.NODE_BUSY, Reason.COMPANION_REFUSED})
"""A node that refuses for these has nothing against the request: it waits for another ticket."""

_LONGEST_WAIT = timedelta(seconds=10)
"""How long an accepted job waits for one that is to be computed together with it."""

log = structlog.get_logger(__name__)


def push(*, job: Job) -> None:
    """Take the job's next step, whichever it is; none is no harm. Repeatable at any time."""
    job.refresh_from_db()
    if job.job_state is _S.AUTHORISED and job.dispatched is None:
        reserve(job=job)
    elif job.job_state is _S.RESERVED:
        start(job=job)


def reserve(*, job: Job) -> None:
    """Send signed tickets to every node of the job: for it, and for what waits and can be computed together with it.

    While a node is in another job, it waits, with that as its reason; so it does without a broker. A job whose request
    has expired meanwhile ends as expired; one whose authority has ended, as refused; one whose subject was erased, as
    failed.
    """
    if not _stands(job):
        return
    if waiting.occupied(job):
        note(job, Reason.NODE_BUSY)
        return
    ticketed = _issue(job, [each.pk for each in waiting.alike(job) if _stands_too(each)])
    try:
        for node in job.nodes:
            broker.to_node("node.reserve", *(each.ticket for each in ticketed), institution=node)
    except Refused as refused:
        for each in ticketed:
            note(each, refused.reason)
    else:
        now = clock.now()
        deadline = now + timedelta(seconds=settings.RESERVATION_SECONDS)
        # Of those that still have this ticket: a node may have been fast, and sent one back already.
        sent = Q(state=_S.AUTHORISED, dispatched=None, ticket__in=[each.ticket for each in ticketed])
        Job.objects.filter(sent).update(dispatched=now, deadline=deadline, reason="", updated=now)


def _stands_too(job: Job) -> bool:
    """The same, of one that would go with another: its trouble is its own."""
    try:
        return _stands(job)
    except Refused as refused:
        log.warning("companion.refused", job=job.uuid, reason=refused.reason.value)
        return False


def _stands(job: Job) -> bool:
    """Whether it is still to be computed; ends it otherwise."""
    try:
        request = request_of(job)
    except Refused as refused:
        end(job, _S.FAILED, reason=refused.reason)
        return False
    if clock.now() >= clock.parse(peek_request(request)["expires"]):
        end(job, _S.EXPIRED, reason=Reason.EXPIRED)
        return False
    if verdict.epoch(request) != job.epoch:
        reasons = verdict.authorise(request, now=clock.now()).reasons
        end(job, _S.REFUSED, reason=reasons[0] if reasons else Reason.STUDY_NOT_APPROVED)
        return False
    return True


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
    """Tell every node of a reserved job to start, once all that are computed together are reserved, or one of them has
    kept the others waiting for too long. Without a broker they stay as they are, with that as their reason."""
    together = waiting.together(job)
    behind = any(each.job_state is _S.AUTHORISED for each in together)
    if behind and clock.now() - job.updated < _LONGEST_WAIT:
        return  # the last one of them to be accepted starts them
    try:
        for node in job.nodes:
            broker.to_node("node.start", str(job.batch), institution=node)
    except Refused as refused:
        note(job, refused.reason)
        return
    for each in together:
        if each.job_state is not _S.AUTHORISED:
            begin_computing(each)


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
def _issue(job: Job, others: Sequence[int]) -> list[Job]:
    """The job and the others (by key) that still wait, with tickets in their time, in the order of their runs.

    Nodes that got tickets already must not get second ones beside them: while those are valid, the same are sent again.
    """
    found = [lock(each) for each in Job.objects.filter(pk__in=[job.pk, *others]).order_by("pk")]
    locked, now = next(each for each in found if each.pk == job.pk), clock.now()
    if locked.job_state is not _S.AUTHORISED or locked.dispatched is not None:
        raise Refused(Reason.WRONG_STATE, detail=f"The job is {locked.state} and was dispatched.", field="state")
    if locked.ticket and now < clock.parse(read_own_ticket(locked)["expires"]):
        return [each for each in waiting.together(locked) if each.job_state is _S.AUTHORISED]
    found = [each for each in found if each.pk == locked.pk or _waits(each)]
    content = locked.definition.content
    records = 1 + content["canaries"]
    batch, ahead = batches.choose(locked, len(found) * records)
    for place, each in enumerate(found):
        assert each.verdict is not None  # an authorised job has one
        each.ticket = tickets.issue(
            ticket=str(uuid4()),
            job=str(each.uuid),
            request=peek_request(request_of(each)),
            definition=content,
            epoch=each.epoch,
            batch=batch,
            runs={"first": place * records, "of": len(found) * records},
            ahead=ahead,
            verdict=each.verdict,
            key=_key(),
            now=now,
            valid_for=timedelta(seconds=settings.TICKET_SECONDS),
        )
        each.batch, each.updated = UUID(batch), now
        each.save(update_fields=["ticket", "batch", "updated"])
        each.answers.all().delete()  # answers to a ticket that has lapsed
    return found


def _waits(job: Job) -> bool:
    return job.job_state is _S.AUTHORISED and job.dispatched is None and not job.ticket


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
    if reason in _NOT_ITS_OWN and job.job_state is _S.AUTHORISED and job.put_back < waiting.MOST_PUT_BACK:
        return put_back(job, reason)
    if job.job_state is _S.COMPUTING:
        return end(job, _S.FAILED, reason=reason, detail=f"{node.slug} has dropped out.")
    return end(job, _S.REFUSED, reason=reason, detail=f"Refused by {node.slug}.")


def _key() -> SigningKey:
    return Keystore(settings.KEYS_DIR).identity
