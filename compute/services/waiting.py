"""What waits for nodes, and which requests go together.

A node has one engine, so requests queue here. Those that wait under one definition, with as many what-ifs each, are
computed together: as many rounds for all of them as for one. Each has a ticket, receipts and a result of its own, and
whoever asked for one sees no other. One that is refused does not take others with it: they wait again, by themselves.
"""

from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from compute import broker
from compute.models import Job
from compute.services.states import note
from concordat import canonical, clock, signatures
from concordat.definition import MOST_RECORDS
from concordat.design import read_design
from concordat.reasons import Reason, Refused
from concordat.request import OF_MANY
from concordat.states import JobState
from ledger.selectors import document

MOST_ROWS = 20_000
"""Perturbed records that are computed at once, at most, since all of them are in the engines' memory together: for 50
trees of depth 3 about 0.2 MB each."""

PATIENCE = timedelta(seconds=5)
_LONGEST = 4

MOST_PUT_BACK = 12
"""How often a job comes back from busy nodes: in a quarter of an hour, which a request is valid for, it is not more."""

_S = JobState
_UNDER_WAY = Q(state__in=(_S.RESERVED, _S.COMPUTING, _S.CANCELLING)) | Q(state=_S.AUTHORISED, dispatched__isnull=False)
_WAITING = Q(state=_S.AUTHORISED, dispatched=None)


def move_on(job: Job) -> None:
    """Have a worker take the job's next step. Without a broker the sweep does it later, and the job says so."""
    try:
        broker.to_coordinator("compute.dispatch", str(job.uuid))
    except Refused as refused:
        note(job, refused.reason)


def occupied(job: Job) -> bool:
    """Whether a node of the job is in another one that is not over."""
    under_way = Job.objects.filter(_UNDER_WAY).exclude(pk=job.pk).select_related("definition")
    return any(not set(job.nodes).isdisjoint(each.nodes) for each in under_way)


def call_next(after: Job) -> None:
    """A job is over: have the one that has waited longest for its nodes, and can have them, take its turn."""
    for job in Job.objects.filter(_WAITING).select_related("definition").order_by("pk"):
        if not set(job.nodes).isdisjoint(after.nodes) and not occupied(job):
            move_on(job)
            return


def alike(job: Job) -> list[Job]:
    """Others that wait and can be computed together with this one, those that have waited longest first."""
    same = Q(definition=job.definition, what_ifs=job.what_ifs, ticket="", alone=False)
    found = Job.objects.filter(_WAITING, same).exclude(pk=job.pk).order_by("pk")
    content = job.definition.content
    if job.alone or content["kind"] in OF_MANY or settings.REQUESTS_TOGETHER < 2 or not found.exists():
        return []
    records = 1 + content["canaries"]
    rows = read_design(canonical.decode(document(content["design"]))).n * records
    most = min(settings.REQUESTS_TOGETHER, MOST_RECORDS // records, MOST_ROWS // rows)
    return list(found[: max(most - 1, 0)])


def together(job: Job) -> list[Job]:
    """All that have a ticket of the same batch, this one included, in the order of their runs."""
    if job.batch is None:
        return [job]
    return list(Job.objects.filter(batch=job.batch).select_related("definition").order_by("pk"))


def put_back(job: Job, reason: Reason) -> Job:
    """The job, authorised and locked by the caller, waits for another ticket: because nodes were busy, for longer each
    time; or because of a companion, from now on by itself, and at once."""
    let_go, busy = job.ticket, reason is Reason.NODE_BUSY
    job.answers.all().delete()
    job.ticket, job.batch, job.dispatched, job.deadline = "", None, None, None
    job.alone, job.put_back = job.alone or not busy, job.put_back + busy
    job.reason, job.updated = reason, clock.now()
    job.save(
        update_fields=["ticket", "batch", "dispatched", "deadline", "alone", "put_back", "reason", "updated"],
    )
    transaction.on_commit(lambda: _release(job, let_go))
    if not busy:
        transaction.on_commit(lambda: move_on(job))
    return job


def late(job: Job) -> bool:
    """Whether its nodes should have answered, or have finished."""
    return job.deadline is not None and clock.now() >= job.deadline


def patience(job: Job) -> timedelta:
    """How long after its last step it is left alone."""
    return PATIENCE * 2 ** min(job.put_back, _LONGEST)


def release_nodes(job: Job) -> None:
    """Tell every node of the job's ticket to drop it. Raises Refused(BROKER_UNAVAILABLE)."""
    if job.ticket:
        _tell(job, job.ticket)


def _release(job: Job, ticket: str) -> None:
    with suppress(Refused):  # without a broker, reservations lapse by themselves
        _tell(job, ticket)


def _tell(job: Job, ticket: str) -> None:
    name = str(signatures.peek(ticket)[1]["ticket"])
    for node in job.nodes:
        broker.to_node("node.release", name, institution=node)
