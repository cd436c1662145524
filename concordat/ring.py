"""Fixed-point numbers in the ring Z/2^64, and their additive shares.

A real number v is carried as round(v · 2^bits) modulo 2^64, in two's complement (``int64``). Addition of ring elements
wraps; that is what makes any n-1 of n additive shares uniform and independent of the secret.
"""

import math
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from concordat.reasons import Reason, Refused

BITS = 16
"""Fractional bits of records and weights."""

RESULT_BITS = 24
"""Fractional bits of a prediction and its explanation. Around a patient whose risk is 0.1 % probabilities differ by a
few units of 2^-16: at 16 bits their R² would be noise, and a small coefficient no better."""

MAGNITUDE = 1 << 46
"""Encoded values stay below 2^46, i.e. |v| < 2^30 at 16 bits: the protocols need the headroom above."""

Ring = NDArray[np.int64]


def encode(values: ArrayLike, bits: int = BITS) -> Ring:
    """Round real numbers to the nearest multiple of 2^-bits.

    Raises:
        Refused: ``VALUE_OUT_OF_RANGE`` for NaN, infinities and values of 2^46 or more after scaling.
    """
    scaled = np.rint(np.asarray(values, dtype=np.float64) * float(1 << bits))
    if not np.all(np.abs(scaled) < MAGNITUDE):  # NaN compares false, so it is refused too
        raise Refused(Reason.VALUE_OUT_OF_RANGE, detail=f"A number does not fit in fixed point with {bits} bits.")
    return scaled.astype(np.int64)


def decode(ring: Ring, bits: int = BITS) -> NDArray[np.float64]:
    """The real numbers that ring elements stand for; exact below 2^53."""
    return ring.astype(np.float64) / float(1 << bits)


def random(shape: Sequence[int]) -> Ring:
    """Uniform ring elements from the operating system's generator."""
    return np.frombuffer(os.urandom(8 * math.prod(shape)), dtype="<i8").astype(np.int64).reshape(tuple(shape))


def split(ring: Ring, parties: int) -> list[Ring]:
    """Additive shares, one a party, whose wrapping sum is the secret; any ``parties - 1`` of them are uniform."""
    if parties < 2:
        raise ValueError("a secret is shared between two parties or more")
    masks = [random(ring.shape) for _ in range(parties - 1)]
    return [*masks, ring - combine(masks)]


def combine(shares: Sequence[Ring]) -> Ring:
    """The wrapping sum of shares of equal shape.

    Raises:
        Refused: ``MALFORMED`` if the shapes differ.
    """
    if len({share.shape for share in shares}) != 1:
        raise Refused(Reason.MALFORMED, detail="The shares of a value have different shapes.")
    total: Ring = np.sum(np.stack(shares), axis=0, dtype=np.int64)
    return total


def to_bytes(ring: Ring) -> bytes:
    """Little-endian int64, row by row: the form that is committed to, sealed and sent."""
    return np.ascontiguousarray(ring, dtype="<i8").tobytes()


def from_bytes(data: bytes, shape: Sequence[int]) -> Ring:
    """Read back what :func:`to_bytes` wrote.

    Raises:
        Refused: ``MALFORMED`` if the length does not fit the shape.
    """
    if len(data) != 8 * math.prod(shape):
        raise Refused(Reason.MALFORMED, detail=f"A share has {len(data)} bytes; {8 * math.prod(shape)} were expected.")
    return np.frombuffer(data, dtype="<i8").astype(np.int64).reshape(tuple(shape))
