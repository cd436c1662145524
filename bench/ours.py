"""A seat in a run of this engine: the product's session, wires and dealing, on a job that is not sealed or signed.

A delay is added where a message would wait for it: before every round, and twice (request, answer) for the dealing.
"""

import socket
import time
import uuid
from time import perf_counter
from typing import cast

import torch

from bench.ahead import batch
from bench.jobs import Job, Part
from compute.engine.certificates import Identity
from compute.engine.job import AnyJob, DealerBatch, PartyBatch
from compute.engine.protocol import Protocol, T
from compute.engine.runner import LOOPBACK
from compute.engine.session import Session
from concordat import ring
from concordat.canonical import b64

PATIENCE = 600
"""Seconds for every wait: a run ends also where an engine hangs."""


class Seat:
    """Listening, and with the protocol ready."""

    def __init__(self, job: Job, rank: int) -> None:
        self._job, self._rank = job, rank
        self._dealt = batch(job, rank) if job.ahead else None
        self._start = job.case().protocol(rank, job.parties, job.target) if rank < job.parties else None
        self._identity = Identity.create()
        self._listener = socket.create_server((LOOPBACK, 0), backlog=64)
        address = f"{LOOPBACK}:{self._listener.getsockname()[1]}"
        self.hello = {"address": address, "certificate": b64(self._identity.certificate)}

    def play(self, hellos: list[dict[str, str]], meeting: str) -> Part:
        began, trips = perf_counter(), int(self._dealt is None)
        with Session(self._told(hellos, meeting), self._identity, self._listener) as session:
            if self._start is None:
                session.deal(cast(DealerBatch | None, self._dealt))
                sent = session.wires.bytes_sent
                session.leave()
                return Part([], 0, 0, 0, 0, sent, 0, 0)
            (party,) = session.supply([self._start], cast(PartyBatch | None, self._dealt))
            time.sleep(2 * self._job.seconds_one_way * trips)
            dealt, asked = perf_counter(), session.wires.bytes_sent
            (explained,) = session.compute([_later(self._start(party), self._job.seconds_one_way)])
            computed, sent = perf_counter(), session.wires.bytes_sent
            session.leave()
        numbers = torch.cat([explained.prediction, explained.explanation[:-2]])
        return Part(
            numbers=numbers.tolist(),
            bits=ring.RESULT_BITS,
            rounds=session.rounds,
            dealer_trips=trips,
            bytes_online=sent - asked,
            bytes_dealer=asked,
            seconds_offline=dealt - began,
            seconds_online=computed - dealt,
        )

    def _told(self, hellos: list[dict[str, str]], meeting: str) -> AnyJob:
        name = str(uuid.uuid5(uuid.NAMESPACE_URL, meeting))
        told = {
            "job": name,
            "batch": name,
            "ahead": 0,
            "dealt": self._dealt,
            "role": "party" if self._start else "dealer",
            "rank": self._rank,
            "parties": self._job.parties,
            "peers": [{"address": hello["address"], "certificate": hello["certificate"]} for hello in hellos],
            "startup_seconds": PATIENCE,
            "round_seconds": PATIENCE,
        }
        return cast(AnyJob, told)


def _later(protocol: Protocol[T], seconds: float) -> Protocol[T]:
    """The same protocol, with every round this much later."""
    try:
        openings = next(protocol)
        while True:
            time.sleep(seconds)
            openings = protocol.send((yield openings))
    except StopIteration as finished:
        result: T = finished.value
        return result
