"""Erasure of a person, through all that the coordinator holds: the one verb that operators call."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from django.db import transaction

from compute.models import Job
from compute.services import holders, suspensions
from compute.services.endings import end
from compute.services.states import lock
from concordat.reasons import Reason
from concordat.states import AVAILABLE, JobState, ended
from governance.services import consent
from ledger import selectors as ledger
from ledger.models import LogEntry
from ledger.services import subjects


@transaction.atomic
def erase_subject(*, institution: str, subject: UUID, ground: str) -> LogEntry:
    """Erase one person, known to the institution under this pseudonym (GDPR, article 17).

    What runs for the person ends, its sealed shares and those of its results are deleted, consents lose the person and
    their text, packages that reopen decisions are blanked, and the key under which the log keeps private fields is
    destroyed. Proofs stay, and say nothing. Institutions that were given what was disclosed are told (article 19).

    Args:
        ground: why; it stands in the log in the clear, so it names no person.

    Raises:
        Refused: LEGAL_HOLD and RETENTION_DUTY, naming their ground and end; NOT_FOUND for an unknown subject; ERASED if
            it was erased before.
    """
    return _erase(institution, subject, partial(subjects.destroy, ground=ground))


@transaction.atomic
def erase_again(*, institution: str, subject: UUID) -> LogEntry:
    """Erase a person who had been erased, and whom a restored backup has brought back. Nothing forbids it any more.

    Raises Refused: as `ledger.services.subjects.destroy_again`.
    """
    return _erase(institution, subject, subjects.destroy_again)


def _erase(institution: str, subject: UUID, destroy: Callable[..., LogEntry]) -> LogEntry:
    _erase_jobs(institution, subject)
    consent.forget(institution=institution, subject=subject)
    suspensions.forget(institution, subject)
    destroyed = destroy(institution=institution, subject=subject)
    # Nobody else writes to the log from here on: what began, or was handed out, just before is erased and told as well.
    _erase_jobs(institution, subject)
    holders.tell(holders.of_subject(institution, subject), destroyed)
    return destroyed


def _erase_jobs(institution: str, subject: UUID) -> None:
    about = ledger.about(institution, subject).values_list("index", flat=True)
    for job in Job.objects.filter(verdict__in=list(about)):
        _erase_job(lock(job))


def _erase_job(job: Job) -> None:
    if not ended(job.job_state) and job.job_state not in AVAILABLE:
        end(job, JobState.FAILED, reason=Reason.ERASED)
    job.inputs.all().delete()
    job.results.update(sealed="")
    job.packages.exclude(content="").update(content="")
