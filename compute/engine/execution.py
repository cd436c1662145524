"""One job from its document to the fields of its answer."""

import math
import socket
import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch

from compute.engine.arithmetic import Party
from compute.engine.certificates import Identity
from compute.engine.job import EngineJob, PartyJob
from compute.engine.lime import Surrogate, explain
from compute.engine.protocol import Protocol, parallel
from compute.engine.ranges import count_outside
from compute.engine.rows import Masked
from compute.engine.session import Session
from compute.engine.wires import Wires
from concordat import ring
from concordat.canonical import Json, b64, digest_text, unb64
from concordat.design import Design
from concordat.kinds import KINDS
from concordat.model import shapes_of
from concordat.reasons import Reason, Refused

Start = Callable[[Party], Protocol[dict[str, Any]]]


def execute(job: EngineJob, identity: Identity, listener: socket.socket) -> dict[str, Json]:
    """Compute or deal, as the job says; shares come back as base64url of little-endian int64 at 2^24.

    Raises:
        Refused: for a share or design that does not fit the model, before anything is sent; INPUT_OUT_OF_RANGE; and as
        in
            `session`.
    """
    began, cpu_began = time.monotonic(), time.process_time()
    outputs: dict[str, Json] = {"prediction": None, "explanation": None}
    outside = 0
    start = _prepare(cast(PartyJob, job)) if job["role"] == "party" else None
    with Session(job, identity, listener) as session:
        if start is None:
            session.deal()
            dealt = time.monotonic()
        else:
            party = session.supply(start)
            dealt = time.monotonic()
            found = session.compute(start(party))
            outside = found["outside"]
            outputs = {name: b64(ring.to_bytes(share.numpy())) for name, share in vars(found["explained"]).items()}
        computed = time.monotonic()
        session.leave()
    if outside:  # all parties know it, and have parted
        raise Refused(Reason.INPUT_OUT_OF_RANGE)
    return outputs | {
        "ok": True,
        "rounds": session.rounds,
        "bytes_sent": session.wires.bytes_sent,
        "transcripts": [_transcript(session.wires, peer) for peer in range(job["parties"] + 1) if peer != job["rank"]],
        "cpu_seconds": f"{time.process_time() - cpu_began:.3f}",
        "seconds": f"{time.monotonic() - began:.3f}",
        "seconds_offline": f"{dealt - began:.3f}",
        "seconds_online": f"{computed - dealt:.3f}",
    }


def _transcript(wires: Wires, peer: int) -> dict[str, Json]:
    sent, received = wires.transcript(peer)
    return {"peer": peer, "sent": digest_text(sent), "received": digest_text(received)}


def _prepare(job: PartyJob) -> Start:
    if job["kind"] not in KINDS:
        raise Refused(Reason.FIELD_INVALID, detail="The engine knows no such kind of model.", field="kind")
    if job["target"] == "log-odds" != KINDS[job["kind"]].scale:
        raise Refused(Reason.FIELD_INVALID, detail="This kind of model has no log-odds.", field="target")
    design = Design.from_json(job["design"])
    surrogate = Surrogate.of(design)
    surrogate.check(job["target"])
    columns = design.column_masks.shape[1]
    shapes = [(tensor["name"], tuple(tensor["shape"])) for tensor in job["tensors"]]
    if shapes != shapes_of(job["kind"], dict(shapes), columns):
        raise Refused(Reason.FIELD_INVALID, detail="These are not this kind's tensors.", field="tensors")
    sizes = [math.prod(shape) for _, shape in shapes]
    flat = torch.from_numpy(_share(job["model"], sum(sizes), "model"))
    tensors = {name: part.reshape(shape) for (name, shape), part in zip(shapes, torch.split(flat, sizes), strict=True)}
    x = torch.from_numpy(_share(job["input"], columns, "input"))
    masks = torch.from_numpy(np.vstack([np.ones_like(design.column_masks[:1]), design.column_masks]))
    lowest, highest = (_bounds(job[name], columns, name) for name in ("lowest", "highest"))

    def start(party: Party) -> Protocol[dict[str, Any]]:
        return parallel(
            {
                "outside": count_outside(party, x, lowest, highest),
                "explained": explain(
                    party, job["kind"], tensors, Masked(x, masks), surrogate, job["target"], clamped=job["clamped"]
                ),
            }
        )

    return start


def _share(text: str, length: int, field: str) -> ring.Ring:
    try:
        return ring.from_bytes(unb64(text), (length,))
    except Refused as error:
        raise Refused(Reason.FIELD_INVALID, detail=error.detail, field=field) from None


def _bounds(numbers: list[int], length: int, field: str) -> torch.Tensor:
    if len(numbers) != length:
        raise Refused(Reason.FIELD_INVALID, detail="There is one number for each column.", field=field)
    return torch.tensor(numbers)
