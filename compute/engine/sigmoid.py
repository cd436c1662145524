"""The logistic function of a secret number in one round: a Fourier series of a periodic continuation.

x is opened as z = x + r modulo the period T = 128, for a uniform r: what is opened is uniform. The dealer has shared
cos and sin of all harmonics of r, so each sin(k·w·(z - r)) is a public combination of shares (Zheng, Zhang, Chow, Peng,
Tan, Li, Yin, ACSAC 2023, for the series and its one round). 40 odd harmonics: off by less than 2e-5 for |x| ≤ 50.

**Further out the risk turns round**: at x = 128 + 1 it is that of 1 again. So x is clamped to ±50 first, exactly, by
two ReLUs; `clamped` does both.

Public factors are computed in whole numbers: two machines whose sines differ in the last bit would multiply a uniform
64-bit share by different numbers, and the result would be random.
"""

import torch
from torch import Tensor

from compute.engine import comparison
from compute.engine.arithmetic import Party, Share, Value
from compute.engine.correlations import Harmonics
from compute.engine.protocol import Protocol, Sum

PERIOD_BITS = 7
TABLE_BITS = 20
PROBABILITY_BITS = 2 * TABLE_BITS
"""The scale of the result."""

CLAMP = 50

_PUBLIC_BITS = 30

# b_k of sin(2πkx/T) for k = 1, 3, …, 79, at 2^30; of the function that is sigmoid(x) - 1/2 for |x| ≤ T/4, mirrored
# beyond.
_SERIES = (
    *(680863404, 219925464, 124050330, 80981982, 56117963, 40000999, 28921671, 21066748, 15405576, 11289378, 8282309),
    *(6079896, 4464601, 3279033, 2408519, 1769199, 1299617, 954685, 701308, 515180, 378452, 278012, 204228, 150026),
    *(110210, 80960, 59474, 43690, 32095, 23577, 17320, 12723, 9346, 6866, 5044, 3705, 2722, 1999, 1469, 1079),
)

# sin(πa/2) = a·(c_1 - a²·(c_3 - a²·(…))) for a quarter turn, at 2^30: Taylor's series up to the thirteenth power.
_SINE = (1686629713, 693598668, 85569306, 5026995, 172272, 3864, 61)


def clamped(party: Party, x: Value) -> Protocol[Value]:
    """sigmoid(x) for |x| < 2^14 at 2^32, which is clamped to ±50; 5 rounds."""
    limit = party.public(torch.full_like(x.share, CLAMP << x.bits))
    beyond = yield from comparison.relu(party, torch.stack([x.share - limit, -limit - x.share]), 48)
    return (yield from sigmoid(party, Value(x.share - beyond[0] + beyond[1], x.bits)))


def sigmoid(party: Party, x: Value) -> Protocol[Value]:
    """sigmoid(x) for |x| ≤ 50; one round."""
    bits = x.bits + PERIOD_BITS
    r, cosines, sines = party.supply.take(Harmonics(tuple(x.share.shape), bits, len(_SERIES)))
    (z,) = yield [Sum(x.share + r, bits)]
    total: Share = party.public(torch.full_like(x.share, 1 << (PROBABILITY_BITS - 1)))
    for index, factor in enumerate(_SERIES):
        phase = _phase(z, bits, 2 * index + 1)
        sine, cosine = (_scaled(factor, _sine(angle)) for angle in (phase, (phase + (1 << 30)) & _TURN))
        total = total + sine * cosines[index] - cosine * sines[index]
    return Value(total, PROBABILITY_BITS)


_TURN = (1 << 32) - 1


def _phase(z: Tensor, bits: int, harmonic: int) -> Tensor:
    """harmonic · z as a part of 2^32, a whole turn."""
    turned = (z * harmonic) & ((1 << bits) - 1)
    return turned >> (bits - 32) if bits >= 32 else turned << (32 - bits)


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
    return (factor * public + (1 << (2 * _PUBLIC_BITS - TABLE_BITS - 1))) >> (2 * _PUBLIC_BITS - TABLE_BITS)
