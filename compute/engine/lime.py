"""Secure LIME on a public mask design: shares of prediction, coefficients, intercept and total sum of squares.

The surrogate's coefficients are a public linear map A of the model's outputs y (design.py of `concordat`), so A·y is
local on shares. The outputs at the perturbed records themselves are never opened to anyone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from compute.engine import arithmetic
from compute.engine.arithmetic import TRUNCATED, Party, Share, Value
from compute.engine.calculus import Calculus
from compute.engine.protocol import Protocol, parallel
from compute.engine.rows import Masked
from concordat.design import OPERATOR_BITS, WEIGHT_BITS, Design
from concordat.kinds import KINDS
from concordat.kinds.kind import LOG_ODDS
from concordat.reasons import Reason, Refused
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


def explain(party: Party, kind: str, tensors: Mapping[str, Share], x: Share, design: Design) -> Protocol[Explained]:
    """Run the protocol; all parties call it with the same kind and design. Three rounds after the model's own.

    Integers before truncation, with log-odds below 2^8: surrogate and deviations, 2^(8+32+20) times the operator's row
    sums, which `check_design` bounds; total sum of squares, 2^32 times the sum, below 2^62 for a million rows.
    """
    masks = torch.from_numpy(np.vstack([np.ones_like(design.column_masks[:1]), design.column_masks]))
    outputs: Value = yield from KINDS[kind].secure(Calculus(party, Masked(x, masks)), tensors)
    outputs = yield from arithmetic.rescale(party, outputs, 2 * BITS)
    first, y = outputs.share[:1, 0], outputs.share[1:, 0]

    public = torch.from_numpy(np.vstack([design.operator, _mean_row(design)]))
    surrogate = public @ y
    coefficients, mean = surrogate[:-1], surrogate[-1:]
    scale = outputs.bits + OPERATOR_BITS
    rounded = yield from parallel(
        {
            "numbers": arithmetic.truncate(party, torch.cat([first << OPERATOR_BITS, coefficients]), scale - BITS),
            "deviations": arithmetic.truncate(party, (y << OPERATOR_BITS) - mean, scale - DEVIATION_BITS),
        }
    )
    squares = yield from arithmetic.square(party, rounded["deviations"])
    total = torch.from_numpy(design.weights) @ squares
    total = yield from arithmetic.truncate(party, total[None], 2 * DEVIATION_BITS + WEIGHT_BITS - BITS)
    numbers = rounded["numbers"] + party.zero(rounded["numbers"].shape)
    return Explained(numbers[:1], torch.cat([numbers[1:], total + party.zero(total.shape)]))


def check_design(design: Design) -> None:
    """Raises Refused(FIELD_INVALID) for a design whose results might not fit: its operator's rows are too large."""
    rows = np.abs(np.vstack([design.operator, _mean_row(design)])).sum(axis=1)
    if int(rows.max()) << (int(LOG_ODDS).bit_length() - 1 + 2 * BITS) >= 1 << TRUNCATED:
        raise Refused(Reason.FIELD_INVALID, detail="The operator's entries are too large.", field="design")


def _mean_row(design: Design) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """(n,) the weighted mean as one more row of the public map; in whole numbers, so alike on every machine."""
    total = int(design.weights.sum())
    return ((design.weights << (OPERATOR_BITS + 1)) + total) // (2 * total)
