"""How a job ends without a result, and how the nodes hear of it."""

from contextlib import suppress

from django.db import transaction

from compute import broker
from compute.models import Job
from compute.services.states import transition
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.states import JobState
from governance.services import budgets
from ledger.services.record import record


@transaction.atomic
def end(job: Job, to: JobState, *, reason: Reason | None = None, detail: str = "") -> Job:
    """End an authorised job as refused, failed, expired or cancelled; give back what it took of its definition's
    budgets, for nothing was opened; log it with what the nodes answered; let go of the nodes.

    Raises:
        Refused: WRONG_STATE if the job cannot end in this way any more.
    """
    ended = transition(job, to, reason=reason, detail=detail)
    budgets.refund(definition=ended.definition, requester=ended.requester, spent=ended.created)
    record(
        event=Event.JOB_ENDED,
        public={
            "job": str(ended.uuid),
            "request": str(ended.request_uuid),
            "definition": ended.definition.digest,
            "state": to.value,
            "reason": reason.value if reason else "",
        },
        documents={"answers": list(ended.answers.values_list("document", flat=True))},
    )
    transaction.on_commit(lambda: _let_go(ended))
    return ended


def release_nodes(job: Job) -> None:
    """Tell every node of the job's ticket to drop it. Raises Refused(BROKER_UNAVAILABLE)."""
    if job.ticket:
        for node in job.nodes:
            broker.to_node("node.release", str(job.uuid), institution=node)


def _let_go(job: Job) -> None:
    with suppress(Refused):  # without a broker, reservations lapse by themselves
        release_nodes(job)
