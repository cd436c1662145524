"""One measured run of the secure explanation: `python -m bench.secure_job KIND N` prints it as JSON.

A process of its own for each run, so that the peak memory of its children is that of this run's engines.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
import timeit
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compute.engine.job import Endpoint
from compute.engine.runner import EngineProcess, EngineResult
from concordat import design, model, ring
from concordat.canonical import Json, b64
from concordat.design import Design
from concordat.fields import plain
from concordat.reasons import Refused
from concordat.schema import FeatureSchema

PARTIES = 3
DEALER = PARTIES
SCHEMA = Path(__file__).parents[1] / "examples/heart_disease/schema.json"
SEED = 1
RANGE = 20
"""Every column of the record lies between -20 and 20."""

PATIENCE = 120
"""Seconds for every wait: far above any measured time, so a run ends also where an engine hangs."""
BASELINE_RUNS = 200

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outputs:
    """What a job computes: `prediction` (1,), `explanation` (d + 2,) coefficients, intercept, total sum of squares."""

    prediction: Floats
    explanation: Floats

    def shown(self, design: Design) -> Floats:
        """(d + 3,) the numbers that a person gets to see: prediction, coefficients, intercept, R²."""
        *coefficients, intercept, total = self.explanation
        r_squared = design.fit(np.array(coefficients), intercept, total).r_squared
        return np.array([*self.prediction, *coefficients, intercept, r_squared])


class Case:
    """A random record and model, the design with n perturbations, and the shares that the engines start from."""

    def __init__(self, kind: str, n: int) -> None:
        schema = FeatureSchema.from_json(json.loads(SCHEMA.read_text()))
        generator = np.random.default_rng(SEED)
        self.kind, self.target = kind, model.KINDS[kind].scale
        self.shapes = model.KINDS[kind].shapes(len(schema.columns))
        self.tensors = {name: 0.5 * generator.normal(size=shape) for name, shape in self.shapes}
        if kind == "forest":
            self.tensors["leaves"] = generator.uniform(size=self.tensors["leaves"].shape)
        if "thresholds" in self.tensors:
            chosen = generator.integers(0, len(schema.columns), self.tensors["thresholds"].shape)
            self.tensors["features"] = np.eye(len(schema.columns))[chosen]
        self.record = generator.normal(size=len(schema.columns))
        self.document = design.build(schema, seed="bench", n=n)
        self.design = Design.from_json(self.document)
        self._operator = self.design.operator / (1 << design.OPERATOR_BITS)
        self._weights = self.design.weights / (1 << design.WEIGHT_BITS)
        bits = {name: 0 if name in model.KINDS[kind].whole else ring.BITS for name in self.tensors}
        encoded = [np.ravel(ring.encode(self.tensors[name], bits[name])) for name, _ in self.shapes]
        self._models = ring.split(np.concatenate(encoded), PARTIES)
        self._records = ring.split(ring.encode(self.record), PARTIES)

    def plaintext(self) -> Outputs:
        """The baseline: the same numbers in float64 with numpy, from weights, record and design in the clear."""
        prediction = model.forward(self.kind, self.tensors, self.record[None])
        y = model.forward(self.kind, self.tensors, self.design.column_masks * self.record)
        total = self._weights @ (y - np.average(y, weights=self._weights)) ** 2
        return Outputs(prediction, np.append(self._operator @ y, total))

    def job(self, rank: int, job: str, peers: list[Endpoint]) -> Mapping[str, Json]:
        """What the engine of this rank is told."""
        common: dict[str, Json] = {
            "job": job,
            "batch": job,
            "role": "dealer" if rank == DEALER else "party",
            "rank": rank,
            "parties": PARTIES,
            "peers": [dict(plain(peer)) for peer in peers],
            "startup_seconds": PATIENCE,
            "round_seconds": PATIENCE,
        }
        if rank == DEALER:
            return common
        return common | {
            "kind": self.kind,
            "target": self.target,
            "tensors": [{"name": name, "shape": list(shape)} for name, shape in self.shapes],
            "design": self.document,
            "lowest": [-RANGE << ring.BITS] * len(self.record),
            "highest": [RANGE << ring.BITS] * len(self.record),
            "model": b64(ring.to_bytes(self._models[rank])),
            "input": b64(ring.to_bytes(self._records[rank])),
        }


def secure(case: Case) -> tuple[list[EngineResult], float]:
    """Run the job in engines of its own; their results by rank, and the seconds until all were ready for it."""
    began = time.monotonic()
    with ExitStack() as stack:
        engines = [
            stack.enter_context(EngineProcess.start("dealer" if rank == DEALER else "party", rank))
            for rank in range(PARTIES + 1)
        ]
        peers = [engine.ready(PATIENCE) for engine in engines]
        startup = time.monotonic() - began
        job = str(uuid.uuid4())
        with ThreadPoolExecutor(len(engines)) as pool:
            runs = [
                pool.submit(engine.run, case.job(rank, job, peers), PATIENCE) for rank, engine in enumerate(engines)
            ]
        return [run.result() for run in runs], startup


def opened(results: list[EngineResult], groups: int) -> Outputs:
    """Add the parties' shares, as only the requester can."""
    prediction = [ring.from_bytes(result.prediction or b"", (1,)) for result in results[:PARTIES]]
    explanation = [ring.from_bytes(result.explanation or b"", (groups + 2,)) for result in results[:PARTIES]]
    return Outputs(*(ring.decode(ring.combine(shares), ring.RESULT_BITS) for shares in (prediction, explanation)))


def measure(kind: str, n: int) -> dict[str, Json | float]:
    """One run, with the names of a row of the benchmark."""
    case = Case(kind, n)
    results, startup = secure(case)
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of the largest child; it has ended by now
    baseline = statistics.median(timeit.repeat(case.plaintext, number=1, repeat=BASELINE_RUNS))
    error = opened(results, len(case.design.groups)).shown(case.design) - case.plaintext().shown(case.design)
    (rounds,) = {result.rounds for result in results[:PARTIES]}
    return {
        "engine": "concordat",
        "model": kind,
        "parties": PARTIES,
        "n": n,
        "target": case.target,
        "design": "masks",
        "rounds": rounds,
        "bytes_parties": sum(result.bytes_sent for result in results[:PARTIES]),
        "bytes_dealer": results[DEALER].bytes_sent,
        "seconds_startup": round(startup, 3),
        "seconds_job": max(float(result.seconds) for result in results),
        "seconds_online": float(results[0].seconds_online),
        "seconds_baseline": round(baseline, 7),
        "peak_mb": round(peak_kib * 1024 / 1e6, 1),
        "max_abs_error": float(np.abs(error).max()),
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "python": platform.python_version(),
            "torch": version("torch"),
        },
    }


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.secure_job")
    parser.add_argument("kind", choices=list(model.KINDS))
    parser.add_argument("n", type=int)
    wanted = parser.parse_args()
    try:
        run = measure(wanted.kind, wanted.n)
    except Refused as refused:
        raise SystemExit(str(refused)) from refused
    sys.stdout.write(json.dumps(run) + "\n")


if __name__ == "__main__":
    main()
