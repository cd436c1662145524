"""Protocols as generators: each `yield` is one round, in which all parties open masked values to one another.

A protocol is written once and is driven over the mesh, in lock-step with other parties of one process (tests), or with
nobody, to find out which correlated randomness it will need. Two protocols run in `parallel` share their rounds.
What is opened has to be masked by the protocol itself: it is what every other party sees.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from concordat.reasons import Reason, Refused

T = TypeVar("T")


@dataclass(frozen=True)
class Sum:
    """A value that is the sum of all parties' shares modulo 2^bits; opened, it is not negative below 64 bits."""

    share: Tensor
    bits: int = 64

    def pack(self) -> bytes:
        low = np.ascontiguousarray(self.share.numpy() & _low(self.bits), dtype="<i8")
        return low.reshape(-1).view(np.uint8).reshape(-1, 8)[:, : self._width].tobytes()

    def add(self, packed: Sequence[memoryview]) -> Tensor:
        total = np.zeros(self.share.numel(), dtype=np.int64)
        for part in packed:
            wide = np.zeros((self.share.numel(), 8), dtype=np.uint8)
            wide[:, : self._width] = np.frombuffer(part, dtype=np.uint8).reshape(-1, self._width)
            total += wide.reshape(-1).view("<i8")
        return torch.from_numpy(total & _low(self.bits)).reshape(self.share.shape)

    @property
    def size(self) -> int:
        return self.share.numel() * self._width

    @property
    def _width(self) -> int:
        return -(-self.bits // 8)


@dataclass(frozen=True)
class Xor:
    """Single bits that are the exclusive or of all parties' shares (uint8)."""

    share: Tensor

    def pack(self) -> bytes:
        return np.packbits(self.share.numpy().reshape(-1), bitorder="little").tobytes()

    def add(self, packed: Sequence[memoryview]) -> Tensor:
        total = np.bitwise_xor.reduce([np.frombuffer(part, dtype=np.uint8) for part in packed])
        bits = np.unpackbits(total, count=self.share.numel(), bitorder="little")
        return torch.from_numpy(bits).reshape(self.share.shape)

    @property
    def size(self) -> int:
        return -(-self.share.numel() // 8)


Opening = Sum | Xor
Protocol = Generator[Sequence[Opening], Sequence[Tensor], T]
Exchange = Callable[[Sequence[bytes]], Sequence[Sequence[bytes]]]
"""Sends the same parts to every other party, and answers the parts of each of them: a part is one run's message."""


def run(protocol: Protocol[T], exchange: Exchange) -> T:
    """Drive a protocol to its result. Raises Refused as `run_all` does."""
    return run_all([protocol], exchange)[0]


def run_all(protocols: Sequence[Protocol[T]], exchange: Exchange) -> list[T]:
    """Drive several runs of one protocol together, a message for each in every round: as many rounds as one run.

    Raises:
        Refused: MALFORMED if another party's message has not the length of ours; what `exchange` raises.
    """
    results: list[T] = []
    answers: Sequence[Sequence[Tensor] | None] = [None] * len(protocols)
    while not results:
        waiting: list[Sequence[Opening]] = []
        for protocol, answer in zip(protocols, answers, strict=True):
            try:
                waiting.append(next(protocol) if answer is None else protocol.send(answer))
            except StopIteration as finished:
                results.append(cast(T, finished.value))
        assert not (results and waiting), "runs of one protocol end together"
        if waiting:
            mine = [pack(openings) for openings in waiting]
            theirs = exchange(mine)
            answers = [
                open_messages([mine[place], *(parts[place] for parts in theirs)], openings)
                for place, openings in enumerate(waiting)
            ]
    return results


def rehearse(protocol: Protocol[Any]) -> int:
    """Drive a protocol alone, and count its rounds. The result is meaningless; only the shapes of what it does, and the
    rounds, are those of a real run."""
    rounds = 0

    def count(mine: Sequence[bytes]) -> Sequence[Sequence[bytes]]:
        nonlocal rounds
        rounds += 1
        return []

    run(protocol, count)
    return rounds


def parallel(protocols: Mapping[str, Protocol[Any]]) -> Protocol[dict[str, Any]]:
    """Run several protocols together, by name: as many rounds as the longest of them."""
    results: dict[str, Any] = {}
    waiting: dict[str, Sequence[Opening]] = {}
    answers: dict[str, Sequence[Tensor] | None] = dict.fromkeys(protocols)
    while answers:
        for name, answer in answers.items():
            try:
                waiting[name] = next(protocols[name]) if answer is None else protocols[name].send(answer)
            except StopIteration as finished:
                results[name] = finished.value
                waiting.pop(name, None)
        if not waiting:
            break
        opened = list((yield [opening for openings in waiting.values() for opening in openings]))
        answers = {name: [opened.pop(0) for _ in openings] for name, openings in waiting.items()}
    return results


def pack(openings: Sequence[Opening]) -> bytes:
    """One party's message of one round."""
    return b"".join(opening.pack() for opening in openings)


def open_messages(messages: Sequence[bytes], openings: Sequence[Opening]) -> list[Tensor]:
    """What a round opens, from every party's message and one party's openings. Raises Refused(MALFORMED)."""
    expected = sum(opening.size for opening in openings)
    if any(len(message) != expected for message in messages):
        raise Refused(Reason.MALFORMED, detail="Another party's message has not the length that it has to have.")
    opened, start = [], 0
    for opening in openings:
        stop = start + opening.size
        opened.append(opening.add([memoryview(message)[start:stop] for message in messages]))
        start = stop
    return opened


def _low(bits: int) -> np.int64:
    return np.int64(-1) if bits == 64 else np.int64((1 << bits) - 1)
