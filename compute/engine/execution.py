"""One job from its document to the fields of its answer."""

import math
import socket
import time
from collections.abc import Callable
from typing import cast

import torch

from compute.engine import session
from compute.engine.job import EngineJob, PartyJob
from compute.engine.lime import Explained, explain
from compute.engine.models import FORWARD
from concordat import ring
from concordat.canonical import Json, b64, unb64
from concordat.design import Design
from concordat.model import KINDS
from concordat.reasons import Reason, Refused


def execute(job: EngineJob, listener: socket.socket | None) -> dict[str, Json]:
    """Compute or deal, as the job says; shares come back as base64url of little-endian int64 at 2^16.

    Raises:
        Refused: for a share or design that does not fit the model, before anything is sent; and as in `session`.
    """
    began, cpu_began = time.monotonic(), time.process_time()
    outputs: dict[str, Json] = {"prediction": None, "explanation": None}
    if job["role"] == "party":
        compute = _prepare(cast(PartyJob, job))
        mesh = session.connect(job, listener)
        with session.party(mesh):
            explained = compute()
        outputs = {name: b64(ring.to_bytes(share.numpy())) for name, share in vars(explained).items()}
    else:
        mesh = session.connect(job, None)
        session.deal(mesh)
    return outputs | {
        "ok": True,
        "rounds": mesh.rounds,
        "bytes_sent": mesh.bytes_sent,
        "cpu_seconds": f"{time.process_time() - cpu_began:.3f}",
        "seconds": f"{time.monotonic() - began:.3f}",
    }


def _prepare(job: PartyJob) -> Callable[[], Explained]:
    if job["kind"] not in FORWARD:
        raise Refused(Reason.FIELD_INVALID, detail="The engine knows no such kind of model.", field="kind")
    design = Design.from_json(job["design"])
    columns = design.column_masks.shape[1]
    shapes = KINDS[job["kind"]].shapes(columns)
    if [(tensor["name"], tuple(tensor["shape"])) for tensor in job["tensors"]] != shapes:
        raise Refused(Reason.FIELD_INVALID, detail="These are not this kind's tensors.", field="tensors")
    sizes = [math.prod(shape) for _, shape in shapes]
    flat = torch.from_numpy(_share(job["model"], sum(sizes), "model"))
    tensors = {name: part.reshape(shape) for (name, shape), part in zip(shapes, torch.split(flat, sizes), strict=True)}
    x = torch.from_numpy(_share(job["input"], columns, "input"))
    return lambda: explain(job["kind"], tensors, x, design)


def _share(text: str, length: int, field: str) -> ring.Ring:
    try:
        return ring.from_bytes(unb64(text), (length,))
    except Refused as error:
        raise Refused(Reason.FIELD_INVALID, detail=error.detail, field=field) from None
