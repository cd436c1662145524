"""What a node hands in of one request after a computation, and keeps of it: its part alone, whoever else was there."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import structlog

from compute.engine.runner import EngineResult
from compute.node.authority import Grant
from compute.node.tapes import JobTape
from concordat import outputs, receipt
from concordat.canonical import digest, unb64
from concordat.definition import nodes
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey

WATTS = Decimal(15)
"""What a busy processor core and its share of the machine are taken to draw: stated, not measured."""

log = structlog.get_logger()


@dataclass(frozen=True, repr=False)
class Computed:
    """What the engine brought back of all that was computed together."""

    started: datetime
    finished: datetime
    result: EngineResult


def sign_result(grant: Grant, computed: Computed, *, node: str, key: SigningKey) -> tuple[str, str | None]:
    """The receipt (JWS) for one request, and its output shares sealed to its requester; None from the dealer.

    Raises:
        Refused: INPUT_OUT_OF_RANGE if a record of the request is.
    """
    result, committed, sealed = computed.result, None, None
    if result.outputs:
        records = [
            (unb64(each["prediction"]), unb64(each["explanation"]))
            for each in result.outputs[_runs(grant)]
            if each is not None
        ]
        if len(records) < len(grant.request["commitments"]):
            raise Refused(Reason.INPUT_OUT_OF_RANGE)
        committed, sealed = outputs.seal_outputs(
            job=grant.ticket["job"], node=node, records=records, output_key=grant.request["output_key"]
        )
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
        outputs=committed,
        started=computed.started,
        finished=computed.finished,
        key=key,
    )
    log.info("job.computed", job=grant.ticket["job"], rounds=result.rounds, bytes_sent=result.bytes_sent)
    return token, sealed


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
    return slice(first, first + len(grant.request["commitments"]))
