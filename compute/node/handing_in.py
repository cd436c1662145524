"""What a node hands in of one request after a computation, and keeps of it: its part alone, whoever else was there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

import structlog

from compute.engine.runner import EngineResult
from compute.node.authority import Grant
from compute.node.tapes import JobTape
from concordat import figures, outputs, receipt
from concordat.audit_plan import AuditPlan
from concordat.canonical import digest, unb64
from concordat.definition import nodes
from concordat.fields import plain
from concordat.keystore import Keystore
from concordat.model import seal_trained
from concordat.reasons import Reason, Refused

WATTS = Decimal(15)
"""What a busy processor core and its share of the machine are taken to draw: stated, not measured."""

log = structlog.get_logger()


@dataclass(frozen=True, repr=False)
class Computed:
    """What the engine brought back of all that was computed together."""

    started: datetime
    finished: datetime
    result: EngineResult


@dataclass(frozen=True, repr=False)
class _Made:
    """What a node commits to in its receipt, and hands in sealed. The dealer makes nothing."""

    outputs: Sequence[receipt.Outputs] | None = None
    counts: str = ""
    weights: str = ""
    sealed: str | None = None


def sign_result(grant: Grant, computed: Computed, *, node: str, keys: Keystore) -> tuple[str, str | None]:
    """The receipt (JWS) for one request, and its output shares sealed to its requester, or to ourselves if
    they are weights; None from the dealer.

    Raises:
        Refused: INPUT_OUT_OF_RANGE if a record of the request is; MODEL_OUT_OF_RANGE if weights that were learnt are.
    """
    made = _Made() if not computed.result.outputs else _made(grant, computed.result, node=node, keys=keys)
    result = computed.result
    cpu_seconds = Decimal(result.cpu_seconds)
    token = receipt.write(
        grant.ticket,
        node=node,
        rounds=result.rounds,
        bytes_sent=result.bytes_sent,
        cpu_seconds=cpu_seconds,
        energy_joules=cpu_seconds * WATTS,
        transcripts={
            nodes(grant.ticket)[each["peer"]]: {
                "sent": digest(unb64(each["sent"])),
                "received": digest(unb64(each["received"])),
            }
            for each in result.conversations
        },
        outputs=made.outputs,
        counts=made.counts,
        weights=made.weights,
        started=computed.started,
        finished=computed.finished,
        key=keys.identity,
    )
    log.info("job.computed", job=grant.ticket["job"], rounds=result.rounds, bytes_sent=result.bytes_sent)
    return token, made.sealed


def tape_of(grant: Grant, result: EngineResult) -> JobTape:
    """What is kept for a day, in case that a canary of this request came back wrong."""
    return {
        "model": grant.ticket["model"],
        "request": grant.ticket["request"],
        "name": grant.request["request"],
        "requester": grant.request["requester"],
        "commitments": grant.request["commitments"],
        "seeds": list(result.seeds[_runs(grant)]),
        "conversations": list(result.conversations),
    }


def _runs(grant: Grant) -> slice:
    first = grant.ticket["runs"]["first"]
    return slice(first, first + grant.runs)


def _made(grant: Grant, result: EngineResult, *, node: str, keys: Keystore) -> _Made:
    job, output_key = grant.ticket["job"], grant.request["output_key"]
    if isinstance(grant.plan, AuditPlan):
        counts, sealed = figures.seal_counts(_only(result, "counts"), job=job, node=node, output_key=output_key)
        return _Made([], counts=counts, sealed=sealed)
    if grant.plan is not None:
        weights, sealed = seal_trained(
            _only(result, "weights"), job=job, party=node, **grant.plan.result, public=keys.sealing.public
        )
        return _Made([], weights=weights, sealed=sealed)
    records = [
        (unb64(each["prediction"]), unb64(each["explanation"]))
        for each in result.outputs[_runs(grant)]
        if each is not None and "prediction" in each
    ]
    if len(records) < grant.runs:
        raise Refused(Reason.INPUT_OUT_OF_RANGE)
    committed, sealed = outputs.seal_outputs(job=job, node=node, records=records, output_key=output_key)
    return _Made(committed, sealed=sealed)


def _only(result: EngineResult, name: Literal["counts", "weights"]) -> bytes:
    """This party's share of the one thing that came out. Raises Refused: MODEL_OUT_OF_RANGE if it is weights that grew
    too large; ENGINE_FAILED if the engine brought something else."""
    (only,) = result.outputs
    if only is None:
        raise Refused(Reason.MODEL_OUT_OF_RANGE)
    share = plain(only).get(name)
    if not isinstance(share, str):
        raise Refused(Reason.ENGINE_FAILED)
    return unb64(share)
