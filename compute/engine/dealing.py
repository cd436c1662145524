"""Handing out correlated randomness: what the dealer makes of a plan, and how a party takes its shares from it.

One request and one answer a job: each party sends the dealer the plan; the dealer answers every party with the key of
its stream, drawn for this answer and never kept, and party 0 besides with the corrections of the bound parts. A supply
is used up in the plan's order, once: a protocol that asks for anything else is refused before it has opened anything.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from compute.engine.correlations import Correlation, Part
from compute.engine.protocol import Sum, Xor
from compute.engine.streams import Stream
from concordat.reasons import Reason, Refused

AHEAD = 1 << 26
"""Bytes of the dealer's corrections that party 0 takes before the first round; what is left it takes as it is needed,
so that a job of any length fits into memory."""


class Supply(Protocol):
    """Where a protocol takes its correlated randomness from."""

    def take(self, wanted: Correlation) -> list[Tensor]:
        """This party's shares of the free parts, then of the bound parts."""


class Rehearsal:
    """Zeros for everything, and a list of what was asked for: a protocol's plan is found by running it alone."""

    def __init__(self) -> None:
        self.plan: list[Correlation] = []

    def take(self, wanted: Correlation) -> list[Tensor]:
        self.plan.append(wanted)
        return [torch.zeros(part.shape, dtype=_DTYPES[part.group]) for part in (*wanted.free(), *wanted.bound())]


class Dealt:
    """A party's shares of a plan, each expanded when it is used.

    `corrections` answers so many bytes of what the dealer sends; None for every party but party 0, which takes `most`
    of them before the first is needed.
    """

    def __init__(
        self,
        plan: Sequence[Correlation],
        key: bytes,
        corrections: Callable[[int], bytes] | None,
        *,
        most: int = AHEAD,
    ) -> None:
        self._stream, self._corrections, self._ahead = Stream(key), corrections, deque[bytes]()
        self._left = deque(plan)
        self._coming = (size(part) for each in plan for part in each.bound())
        ahead = 0
        while corrections and ahead < most and (count := next(self._coming, None)) is not None:
            self._ahead.append(corrections(count))
            ahead += count

    def take(self, wanted: Correlation) -> list[Tensor]:
        """Raises Refused(RANDOMNESS_USED) for anything but the next correlation of the plan."""
        if not self._left or self._left[0] != wanted:
            raise Refused(Reason.RANDOMNESS_USED, detail="The protocol asks for what was not dealt for it.")
        self._left.popleft()
        return [*(_draw(self._stream, part) for part in wanted.free()), *map(self._bound, wanted.bound())]

    def _bound(self, part: Part) -> Tensor:
        if self._corrections is None:
            return _draw(self._stream, part)
        return _unpack(part, self._ahead.popleft() if self._ahead else self._corrections(next(self._coming)))

    @property
    def used_up(self) -> bool:
        return not self._left


def deal(plan: Sequence[Correlation], keys: Sequence[bytes]) -> Iterator[bytes]:
    """Party 0's corrections, part by part in the plan's order, so that memory holds one correlation at a time.

    `keys` are the parties' stream keys, by rank.
    """
    streams = [Stream(key) for key in keys]
    for each in plan:
        free = [_draw_all(streams, part) for part in each.free()]
        for part, value in zip(each.bound(), each.relate(*free), strict=True):
            yield _pack(part, _combine(part, value, _draw_all(streams[1:], part)))


_DTYPES = {"ring": torch.int64, "bits": torch.uint8, "tables": torch.int32}
_DRAWS = {"ring": Stream.ring, "bits": Stream.bits, "tables": Stream.tables}


def _draw(stream: Stream, part: Part) -> Tensor:
    return _DRAWS[part.group](stream, part.shape)


def _draw_all(streams: Sequence[Stream], part: Part) -> Tensor:
    """The sum, or exclusive or, of what all these streams give."""
    total = _draw(streams[0], part)
    for stream in streams[1:]:
        other = _draw(stream, part)
        total = total + other if part.group == "ring" else total ^ other
    return total


def _combine(part: Part, value: Tensor, others: Tensor) -> Tensor:
    return value - others if part.group == "ring" else value ^ others


def _pack(part: Part, value: Tensor) -> bytes:
    if part.group == "bits":
        return Xor(value).pack()
    if part.group == "tables":
        return value.numpy().astype("<u2").tobytes()
    return Sum(value, part.bits).pack()


def _unpack(part: Part, data: bytes) -> Tensor:
    if part.group == "tables":
        words = np.frombuffer(data, dtype="<u2").astype(np.int32)
        return torch.from_numpy(words.reshape(part.shape))
    empty = torch.empty(part.shape, dtype=_DTYPES[part.group])
    view = [memoryview(data)]
    return Xor(empty).add(view) if part.group == "bits" else Sum(empty, part.bits).add(view)


def size(part: Part) -> int:
    """Bytes of the dealer's message for a bound part."""
    count = math.prod(part.shape)
    return {"ring": -(-part.bits // 8) * count, "bits": -(-count // 8), "tables": 2 * count}[part.group]
