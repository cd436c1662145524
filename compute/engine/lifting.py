"""From a ring of 32 bits to the large one, at two resolutions and with squares, in one opening.

**Into the small ring: local.** A share modulo 2^64 is shifted right by s bits: the shifted shares add up to x / 2^s,
rounded down, and at most so many units less as there are parties, modulo 2^(64-s). No wrap is lost: it lies at 2^(64-s)
(SecureML's local truncation, Mohassel, Zhang, S&P 2017, fails where a result is read in the large ring, and not here).

**Out of it: one opening.** As in a truncation (Escudero, Ghosh, Keller, Rachuri, Scholl, CRYPTO 2020), but of 32 bits:
with x + 2^30 in [0, 2^31) and c = x + 2^30 + r opened modulo 2^32, t the top bit of r and [wrapped] = t·(1 - c_31),
x = c - r - 2^30 + 2^32·[wrapped] holds in the large ring. The same c gives x / 2^m, rounded down or up at random, as
P - s + V·t with s = r ≫ m and public P = (c ≫ m) - 2^(30-m), V = (1 - c_31)·2^(32-m); and since t² = t, its square
too is linear in what can be dealt: P² - 2P·s + s² + (2P + V)·V·t - 2V·t·s. This saves a product's round and opening.

A view shows c: uniform modulo 2^32, whatever x is, as r is.
"""

from dataclasses import dataclass

import torch

from compute.engine.arithmetic import Party, Share
from compute.engine.correlations import Lift
from compute.engine.protocol import Protocol, Sum

BITS = 32
"""Of the small ring."""

LIFTED = 30
"""Numbers that are lifted lie in [-2^30, 2^30); outside, the result is off by 2^32."""


@dataclass(frozen=True)
class Lifted:
    """Shares modulo 2^64 of a `number` and of the `square` of its rounded 2^bits-th part."""

    number: Share
    square: Share

    def columns(self, count: int) -> "Lifted":
        """The same in rows of so many."""
        return Lifted(self.number.reshape(-1, count), self.square.reshape(-1, count))


def narrow(x: Share) -> Share:
    """x / 2^32, rounded down, modulo 2^32, for x modulo 2^64: off by no more units than there are parties. Local."""
    return x >> BITS


def lift(party: Party, x: Share, bits: int) -> Protocol[Lifted]:
    """x modulo 2^32 as a number modulo 2^64, and the square of x / 2^bits. One round, 4 bytes opened an element, 40
    from the dealer."""
    r, low, top, high, squared, both = party.supply.take(Lift(tuple(x.shape), bits))
    (c,) = yield [Sum(x + party.public(torch.full_like(x, 1 << LIFTED)) + r, BITS)]
    low_wrapped = 1 - (c >> (BITS - 1))
    public, wrapped = (c >> bits) - (1 << (LIFTED - bits)), low_wrapped << (BITS - bits)
    return Lifted(
        party.public(c - (1 << LIFTED)) - low + (low_wrapped << BITS) * top,
        party.public(public * public)
        - 2 * public * high
        + squared
        + (2 * public + wrapped) * wrapped * top
        - 2 * wrapped * both,
    )
