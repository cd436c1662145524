"""What it takes to start: one engine in a process of its own, as a node starts it, up to its first call in a job.

Seconds from the process to all imports, which pass while an engine is spare; from there to a seat, which a ticket waits
for; and from a job's line to the engine's first call to another, which a job waits for.
"""

import socket
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from rich.table import Table

from compute.engine.certificates import Identity
from compute.engine.runner import LOOPBACK, EngineProcess
from concordat.canonical import b64

RUNS = 5
PATIENCE = 60
"""Seconds for every wait."""


@dataclass(frozen=True)
class Start:
    """Seconds of one engine's start."""

    imports: float
    seat: float
    job: float


def measure() -> Start:
    """Start one engine, which ends before it computes anything."""
    began = perf_counter()
    with EngineProcess.start() as engine, socket.create_server((LOOPBACK, 0)) as other, ThreadPoolExecutor(1) as pool:
        engine.warm(PATIENCE)
        warm = perf_counter()
        endpoint = engine.reserve("party", 0, PATIENCE)
        seated = perf_counter()
        address = f"{LOOPBACK}:{other.getsockname()[1]}"
        others = [{"address": address, "certificate": b64(Identity.create().certificate)} for _ in range(3)]
        job = _job([dict(endpoint), *others])
        handed = perf_counter()
        running = pool.submit(engine.run, job, PATIENCE)
        other.settimeout(PATIENCE)
        call, _ = other.accept()
        called = perf_counter()
        call.close()
        engine.kill()
        running.exception()  # that it was killed
    return Start(imports=warm - began, seat=seated - warm, job=called - handed)


def _job(peers: list[dict[str, str]]) -> dict[str, object]:
    from tests.support.engines import random_case

    job: dict[str, object] = random_case("mlp").job(0, str(uuid.uuid4()), peers)
    return job


def table(starts: Sequence[Start]) -> Table:
    """Medians, for people."""
    shown = Table(title=f"Starting one engine as a node does: median of {len(starts)}, network with 128 perturbations")
    for heading in ("imports, before a ticket\ns", "ticket to seat\nms", "job to its first call\nms"):
        shown.add_column(heading, justify="right")
    imports, seat, job = (median(getattr(start, name) for start in starts) for name in ("imports", "seat", "job"))
    shown.add_row(f"{imports:.1f}", f"{1e3 * seat:.0f}", f"{1e3 * job:.0f}")
    return shown
