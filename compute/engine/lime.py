"""Secure LIME on a public mask design: shares of prediction, coefficients, intercept and total sum of squares.

The surrogate's coefficients are a public linear map A of the model's outputs y (design.py of `concordat`), so A·y is
local on shares. The outputs at the perturbed records themselves are never opened to anyone.
"""

from dataclasses import dataclass

import numpy as np
import torch

from compute.engine import arithmetic
from compute.engine.arithmetic import Share
from compute.engine.models import FORWARD, Tensors
from concordat.design import OPERATOR_BITS, WEIGHT_BITS, Design
from concordat.ring import BITS

DEVIATION_BITS = 11
"""Scale of the deviations that are squared: 2^-11 log-odds, which moves R² by less than 1e-3."""


@dataclass(frozen=True)
class Explained:
    """This party's shares, at 2^16 and re-randomised.

    Attributes:
        prediction: (1,) log-odds of the record.
        explanation: (d + 2,) coefficients of d groups, intercept, weighted total sum of squares.
    """

    prediction: Share
    explanation: Share


def explain(kind: str, tensors: Tensors, x: Share, design: Design) -> Explained:
    """Run the protocol; all parties call it with the same kind and design.

    Truncated integers, with the log-odds y, coefficients and mean c: |c| · 2^36, so 2^40 holds up to |c| = 16;
    deviations · 2^16; total sum of squares · 2^32, so 2^40 holds up to 256, that is 128 perturbations of variance 3.
    """
    masks = torch.from_numpy(np.vstack([np.ones_like(design.column_masks[:1]), design.column_masks]))
    outputs = FORWARD[kind](tensors, x, masks)
    prediction, y = outputs[:1], outputs[1:]

    public = torch.from_numpy(np.vstack([design.operator, _mean_row(design)]))
    surrogate = arithmetic.truncate(public @ y, OPERATOR_BITS)
    coefficients, mean = surrogate[:-1], surrogate[-1:]

    deviation = arithmetic.truncate(y - mean, BITS - DEVIATION_BITS)
    squares = torch.from_numpy(design.weights) @ arithmetic.square(deviation)
    total = arithmetic.truncate(squares[None], 2 * DEVIATION_BITS + WEIGHT_BITS - BITS)

    return Explained(
        prediction=arithmetic.rerandomise(prediction),
        explanation=arithmetic.rerandomise(torch.cat([coefficients, total])),
    )


def _mean_row(design: Design) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """(n,) the weighted mean as one more row of the public map; in whole numbers, so alike on every machine."""
    total = int(design.weights.sum())
    return ((design.weights << (OPERATOR_BITS + 1)) + total) // (2 * total)
