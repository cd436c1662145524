"""Take in what the nodes computed, record it, and give it to the requester alone, while authority lasts."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from compute.models import Display, Job, PartyResult
from compute.selectors import request_of
from compute.services import batches
from compute.services.dispatch import begin_computing, read_own_ticket
from compute.services.jobs import private_fields
from compute.services.states import lock, transition
from compute.services.waiting import call_next
from concordat import clock
from concordat.canonical import Json, digest
from concordat.definition import Kind
from concordat.display import check_viewer, read_display
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.receipt import Receipt, check_receipts, read_receipt
from concordat.request import peek_request
from concordat.states import AVAILABLE, JobState
from governance import ended, verdict
from governance import selectors as governance
from governance.models import Institution
from ledger.selectors import document
from ledger.services.record import record

_S = JobState

_OF_MANY: Mapping[Kind, Event] = {"audit": Event.AUDIT_RECORDED, "train": Event.TRAINING_RECORDED}


@dataclass(frozen=True)
class NodeOutput:
    """One node's receipt (JWS) and, from a compute party, its sealed output shares (else empty)."""

    node: str
    receipt: str
    sealed: str


@dataclass(frozen=True)
class Release:
    """Everything the requester needs to open a result and to verify it, the nodes in the order of their ranks."""

    job: Job
    outputs: tuple[NodeOutput, ...]


@transaction.atomic
def take_result(*, job: Job, node: Institution, receipt: str, sealed: str | None) -> Job:
    """Keep a node's receipt and sealed output. The same again is no harm.

    With the last one the result is recorded, or withheld: because receipts disagree, or because authority has ended.

    Raises:
        Refused: what :func:`concordat.receipt.read_receipt` refuses; WRONG_INSTITUTION for another node's receipt;
            FIELD_INVALID if a party hands in no output or the dealer one; CONFLICT for a receipt of another job or a
            second, different one; WRONG_STATE when nothing is awaited.
    """
    locked = lock(job)
    statement = read_receipt(receipt, governance.keyring(locked.nodes))
    if statement["node"] != node.slug:
        raise Refused(Reason.WRONG_INSTITUTION, detail="This is another node's receipt.", field="node")
    if (sealed is None) != (statement["outputs"] is None):
        raise Refused(Reason.FIELD_INVALID, detail="A party hands in a sealed output, the dealer none.", field="sealed")
    if (statement["job"], statement["ticket"]) != (str(locked.uuid), read_own_ticket(locked)["ticket"]):
        raise Refused(Reason.CONFLICT, detail="This is the receipt of another job.", field="ticket")
    known = locked.results.filter(node=node).first()
    if known is not None and (known.receipt, known.sealed) == (receipt, sealed or ""):
        return locked
    if known is not None:
        raise Refused(Reason.CONFLICT, detail="This node has handed in something else.", field="receipt")
    computing = begin_computing(locked)
    if computing.job_state is not _S.COMPUTING:
        raise Refused(Reason.WRONG_STATE, detail=f"The job is {computing.state}.", field="state")
    PartyResult.objects.create(job=computing, node=node, receipt=receipt, sealed=sealed or "", received=clock.now())
    outputs = _outputs(computing)
    if len(outputs) < len(computing.nodes):
        return computing
    finished = _finish(computing, outputs)
    transaction.on_commit(lambda: call_next(finished))
    return finished


def release(*, job: Job, by: Institution) -> Release:
    """The recorded result, for the institution that asked for it.

    Raises:
        Refused: WRONG_INSTITUTION; RESULT_NOT_READY; RESULT_WITHHELD if authority ended before the result was recorded,
            AUTHORITY_ENDED if it did later; RECEIPTS_DISAGREE; ERASED once the subject's key is destroyed; the reason
            for which the job ended without a result.
    """
    job.refresh_from_db()
    _check_requester(job, by)
    if job.job_state in (_S.REFUSED, _S.FAILED, _S.EXPIRED, _S.CANCELLED, _S.WITHHELD):
        raise Refused(Reason(job.reason or Reason.WRONG_STATE), detail=job.detail)
    if job.job_state not in AVAILABLE:
        raise Refused(Reason.RESULT_NOT_READY, detail=f"The job is {job.state}.")
    request = request_of(job)
    if verdict.epoch(request) != job.epoch:
        raise Refused(Reason.AUTHORITY_ENDED, detail=ended.why(request))
    return Release(job, _outputs(job))


