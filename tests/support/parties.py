"""All parties of a protocol in one process, in lock-step: what they hold is real, only the wires are missing."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
import torch

from compute.engine.arithmetic import Party
from compute.engine.dealing import Dealt, Rehearsal, deal
from compute.engine.protocol import Protocol, rehearse
from compute.engine.streams import Stream, new_key
from concordat import ring


@dataclass
class Together:
    """What came out: each party's result, and what everybody saw."""

    results: list[Any]
    rounds: int = 0
    bytes_sent: int = 0
    bytes_dealt: int = 0
    opened: list[torch.Tensor] = field(default_factory=list)
    supplies: list[Dealt] = field(default_factory=list)

    @property
    def sum(self) -> np.ndarray:
        return ring.combine([share.numpy() for share in self.results])

    @property
    def xor(self) -> np.ndarray:
        return np.bitwise_xor.reduce([share.numpy() for share in self.results])


def shares(values, parties: int = 3) -> list[torch.Tensor]:
    """Additive shares of whole numbers."""
    return [torch.as_tensor(share) for share in ring.split(np.asarray(values, dtype=np.int64), parties)]


def xor_shares(values, parties: int = 3) -> list[torch.Tensor]:
    secret = np.asarray(values, dtype=np.uint8)
    masks = [(ring.random(secret.shape) & 1).astype(np.uint8) for _ in range(parties - 1)]
    return [torch.from_numpy(share) for share in [*masks, np.bitwise_xor.reduce([secret, *masks])]]


def together(start: Callable[[Party], Protocol], parties: int = 3) -> Together:
    """Run `start`'s protocol for each party: `start` gets the party and looks up its shares by its rank."""
    rehearsal = Rehearsal()
    rehearse(start(Party(0, rehearsal)))
    keys = [new_key() for _ in range(parties)]
    corrections = b"".join(deal(rehearsal.plan, keys))
    supplies = [
        Dealt(rehearsal.plan, key, BytesIO(corrections).read if rank == 0 else None) for rank, key in enumerate(keys)
    ]
    secrets = {frozenset(pair): new_key() for pair in itertools.combinations(range(parties), 2)}
    running = [
        start(
            Party(rank, supply, {o: Stream(secrets[frozenset((rank, o))]) for o in range(parties) if o != rank}),
        )
        for rank, supply in enumerate(supplies)
    ]
    seen = Together([None] * parties, bytes_dealt=len(corrections), supplies=supplies)
    answers: list[Any] = [None] * parties
    while True:
        openings = []
        for rank, protocol in enumerate(running):
            try:
                openings.append(protocol.send(answers[rank]))
            except StopIteration as finished:
                seen.results[rank] = finished.value
        if not openings:
            assert all(supply.used_up for supply in supplies)
            return seen
        assert len(openings) == parties
        seen.rounds += 1
        opened = []
        for same in zip(*openings, strict=True):
            packed = [opening.pack() for opening in same]
            seen.bytes_sent += (parties - 1) * sum(map(len, packed))
            opened.append(same[0].add([memoryview(part) for part in packed]))
        seen.opened += opened
        answers = [[value.clone() for value in opened] for _ in running]
