"""The coordinator's tasks: thin, and safe to run twice."""

import structlog
from celery import shared_task

from compute.models import Job
from compute.services import dispatch
from compute.services.sweep import sweep as sweep_jobs
from concordat.reasons import Refused

log = structlog.get_logger()


@shared_task(name="compute.dispatch")
def dispatch_job(job: str) -> None:
    """Take the next step of the job with this UUID."""
    try:
        dispatch.push(job=Job.objects.select_related("definition").get(uuid=job))
    except Refused as refused:  # the sweep was faster, or does it later
        log.info("dispatch.refused", job=job, reason=refused.reason.value)


@shared_task(name="compute.sweep")
def sweep() -> None:
    """Move on whatever stands still."""
    sweep_jobs()
