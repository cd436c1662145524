"""A whole job in the clear, and its engines as threads of this process: real TLS, real shares, no start-up."""

import json
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from compute.engine.certificates import Identity
from compute.engine.execution import execute
from concordat import design, model, ring
from concordat.canonical import b64, unb64
from concordat.design import read_design
from concordat.outputs import read_numbers, sizes
from concordat.reasons import Refused
from concordat.schema import FeatureSchema

PARTIES = 3
DEALER = PARTIES
SCHEMA = FeatureSchema.from_json(
    json.loads((Path(__file__).parents[2] / "examples/heart_disease/schema.json").read_text())
)
COLUMNS = len(SCHEMA.columns)


@dataclass
class Case:
    """A plaintext record and model, and the shares that a run of the engines starts from."""

    kind: str
    record: np.ndarray
    tensors: dict[str, np.ndarray]
    target: str = "log-odds"
    clamped: bool = True
    others: list[np.ndarray] = field(default_factory=list)  # records of the same job, after `record`
    what_ifs: list[np.ndarray] = field(default_factory=list)  # predicted only, with every record
    document: dict = field(default_factory=lambda: design.build(SCHEMA, seed="tests"))

    def __post_init__(self):
        self.design = read_design(self.document)
        given = {name: np.shape(tensor) for name, tensor in self.tensors.items()}
        self.shapes = model.shapes_of(self.kind, given, COLUMNS)
        flat = model._flatten(self.tensors, self.shapes, self.kind)
        self.model_shares = ring.split(flat, PARTIES)
        self.records = [self.record, *self.others]
        encoded = [
            np.concatenate([ring.encode(np.concatenate([record, *self.what_ifs])), self.design.at(record).secret])
            for record in self.records
        ]
        self.input_shares = [ring.split(each, PARTIES) for each in encoded]

    @property
    def answers(self):
        kind = model.KINDS[self.kind]
        return kind.answers(kind.sizes(dict(self.shapes)))

    def job(self, rank, job, peers, *, ahead=0, dealt=None, startup_seconds=30, round_seconds=20):
        """`dealt` holds every engine's part of a batch, by rank."""
        common = {
            "job": job,
            "batch": job,
            "ahead": ahead,
            "dealt": dealt[rank] if dealt else None,
            "role": "dealer" if rank == DEALER else "party",
            "rank": rank,
            "parties": PARTIES,
            "peers": peers,
            "startup_seconds": startup_seconds,
            "round_seconds": round_seconds,
        }
        if rank == DEALER:
            return common
        return common | {
            "kind": self.kind,
            "target": self.target,
            "clamped": self.clamped,
            "tensors": [{"name": name, "shape": list(shape)} for name, shape in self.shapes],
            "design": self.document,
            "lowest": [-20 << 16] * COLUMNS,
            "highest": [20 << 16] * COLUMNS,
            "model": b64(ring.to_bytes(self.model_shares[rank])),
            "records": [b64(ring.to_bytes(shares[rank])) for shares in self.input_shares],
            "what_ifs": len(self.what_ifs),
        }

    def expected(self, place=0):
        """Of one record, in float64: predictions, coefficients with intercept, and the sums of squares."""
        record = self.records[place]
        prediction = model.forward(self.kind, self.tensors, np.stack([record, *self.what_ifs]))
        y = model.forward(self.kind, self.tensors, self.design.perturbed(record))
        if self.target != model.KINDS[self.kind].scale:
            prediction, y = (1 / (1 + np.exp(-log_odds)) for log_odds in (prediction, y))
        local, differences = self.design.at(record), y - prediction[0]
        fitted = local.operator / (1 << local.operator_bits) @ differences
        fitted[-1] += prediction[0]
        return prediction, fitted, local.squares(differences)


def random_case(kind, **kwargs):
    generator = np.random.default_rng(1)
    tensors = {name: 0.5 * generator.normal(size=shape) for name, shape in model.KINDS[kind].shapes(COLUMNS)}
    if "thresholds" in tensors:
        tensors["features"] = np.eye(COLUMNS)[generator.integers(0, COLUMNS, tensors["thresholds"].shape)]
    if kind == "forest":
        tensors["leaves"] = generator.uniform(size=tensors["leaves"].shape)
    return Case(kind, generator.normal(size=COLUMNS), tensors, **kwargs)


@dataclass
class Place:
    """Where an engine of this process listens."""

    identity: Identity = field(default_factory=Identity.create)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def endpoint(self):
        address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        return {"address": address, "certificate": b64(self.identity.certificate)}


def run_here(case, *, places=None, peers=None, **limits):
    """Every engine's answer, or the Refused that it ended with, by rank. `peers` may name others than the `places`."""
    places = places or [Place() for _ in range(DEALER + 1)]
    peers = peers or [place.endpoint for place in places]
    job = str(uuid.uuid4())

    def one(rank):
        try:
            with places[rank].listener as listener:
                return execute(case.job(rank, job, peers, **limits), places[rank].identity, listener)
        except Refused as refused:
            return refused

    with ThreadPoolExecutor(len(places)) as pool:
        return list(pool.map(one, range(len(places))))


def opened(case, answers, place=0):
    """What only the requester can do: add the shares of a record. Predictions (1 + w,) and the explanation."""
    return [ring.decode(numbers, ring.RESULT_BITS) for numbers in _added_up(case, answers, place)]


def opened_by_class(case, answers, place=0):
    """The same of several classes, as a requester reads it: an `Opened` for each."""
    groups = len(case.design.groups)
    return read_numbers(*_added_up(case, answers, place), groups=groups, target=case.target, answers=case.answers)


def _added_up(case, answers, place):
    groups, mirrored = len(case.design.groups), case.design.mirrored
    lengths = sizes(groups, mirrored=mirrored, what_ifs=len(case.what_ifs), answers=case.answers)
    outputs = [answer["outputs"][place] for answer in answers[:PARTIES]]
    return [
        ring.combine([ring.from_bytes(unb64(each[part]), (length,)) for each in outputs])
        for part, length in lengths.items()
    ]
