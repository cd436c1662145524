"""The logistic function of a secret number in one round: a Fourier series of a periodic continuation.

x is turned into an angle modulo 2^32, which is local, and opened as z = x + r for a uniform r: what is opened is
uniform. The dealer has shared cos and sin of all harmonics of r, so each sin(k·(z - r)) is a public combination of
shares (Zheng, Zhang, Chow, Peng, Tan, Li, Yin, ACSAC 2023, for the series and its one round). 36 odd harmonics of the
period T = 123.65, whose coefficients make the largest error up to ±50 smallest: 4e-6, and 2e-6 of roundings.

The result is at 2^61, so that what is dealt need be shared modulo 2^40 only: 2^17 for a cosine times 2^20 for its
public factor, shifted to the top of the ring.

**Further out the risk turns round**: at x = T + 1 it is that of 1 again. So where the model's owner has not proven that
log-odds stay within ±50, x is clamped first by two ReLUs. They look at 14 of x's fractional bits: where these decide
wrongly, x and the limit are the same but for 2^-13.

Public factors are computed in whole numbers: two machines whose sines differ in the last bit would multiply a uniform
share by different numbers, and the result would be random.
"""

import torch
from torch import Tensor

from compute.engine import comparison
from compute.engine.arithmetic import Party, Share, Value
from compute.engine.correlations import Harmonics
from compute.engine.lifting import narrow
from compute.engine.protocol import Protocol, Sum
from concordat.kinds.kind import UNCLAMPED

PROBABILITY_BITS = 61
"""The scale of the result."""

_FREQUENCY = 530
"""Periods in 2^16."""

_PUBLIC_BITS = 30
_FACTOR_BITS, _TABLE_BITS = 20, 17
_CLAMPED_BITS = 14

# b_k of sin(2πkx/T) for k = 1, 3, …, 71, at 2^30: the best uniform approximation of sigmoid(x) - 1/2 for |x| ≤ 50
# (a linear program over 24,000 points; the error was found at two million).
_SERIES = (
    *(680670895, 219373356, 123207838, 79944262, 54984560, 38858289, 27833753, 20074369, 14529802, 10536565, 7648626),
    *(5555100, 4035434, 2931704, 2130112, 1548064, 1125201, 817650, 593880, 431333, 313558, 228212, 165976, 120344),
    *(87080, 63258, 46411, 34088, 24545, 17243, 12331, 9499, 7544, 5308, 3006, 5201),
)

# sin(πa/2) = a·(c_1 - a²·(c_3 - a²·(…))) for a quarter turn, at 2^30: Taylor's series up to the thirteenth power.
_SINE = (1686629713, 693598668, 85569306, 5026995, 172272, 3864, 61)


def clamped(party: Party, x: Value) -> Protocol[Value]:
    """x, but no further from zero than 50, for |x| ≤ 2^8; 3 rounds."""
    cut = x.bits - _CLAMPED_BITS
    coarse, limit = x.share >> cut, party.public(torch.full_like(x.share, UNCLAMPED << _CLAMPED_BITS))
    above, below = yield from comparison.relu(party, torch.stack([coarse - limit, -limit - coarse]), 24)
    return Value(x.share - ((above - below) << cut), x.bits)


def sigmoid(party: Party, x: Value) -> Protocol[Value]:
    """sigmoid(x) for |x| ≤ 50, at a scale of no more than 2^48; one round."""
    r, cosines, sines = party.supply.take(Harmonics(tuple(x.share.shape), len(_SERIES)))
    (z,) = yield [Sum(narrow(x.share * (_FREQUENCY << (48 - x.bits))) + r, 32)]
    total: Share = torch.zeros_like(x.share)
    for index, factor in enumerate(_SERIES):
        phase = (z * (2 * index + 1)) & _TURN
        sine, cosine = (_scaled(factor, _sine(angle)) for angle in (phase, (phase + (1 << 30)) & _TURN))
        total = total + sine * cosines[index] - cosine * sines[index]
    half = party.public(torch.full_like(total, 1 << (PROBABILITY_BITS - 1)))
    return Value(half + (total << (PROBABILITY_BITS - _FACTOR_BITS - _TABLE_BITS)), PROBABILITY_BITS)


_TURN = (1 << 32) - 1


def _sine(phase: Tensor) -> Tensor:
    """sin(2π·phase / 2^32) at 2^30, off by a few units, and alike on every machine."""
    folded = phase & ((1 << 31) - 1)
    a = torch.where(folded > 1 << 30, (1 << 31) - folded, folded)
    squared, value = (a * a) >> _PUBLIC_BITS, torch.zeros_like(a)
    for coefficient in reversed(_SINE):
        value = coefficient - ((squared * value) >> _PUBLIC_BITS)
    value = (a * value) >> _PUBLIC_BITS
    return torch.where(phase >> 31 == 1, -value, value)


def _scaled(factor: int, public: Tensor) -> Tensor:
    """The product of two numbers at 2^30, rounded to 2^20."""
    return (factor * public + (1 << (2 * _PUBLIC_BITS - _FACTOR_BITS - 1))) >> (2 * _PUBLIC_BITS - _FACTOR_BITS)
