"""Ring arithmetic on additive shares: what is local, what is opened, and what can go wrong.

A share is this party's int64 tensor; the secret is the wrapping sum over the parties, a fixed-point number at a scale
2^bits. Products add scales, and nothing rescales by itself. Sums, and products with public tensors, are local.
CrypTen's own encoding truncates instead of rounding, and its decoding is off by 1.0 for a quarter of negative values:
neither is used (`concordat.ring` encodes and decodes).

What every view shows: each opened value is the secret plus a mask that is uniform and unknown to any n-1 parties, so it
is uniform itself, whatever the secret. `tests/compute/engine/test_primitives.py` looks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from compute.engine.correlations import OPERATIONS, Product, Truncation, shift
from compute.engine.dealing import Rehearsal, Supply
from compute.engine.protocol import Protocol, Sum
from compute.engine.streams import Stream

Share = Tensor

TRUNCATED = 62
"""Integers that are truncated lie in [-2^62, 2^62); outside, the result is off by 2^(64-m)."""


@dataclass(frozen=True)
class Value:
    """A share of fixed-point numbers at the scale 2^bits."""

    share: Share
    bits: int


@dataclass(frozen=True)
class Party:
    """Who runs a protocol.

    Attributes:
        rank: which of the parties; rank 0 adds what is public.
        supply: where it takes correlated randomness from.
        pairs: by the rank of each other party, a stream that only the two of them have.
    """

    rank: int
    supply: Supply = field(default_factory=Rehearsal)
    pairs: Mapping[int, Stream] = field(default_factory=dict)

    @property
    def first(self) -> bool:
        """Whether this party is the one that adds what is public."""
        return self.rank == 0

    def public(self, value: Tensor) -> Share:
        """A share of a public value."""
        return value if self.first else torch.zeros_like(value)

    def zero(self, shape: Sequence[int]) -> Share:
        """A fresh share of zeros. Each pair of parties adds and subtracts what only they know, so to the others
        any party's share is uniform (Cramer, Damgård, Ishai, TCC 2005). Local."""
        total = torch.zeros(tuple(shape), dtype=torch.int64)
        for other, stream in self.pairs.items():
            total += stream.ring(shape) if self.rank < other else -stream.ring(shape)
        return total


def product(party: Party, a: Share, b: Share, op: str = "mul") -> Protocol[Share]:
    """a·b, elementwise with broadcasting or as a matrix product; one round (Beaver, CRYPTO '91)."""
    wanted = Product(tuple(a.shape), tuple(b.shape), op)  # type: ignore[arg-type]
    left, right, both = party.supply.take(wanted)
    d, e = yield [Sum(a - left), Sum(b - right)]
    times = OPERATIONS[op]
    return both + times(d, right) + times(left, e) + party.public(times(d, e))


def rescale(party: Party, a: Value, bits: int) -> Protocol[Value]:
    """The same numbers at no more than the scale 2^bits; a round if they have to be truncated."""
    if a.bits <= bits:
        return a
    return Value((yield from truncate(party, a.share, a.bits - bits)), bits)


def truncate(party: Party, a: Share, bits: int) -> Protocol[Share]:
    """a / 2^bits, rounded down or up at random: right on average, off by less than one unit, exact where nothing is cut
    off (Escudero, Ghosh, Keller, Rachuri, Scholl, CRYPTO 2020). One round, 8 bytes opened an element, 16 from the
    dealer.

    With x = a + 2^62 in [0, 2^63), c = x + r wraps only if r has its top bit and c has not; then
    x ≫ bits = (c ≫ bits) - (r ≫ bits) + 2^(64-bits)·[wrapped], but for the carry of the bits that are cut off: it is
    as probable as these are large.
    """
    r, shifted, top = party.supply.take(Truncation(tuple(a.shape), bits))
    offset = torch.full_like(a, 1 << TRUNCATED)
    (c,) = yield [Sum(a + party.public(offset) + r)]
    wrapped = top * (1 - shift(c, 63)) * (1 << (64 - bits))
    return party.public(shift(c, bits) - (1 << (TRUNCATED - bits))) - shifted + wrapped
