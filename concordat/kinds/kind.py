"""What a kind of model consists of, and the arithmetic that every kind is written in.

A model is a public shape and secret tensors. A kind says which shapes there are, how the plaintext reference computes,
how the engine computes the same on shares, and what has to hold so that no number leaves the range of the secure
arithmetic.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from concordat.reasons import Reason, Refused

Floats = NDArray[np.float64]
Tensors = Mapping[str, Floats]
Shape = tuple[int, ...]
Shapes = list[tuple[str, Shape]]
Secret = Any
"""A tensor of which everybody has a share."""

Scale = Literal["log-odds", "probability"]
"""What a number stands for that a model answers with, and that is predicted and explained."""

SCALES: tuple[Scale, ...] = get_args(Scale)

LOG_ODDS = 2.0**8
ACTIVATION = 2.0**14
COMPARED = 2.0**7
"""What the engine's arithmetic has room for: log-odds, what goes into a ReLU, and what a tree compares, in size."""

UNCLAMPED = 50
"""Up to here, in size, log-odds become probabilities as they are; beyond, they have to be clamped first."""


class Calculus(Protocol):
    """The engine's arithmetic for the rows of a design. Every method but `mean` and `centred` is a protocol, for
    ``yield from``."""

    def first(self, weight: Secret, bias: Secret) -> Generator[Any, Any, Secret]:
        """(rows, h) of the rows times `weight` (h, k), plus `bias` (h,)."""

    def relu(self, value: Secret) -> Generator[Any, Any, Secret]:
        """max(value, 0)."""

    def layer(self, value: Secret, weight: Secret, bias: Secret) -> Generator[Any, Any, Secret]:
        """(rows, h) of `value` (rows, g) times `weight` (h, g), plus `bias` (h,)."""

    def ensemble(
        self, features: Secret, thresholds: Secret, values: Secret, base: Secret
    ) -> Generator[Any, Any, Secret]:
        """(rows, 1) of the sum of complete trees and `base` (see `trees`), which may be a public whole number."""

    def mean(self, total: Secret, count: int) -> Secret:
        """`total` / `count`, without a message."""

    def centred(self, value: Secret) -> Secret:
        """`value` (rows, K) less each row's mean, in `unit` (K)s, without a message."""


@dataclass(frozen=True)
class Kind:
    """A family of models.

    Attributes:
        scale: what they answer in. A probability can be made of log-odds, but not the other way round: a forest's 0 and
            1 have none.
        sizes: what is free in the shapes, read from given shapes by tensor name. Raises KeyError or IndexError where
            they are not of this kind.
        shapes: names and shapes of the tensors, in the order in which shares are written, for a number of columns and
            the free sizes.
        forward: plaintext reference; tensors and X (n, columns) to outputs (n,) on the scale, or (n, K) of K classes.
        secure: the same on shares: tensors to (rows, 1), or (rows, K) in `unit` (K)s.
        prove: for records between (columns,) bounds, the most that an output can be in size. Raises
            Refused(MODEL_OUT_OF_RANGE) where numbers might not fit.
        width: how many numbers of a row are compared at once, for the free sizes; memory grows with it.
        told_by_one_explanation: whether one explanation, on either scale, gives the weights away.
        measured: what sufficed to attack such models (`make bench-extraction`), in a sentence that definitions carry;
            empty if none was attacked. `concordat.extraction` says what a change of it means.
        whole: tensors of whole numbers, a single 1 in each row, carried without fractional bits.
        several: whether they tell several classes apart: so many as the last of the free sizes says. Then they answer
            for each class with its centred log-odds, those less the mean of all classes' (`softmax` undoes it).
    """

    scale: Scale
    sizes: Callable[[Mapping[str, Shape]], Shape]
    shapes: Callable[..., Shapes]
    forward: Callable[[Tensors, Floats], Floats]
    secure: Callable[[Calculus, Mapping[str, Secret]], Generator[Any, Any, Secret]]
    prove: Callable[[Tensors, Floats, Floats], float]
    width: Callable[[Shape], int]
    told_by_one_explanation: bool
    measured: str
    whole: frozenset[str] = frozenset()
    several: bool = False

    @property
    def targets(self) -> tuple[Scale, ...]:
        """The scales on which a model of this kind can be explained: there is no secure exponential for a softmax."""
        if self.several:
            return ("log-odds",)
        return ("log-odds", "probability") if self.scale == "log-odds" else ("probability",)

    def answers(self, sizes: Shape) -> int:
        """With how many numbers a model answers, for the free sizes: one for each of several classes; of two, one."""
        return sizes[-1] if self.several else 1


def unit(answers: int) -> float:
    """What the engine's numbers of a model with so many answers count in: from 1 up to 2, and 1 for a single answer.

    Centring takes a division by K. K times as much takes none, so it is exact on shares, and K / 2^⌈log₂ K⌉ times as
    much is no larger than the number itself: it fits wherever that does.
    """
    return float(2 ** (answers - 1).bit_length() / answers)


def softmax(log_odds: Floats) -> Floats:
    """(..., K) probabilities of centred log-odds, or of any that differ from them by a number for each row."""
    powers = np.exp(log_odds - log_odds.max(axis=-1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def interval(weight: Floats, bias: Floats, lowest: Floats, highest: Floats) -> tuple[Floats, Floats]:
    """The least and the most that ``weight @ x + bias`` can be for x between the bounds."""
    up, down = np.maximum(weight, 0), np.minimum(weight, 0)
    return up @ lowest + down @ highest + bias, up @ highest + down @ lowest + bias


def fits(most: float, lowest: Floats, highest: Floats, what: str) -> float:
    """The largest bound in size. Raises Refused(MODEL_OUT_OF_RANGE) unless it is below `most`."""
    largest = float(max(np.abs(lowest).max(), np.abs(highest).max()))
    if not largest < most:  # NaN does not fit either
        raise Refused(Reason.MODEL_OUT_OF_RANGE, detail=f"The {what} may exceed {most:g} in size.")
    return largest