@transaction.atomic
def note_display(*, job: Job, display: str, by: Institution) -> None:
    """Log what the requester says it has shown to which role, or kept or took back, and what was made of it. The same
    again is no harm.

    Raises:
        Refused: WRONG_INSTITUTION; what :func:`concordat.display.read_display` and `check_viewer` refuse; CONFLICT for
            the receipt of another job; WRONG_STATE before there is a result.
    """
    locked = lock(job)
    _check_requester(locked, by)
    statement = read_display(display, governance.keyring([by.slug]).get(by.slug, {}))
    if (statement["job"], statement["request"]) != (str(locked.uuid), str(locked.request_uuid)):
        raise Refused(Reason.CONFLICT, detail="This is the display receipt of another job.", field="job")
    check_viewer(statement["viewer"])
    if locked.job_state not in AVAILABLE:
        raise Refused(Reason.WRONG_STATE, detail=f"The job is {locked.state}.", field="state")
    _, new = Display.objects.get_or_create(digest=digest(display.encode()), defaults={"job": locked})
    if new:
        record(
            event=Event.RESULT_DISPLAYED,
            public={"job": str(locked.uuid), "request": str(locked.request_uuid), "institution": by.slug},
            private={"display": display},
            subject=UUID(peek_request(request_of(locked))["subject"]),
        )


def _finish(job: Job, outputs: tuple[NodeOutput, ...]) -> Job:
    """Record the result, or withhold it for whatever forbids that. Never refuses the receipt that came last: it may be
    another one that is to blame."""
    tokens = [output.receipt for output in outputs]
    keys = governance.keyring(job.nodes)
    try:
        with transaction.atomic():
            receipts = check_receipts(tokens, keys, request=job.request_digest, definition=job.definition.content)
            returned = transition(job, _S.RETURNED)
            if verdict.epoch(request_of(job)) != job.epoch:
                raise Refused(Reason.RESULT_WITHHELD, detail=ended.why(request_of(job)))
            return _record(returned, tokens, receipts)
    except Refused as refused:
        particular = "" if refused.detail == refused.info.sentence else refused.detail
        return _withhold(job, tokens, refused.reason, particular[:200])


def _record(job: Job, tokens: list[str], receipts: dict[str, Receipt]) -> Job:
    """One entry for the prediction and one for the explanation, or one for an audit or a training, in the transaction
    that makes the job recorded."""
    statement = request_of(job)
    request = peek_request(statement)
    public: dict[str, Json] = {
        "job": str(job.uuid),
        "request": str(job.request_uuid),
        "definition": job.definition.digest,
        "model": job.model.digest,
        "study": job.definition.study.slug,
        "institution": job.requester.slug,
    }
    parties = [receipt for receipt in receipts.values() if receipt["outputs"] is not None]
    design = job.definition.content["design"]
    costs: dict[str, Json] = {
        "rounds": max(receipt["rounds"] for receipt in parties),
        "bytes": sum(receipt["bytes_sent"] for receipt in receipts.values()),
    }
    if (event := _OF_MANY.get(job.definition.content["kind"])) is not None:
        only = record(
            event=event,
            public={**public, **costs, "design": design},
            private=private_fields(request, statement),
            documents={"receipts": tokens, "ticket": job.ticket, "design": document(design)},
        )
        Job.objects.filter(pk=job.pk).update(prediction_entry=only.index)
        return transition(job, _S.RECORDED)
    prediction = record(
        event=Event.PREDICTION_RECORDED,
        public={**public, **costs},
        private=private_fields(request, statement),
        subject=UUID(request["subject"]),
        documents={"receipts": tokens, "ticket": job.ticket},
    )
    explanation = record(
        event=Event.EXPLANATION_RECORDED,
        public={**public, "prediction": prediction.index},
        private={"subject": request["subject"]},
        subject=UUID(request["subject"]),
        documents={"receipts": tokens, "design": document(design)},
    )
    batches.note_dealt(job, read_own_ticket(job))
    Job.objects.filter(pk=job.pk).update(prediction_entry=prediction.index, explanation_entry=explanation.index)
    return transition(job, _S.RECORDED)


def _withhold(job: Job, tokens: list[str], reason: Reason, detail: str) -> Job:
    """Record that there was a result which nobody will see, and destroy the sealed shares of it."""
    job.results.update(sealed="")
    withheld = transition(job, _S.WITHHELD, reason=reason, detail=detail)
    record(
        event=Event.RESULT_WITHHELD,
        public={
            "job": str(job.uuid),
            "request": str(job.request_uuid),
            "definition": job.definition.digest,
            "reason": reason.value,
            "epoch": verdict.epoch(request_of(job)),
        },
        documents={"receipts": tokens},
    )
    return withheld


def _outputs(job: Job) -> tuple[NodeOutput, ...]:
    kept = {result.node.slug: result for result in job.results.select_related("node")}
    return tuple(NodeOutput(node, kept[node].receipt, kept[node].sealed) for node in job.nodes if node in kept)


def _check_requester(job: Job, by: Institution) -> None:
    if job.requester != by:
        raise Refused(Reason.WRONG_INSTITUTION, detail="The job is another institution's.")
