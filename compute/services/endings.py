"""How a job ends without a result; how its nodes hear of it, and what was to be computed together with it."""

from contextlib import suppress
from functools import partial

from django.db import transaction

from compute.models import Job
from compute.services.states import lock, transition
from compute.services.waiting import call_next, late, move_on, put_back, release_nodes, together
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
    _leave_the_others(ended)
    return ended


def _leave_the_others(ended: Job) -> None:
    """What was to be computed together with it waits again, by itself, unless it is as late; if all nodes have accepted
    it, it does not wait for this one any longer. Nodes keep back what fell out, and compute the others."""
    for each in together(ended):
        if each.pk == ended.pk:
            continue
        other = lock(each)
        if other.job_state is JobState.RESERVED:
            transaction.on_commit(partial(move_on, other))
        elif other.job_state is JobState.AUTHORISED and not late(other):
            put_back(other, Reason.COMPANION_REFUSED)


def _let_go(job: Job) -> None:
    with suppress(Refused):  # without a broker, reservations lapse by themselves
        release_nodes(job)
    call_next(job)
