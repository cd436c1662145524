"""Move on whatever stands still: repeat lost dispatches, end what has taken too long, follow records to the chain."""

import structlog
from django.db import OperationalError

from compute.models import Job
from compute.services import alarms, dispatch
from compute.services.endings import end
from compute.services.states import transition
from compute.services.waiting import PATIENCE, late, patience, release_nodes
from concordat import clock
from concordat.reasons import Reason, Refused
from concordat.states import JobState
from ledger.selectors import EntryStatus, status

_S = JobState

log = structlog.get_logger()


def sweep() -> None:
    """Look at every job that can still move. Repeatable; one job's trouble does not stop the others."""
    alarms.ask_again()
    alarms.name_silent()
    for job in Job.objects.filter(state__in=_STEPS).select_related("definition").order_by("pk"):
        try:
            _STEPS[job.job_state](job)
        except Refused as refused:
            log.warning("sweep.refused", job=job.uuid, state=job.state, reason=refused.reason.value)
        except OperationalError as error:  # two that wait for each other's rows: the next sweep finds them again
            log.warning("sweep.failed", job=job.uuid, state=job.state, error=type(error).__name__)


def _authorised(job: Job) -> None:
    if job.dispatched is None:
        if clock.now() - job.updated >= patience(job):
            dispatch.reserve(job=job)
    elif late(job):
        _fail_silent(job, set(job.answers.values_list("node__slug", flat=True)), "did not answer")


def _reserved(job: Job) -> None:
    if late(job):
        end(job, _S.EXPIRED, reason=Reason.EXPIRED, detail="The nodes' reservations lapsed before the start.")
    elif clock.now() - job.updated >= PATIENCE:
        dispatch.start(job=job)


def _computing(job: Job) -> None:
    if late(job):
        _fail_silent(job, set(job.results.values_list("node__slug", flat=True)), "did not finish")


def _cancelling(job: Job) -> None:
    release_nodes(job)
    end(job, _S.CANCELLED)


def _recorded(job: Job) -> None:
    if _status(job) in (EntryStatus.MINED, EntryStatus.FINAL):
        transition(job, _S.ANCHORED)


def _anchored(job: Job) -> None:
    match _status(job):
        case EntryStatus.FINAL:
            transition(job, _S.FINAL)
        case EntryStatus.MINED:
            return
        case _:  # the chain was reorganised
            transition(job, _S.RECORDED)


_STEPS = {
    _S.AUTHORISED: _authorised,
    _S.RESERVED: _reserved,
    _S.COMPUTING: _computing,
    _S.CANCELLING: _cancelling,
    _S.RECORDED: _recorded,
    _S.ANCHORED: _anchored,
}


def _fail_silent(job: Job, heard: set[str], what: str) -> None:
    silent = ", ".join(node for node in job.nodes if node not in heard)
    end(job, _S.FAILED, reason=Reason.NODE_SILENT, detail=f"{silent} {what} in time.")


def _status(job: Job) -> EntryStatus:
    # The explanation is the later of the two entries: once it is anchored, the prediction is. Other kinds have one.
    last = job.prediction_entry if job.explanation_entry is None else job.explanation_entry
    assert last is not None
    return status(last)
