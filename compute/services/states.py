"""The only writer of a job's state."""

from datetime import datetime

from django.db import transaction

from compute.models import Job
from concordat import clock
from concordat.reasons import Reason
from concordat.states import JobState, check_transition

NEEDS_INPUT = frozenset({JobState.REQUESTED, JobState.AUTHORISED, JobState.RESERVED, JobState.COMPUTING})
"""In every other state the sealed inputs are gone."""


def lock(job: Job) -> Job:
    """The job as it is now, locked until the caller's transaction ends; there has to be one.

    What is computed together with it is locked as well, in one order, since the end of one may move the others.
    """
    if job.batch is not None:
        list(Job.objects.select_for_update().filter(batch=job.batch).order_by("pk").values_list("pk"))
    # On SQLite the lock is the IMMEDIATE transaction itself: one writer at a time.
    return (
        Job.objects.select_for_update(of=("self",))
        .select_related("definition__study", "model", "requester")
        .get(pk=job.pk)
    )


def note(job: Job, reason: Reason) -> None:
    """Say why a job stays where it is, so that whoever waits can see it. The next step clears it."""
    Job.objects.filter(pk=job.pk).update(reason=reason, updated=clock.now())


@transaction.atomic
def transition(
    job: Job, to: JobState, *, reason: Reason | None = None, detail: str = "", deadline: datetime | None = None
) -> Job:
    """Put the job into the state `to`, and answer it as it is then.

    Args:
        reason: why, where there is something to explain; it replaces the last one.
        deadline: until when the nodes have to do their part.

    Raises:
        Refused: WRONG_STATE if `to` may not follow the state in which the job is found.
    """
    locked = lock(job)
    check_transition(locked.job_state, to)
    locked.state = to
    locked.reason = reason or ""
    locked.detail = detail
    locked.deadline = deadline
    locked.updated = clock.now()
    locked.save(update_fields=["state", "reason", "detail", "deadline", "updated"])
    if to not in NEEDS_INPUT:
        locked.inputs.all().delete()
    return locked
