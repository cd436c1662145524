"""One job from its document to the fields of its answer."""

import math
import socket
import time
from functools import partial
from typing import Any, cast

import torch

from compute.engine import counting, streams, training
from compute.engine.arithmetic import Party
from compute.engine.certificates import Identity
from compute.engine.job import AnyJob, AuditJob, DealerJob, PartyJob, TrainJob
from compute.engine.lime import Explained, explain
from compute.engine.noise import gaussian
from compute.engine.perturbed import rows_of
from compute.engine.protocol import Protocol, parallel
from compute.engine.ranges import count_outside
from compute.engine.rows import Private, Rows, Stacked
from compute.engine.session import Session, Start, Tell, untold
from compute.engine.streams import Stream
from compute.engine.tabular import surrogate_of
from concordat import ring
from concordat.canonical import Json, b64, unb64
from concordat.design import read_design
from concordat.fields import plain
from concordat.kinds import KINDS
from concordat.kinds.kind import Kind
from concordat.model import shapes_of
from concordat.reasons import Reason, Refused

Found = dict[str, Any]
"""How many bounds a record breaks, and this party's shares of what is `Explained` of it; of an audit of its
counts, of a training of the new weights."""


def execute(job: AnyJob, identity: Identity, listener: socket.socket, tell: Tell = untold) -> dict[str, Json]:
    """Compute or deal, as the job says; shares come back as base64url of little-endian int64 at 2^24, or of counts.

    A record out of its range has no outputs; those of the others, which may be other people's, are not touched by it.

    Raises:
        Refused: for a share or design that does not fit the model, before anything is sent; and as in `session`.
    """
    began, cpu_began = time.monotonic(), time.process_time()
    starts = _starts(job)
    found: list[Found] = []
    with Session(job, identity, listener, tell) as session:
        if starts:
            parties = session.supply(starts, cast(PartyJob | AuditJob | TrainJob, job)["dealt"])
            dealt = time.monotonic()
            found = session.compute([start(party) for start, party in zip(starts, parties, strict=True)])
        else:
            session.deal(cast(DealerJob, job)["dealt"])
            dealt = time.monotonic()
        computed = time.monotonic()
        session.leave()
    others = [peer for peer in range(job["parties"] + 1) if peer != job["rank"]]
    return {
        "ok": True,
        "outputs": [_written(each) for each in found],
        "rounds": session.rounds,
        "bytes_sent": session.wires.bytes_sent,
        "conversations": [
            {
                "peer": peer,
                "sent": b64(b"".join(session.wires.sent[peer])),
                "received": b64(b"".join(session.wires.received[peer])),
            }
            for peer in others
        ],
        "seeds": [
            {"key": b64(seeds.key), "drawn": [{"peer": peer, "key": b64(key)} for peer, key in seeds.drawn.items()]}
            for seeds in session.seeds
        ],
        "batches": [plain(each) for each in session.batches],
        "cpu_seconds": f"{time.process_time() - cpu_began:.3f}",
        "seconds": f"{time.monotonic() - began:.3f}",
        "seconds_offline": f"{dealt - began:.3f}",
        "seconds_online": f"{computed - dealt:.3f}",
    }


def _starts(job: AnyJob) -> list[Start[Found]]:
    if job["role"] == "dealer":
        return []
    if "steps" in job:
        return [prepare_training(cast(TrainJob, job))]
    return [prepare_audit(cast(AuditJob, job))] if "members" in job else prepare(cast(PartyJob, job))


def prepare(job: PartyJob) -> list[Start[Found]]:
    """The protocol of each record, ready to be started by the party whose shares these are.

    Raises:
        Refused: FIELD_INVALID naming the field that does not fit the others.
    """
    kind = _kind(job)
    if job["target"] not in kind.targets:
        raise Refused(Reason.FIELD_INVALID, detail="This kind of model is not explained on this scale.", field="target")
    design = read_design(job["design"])
    surrogate_of(design, torch.zeros(design.secrets, dtype=torch.int64), job["what_ifs"]).check(job["target"])
    columns = len(design.columns)
    tensors = _tensors(job, columns)
    lengths = [(1 + job["what_ifs"]) * columns, design.secrets]
    records = [torch.from_numpy(_share(each, sum(lengths), "records")) for each in job["records"]]
    ends = [_bounds(job[name], columns, name).repeat(1 + job["what_ifs"]) for name in ("lowest", "highest")]

    def start(shared: torch.Tensor, party: Party) -> Protocol[Found]:
        record, secret = torch.split(shared, lengths)
        x, more = torch.split(record.reshape(-1, columns), [1, job["what_ifs"]])
        rows: Rows = rows_of(design, x[0])
        if job["what_ifs"]:
            rows = Stacked((rows, Private(more)))
        return parallel(
            {
                "outside": count_outside(party, record, *ends),
                "explained": explain(
                    party,
                    job["kind"],
                    tensors,
                    rows,
                    surrogate_of(design, secret, job["what_ifs"]),
                    job["target"],
                    clamped=job["clamped"],
                ),
            }
        )

    return [partial(start, record) for record in records]


