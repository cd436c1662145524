"""The coordinator's tasks: thin, and safe to run twice."""

from celery import shared_task

from compute.models import Job
from compute.services import dispatch
from compute.services.sweep import sweep as sweep_jobs


@shared_task(name="compute.dispatch")
def dispatch_job(job: str) -> None:
    """Take the next step of the job with this UUID."""
    dispatch.push(job=Job.objects.select_related("definition").get(uuid=job))


@shared_task(name="compute.sweep")
def sweep() -> None:
    """Move on whatever stands still."""
    sweep_jobs()
