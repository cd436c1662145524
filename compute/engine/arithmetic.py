"""Ring arithmetic on additive shares: what is local, what takes messages, and what can go wrong.

A `Share` is this party's int64 tensor; the secret is the wrapping sum over the parties, a fixed-point number at some
scale 2^s that the caller keeps track of. Products add scales and nothing rescales by itself: CrypTen's own encoding
truncates instead of rounding and its decoding is off by 1.0 for a quarter of negative values, so neither is used.

**Truncation fails with probability |v| / 2^64** an element, v the integer before truncation (measured on this version
for three parties: 59 of 200 000 at |v| = 2^52, expected 49). A failure is off by 2^64 / 2^bits, so an opened result is
absurd and is discarded. Values are therefore truncated at |v| < 2^40 or so, once each: below 2^-24 an element, and
every place that truncates says how large its values get. Otherwise the error is at most one unit a party.
"""

from torch import Tensor

from compute.engine.compat import ArithmeticSharedTensor, MPCTensor, beaver
from concordat.ring import BITS

Share = Tensor


def product(a: Share, b: Share) -> Share:
    """Elementwise, with broadcasting; one Beaver triple and one round (Beaver, CRYPTO '91). Scales add."""
    share: Share = beaver.mul(_raw(a), _raw(b)).share
    return share


def matrix_product(a: Share, b: Share) -> Share:
    """One matrix triple and one round. Scales add."""
    share: Share = beaver.matmul(_raw(a), _raw(b)).share
    return share


def square(a: Share) -> Share:
    """Elementwise; one square pair and one round. The scale doubles."""
    share: Share = beaver.square(_raw(a)).share
    return share


def truncate(a: Share, bits: int) -> Share:
    """Divide by 2^bits. One round with three parties and more; fails with the probability above."""
    share: Share = _raw(a.clone()).div_(1 << bits).share
    return share


def relu(a: Share) -> Share:
    """max(a, 0), exact at any scale: the sign bit, then a product with it. 16 rounds with three parties."""
    share: Share = MPCTensor.from_shares(a, precision=BITS).relu().share
    return share


def rerandomise(a: Share) -> Share:
    """The same secret in shares that say nothing of how it was computed: adds a fresh sharing of zero. Local."""
    share: Share = a + ArithmeticSharedTensor.PRZS(a.size()).share
    return share


def _raw(share: Share) -> ArithmeticSharedTensor:
    return ArithmeticSharedTensor.from_shares(share, precision=0)
