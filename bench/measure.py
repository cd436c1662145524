"""Runs a job in processes of its own, one for each party and one for the dealer, and makes a row of what they say."""

import multiprocessing
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.jobs import Job, Part
from bench.seat import MODULES, occupy
from concordat import ring

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 600
"""Seconds until a run is given up."""

Row = dict[str, Any]

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(list(MODULES.values()))


class Stopped(Exception):
    """A run that did not come to its end; says why."""


def measure(job: Job) -> Row:
    """The row of all runs of a job. Raises Stopped."""
    return combine([_row(job, *_run(job)) for _ in range(job.runs)])


def combine(rows: Sequence[Row]) -> Row:
    """One row for several runs of one job: the median of times, the worst of memory and error.

    Rounds and bytes do not vary. Raises Stopped if they do, since then they are not what the table calls them.
    """
    first = rows[0]
    for name in ("rounds", "dealer_trips", "bytes_online", "bytes_dealer"):
        if any(row[name] != first[name] for row in rows):
            raise Stopped(f"{name} differs between runs of one job")
    medians = {name: statistics.median(row[name] for row in rows) for name in ("seconds_online", "seconds_offline")}
    return first | medians | {name: max(row[name] for row in rows) for name in ("peak_mb", "relative_error")}


def _row(job: Job, parts: Sequence[Part], peak_mb: float) -> Row:
    """Times are those of party 0, whom the dealer answers last."""
    first, parties = parts[0], parts[: job.parties]
    if len({part.rounds for part in parties}) != 1:
        raise Stopped("the parties do not count the same rounds")
    shares = [np.array(part.numbers, dtype=np.int64) for part in parties]
    secure = ring.decode(ring.combine(shares), first.bits)[1:]
    plain = job.case().plaintext(job.target)[1:]
    return asdict(job) | {
        "rounds": first.rounds,
        "dealer_trips": first.dealer_trips,
        "bytes_online": sum(part.bytes_online for part in parts),
        "bytes_dealer": sum(part.bytes_dealer for part in parts),
        "seconds_online": round(first.seconds_online, 4),
        "seconds_offline": round(first.seconds_offline, 4),
        "peak_mb": round(peak_mb, 1),
        "relative_error": float(f"{np.abs(secure - plain).max() / np.abs(plain).max():.2e}"),
    }


def _run(job: Job) -> tuple[list[Part], float]:
    """All parts by rank, the dealer's last, and the peak of the largest process."""
    with TemporaryDirectory() as directory, _seats(job) as pipes:
        hellos = _hear(pipes)
        for pipe in pipes:
            pipe.send((hellos, f"{directory}/meeting"))
        parts, peaks = zip(*_hear(pipes), strict=True)
    return list(parts), max(peaks)


@contextmanager
def _seats(job: Job) -> Iterator[list[Connection]]:
    """A process for each seat, which share the memory that is there; afterwards there are none."""
    count = job.parties + 1
    pipes, processes = [], []
    try:
        for rank in range(count):
            ours, theirs = _PROCESSES.Pipe()
            process = _PROCESSES.Process(target=occupy, args=(job, rank, _available_mb() // count, theirs), daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        yield pipes
    finally:
        for process in processes:
            process.kill()
            process.join()
        for pipe in pipes:
            pipe.close()


def _hear(pipes: Sequence[Connection]) -> list[Any]:
    """What each says next. Raises Stopped as soon as one fails, or says nothing in time."""
    heard: dict[Connection, Any] = {}
    deadline = time.monotonic() + PATIENCE
    while waiting := [pipe for pipe in pipes if pipe not in heard]:
        ready = wait(waiting, max(0, deadline - time.monotonic()))
        if not ready:
            raise Stopped(f"no answer in {PATIENCE} seconds")
        for pipe in ready:
            assert isinstance(pipe, Connection)
            try:
                heard[pipe] = pipe.recv()
            except EOFError:
                raise Stopped("a process was killed, or had no memory left to say why") from None
            if isinstance(heard[pipe], str):
                raise Stopped(heard[pipe])
    return [heard[pipe] for pipe in pipes]


def _available_mb() -> int:
    """Memory that the kernel could give out now, in 10^6 bytes."""
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024 // 10**6