def prepare_audit(job: AuditJob) -> Start[Found]:
    """The protocol of an audit, ready to be started by the party whose rows and model share these are.

    Raises:
        Refused: FIELD_INVALID naming the field that does not fit the others.
    """
    if _kind(job).several:
        raise Refused(Reason.FIELD_INVALID, detail="What tells several classes apart is not audited.", field="kind")
    tensors, (records, members) = _tensors(job, job["columns"]), _brought(job)

    def start(party: Party) -> Protocol[Found]:
        rows, groups = (counting.share_own(party, job["parties"], part) for part in (records, members))
        counts = yield from counting.count(
            party,
            job["kind"],
            tensors,
            rows,
            groups,
            thresholds=[float(each) for each in job["thresholds"]],
            smallest=job["smallest"],
        )
        return {"counts": counts}

    return start


def prepare_training(job: TrainJob) -> Start[Found]:
    """The protocol of a training, ready to be started by the party whose rows these are. Its noise is drawn now, from a
    key that is written nowhere.

    Raises:
        Refused: FIELD_INVALID naming the field that does not fit the others.
    """
    records, members = _brought(job)
    rows = torch.cat([records, members.sum(dim=1, keepdim=True) << ring.BITS], dim=1)
    noise = gaussian(Stream(streams.new_key()), rows.shape[1], job["deviation"])

    def start(party: Party) -> Protocol[Found]:
        outside, fitted = yield from training.train(
            party,
            counting.share_own(party, job["parties"], rows),
            counting.share_own(party, job["parties"], members[:, 1]),
            steps=job["steps"],
            step=job["step"],
            decay=job["decay"],
            noise=noise,
            largest=torch.full_like(noise, job["largest"]),
        )
        return {"outside": outside, "weights": fitted}

    return start


def _brought(job: AuditJob | TrainJob) -> list[torch.Tensor]:
    """(rows, columns) records and (rows, 2G) members of this party's own."""
    parts = (("records", job["records"], job["columns"]), ("members", job["members"], 2 * job["groups"]))
    return [torch.from_numpy(_share(text, job["rows"] * width, name)).reshape(-1, width) for name, text, width in parts]


def _kind(job: PartyJob | AuditJob) -> Kind:
    if job["kind"] not in KINDS:
        raise Refused(Reason.FIELD_INVALID, detail="The engine knows no such kind of model.", field="kind")
    return KINDS[job["kind"]]


def _tensors(job: PartyJob | AuditJob, columns: int) -> dict[str, torch.Tensor]:
    """This party's shares of the model, by name."""
    shapes = [(tensor["name"], tuple(tensor["shape"])) for tensor in job["tensors"]]
    if shapes != shapes_of(job["kind"], dict(shapes), columns):
        raise Refused(Reason.FIELD_INVALID, detail="These are not this kind's tensors.", field="tensors")
    sizes = [math.prod(shape) for _, shape in shapes]
    flat = torch.from_numpy(_share(job["model"], sum(sizes), "model"))
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes, torch.split(flat, sizes), strict=True)}


def _written(found: Found) -> dict[str, Json] | None:
    """This party's shares, to be sealed; None of a record, or of weights, out of range."""
    if "counts" in found:
        return {"counts": b64(ring.to_bytes(found["counts"].numpy()))}
    if found["outside"]:
        return None
    if "weights" in found:
        return {"weights": b64(ring.to_bytes(found["weights"].numpy()))}
    return _outputs(found["explained"])


def _outputs(explained: Explained) -> dict[str, Json]:
    return {name: b64(ring.to_bytes(share.numpy())) for name, share in vars(explained).items()}


def _share(text: str, length: int, field: str) -> ring.Ring:
    try:
        return ring.from_bytes(unb64(text), (length,))
    except Refused as error:
        raise Refused(Reason.FIELD_INVALID, detail=error.detail, field=field) from None


def _bounds(numbers: list[int], length: int, field: str) -> torch.Tensor:
    if len(numbers) != length:
        raise Refused(Reason.FIELD_INVALID, detail="There is one number for each column.", field=field)
    return torch.tensor(numbers)
