"""Gaussian noise that one party draws and no other knows."""

import torch
from torch import Tensor

from compute.engine.streams import Stream

_BITS = 52
"""Of a uniform number: with a half added a float64 still keeps all of it."""


def gaussian(stream: Stream, count: int, deviation: float) -> Tensor:
    """(count,) whole numbers (int64), normal with this standard deviation and rounded, by the inverse of the normal
    distribution function. None is more than 8.3 deviations from 0."""
    words = (stream.ring([count]) >> (64 - _BITS)) + (1 << (_BITS - 1))
    uniform = (words.to(torch.float64) + 0.5) / (1 << _BITS)
    return torch.round(torch.special.ndtri(uniform) * deviation).to(torch.int64)
