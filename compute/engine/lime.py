"""Secure LIME on a public design: shares of prediction, coefficients, intercept and total sum of squares.

The surrogate's coefficients are a public linear map A of the model's outputs y (`concordat.design`), so A·y is
local on shares. The outputs at the perturbed records themselves are never opened to anyone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from compute.engine import arithmetic, sigmoid
from compute.engine.arithmetic import TRUNCATED, Party, Share, Value
from compute.engine.calculus import Calculus
from compute.engine.protocol import Protocol, parallel
from compute.engine.rows import Rows
from concordat.design import OPERATOR_BITS, WEIGHT_BITS, Design
from concordat.kinds import KINDS
from concordat.kinds.kind import LOG_ODDS, Scale
from concordat.reasons import Reason, Refused
from concordat.ring import BITS, RESULT_BITS

SIZE: dict[Scale, int] = {"log-odds": int(LOG_ODDS), "probability": 1}
"""What outputs stay below or at: proven for a model when it is imported."""

SCALE: dict[Scale, int] = {"log-odds": 2 * BITS, "probability": sigmoid.PROBABILITY_BITS}

DEVIATION_BITS: dict[Scale, int] = {"log-odds": 11, "probability": 16}
"""Scale of the deviations that are squared; at 2^-11 log-odds R² moves by less than 1e-3."""


@dataclass(frozen=True)
class Surrogate:
    """The public part of a design: `operator` (d + 2, n) at 2^20, whose rows give d coefficients, the intercept and the
    weighted mean, and the regression's `weights` (n,) at 2^10."""

    operator: Tensor
    weights: Tensor

    @classmethod
    def of(cls, design: Design) -> "Surrogate":
        """The mean is one more row of the map; in whole numbers, so alike on every machine."""
        weights, operator = torch.from_numpy(design.weights), torch.from_numpy(design.operator)
        total = int(weights.sum())
        mean = ((weights << (OPERATOR_BITS + 1)) + total) // (2 * total)
        return cls(torch.cat([operator, mean[None]]), weights)

    def check(self, target: Scale) -> None:
        """Raises Refused(FIELD_INVALID) if results might not fit: a row of the operator is too large."""
        largest = int(self.operator.abs().sum(dim=1).max())
        if (largest * SIZE[target]) << SCALE[target] >= 1 << TRUNCATED:
            raise Refused(Reason.FIELD_INVALID, detail="The operator's entries are too large.", field="design")


@dataclass(frozen=True)
class Explained:
    """This party's shares, at 2^24 and re-randomised.

    Attributes:
        prediction: (1 + w,) log-odds or probability of the record, and of w records below the perturbed ones.
        explanation: (d + 2,) coefficients of d groups, intercept, weighted total sum of squares.
    """

    prediction: Share
    explanation: Share


def explain(
    party: Party, kind: str, tensors: Mapping[str, Share], rows: Rows, surrogate: Surrogate, target: Scale = "log-odds"
) -> Protocol[Explained]:
    """Run the protocol on the record's own row, the n perturbed ones, and w more. Three rounds after the model's own.

    Integers before truncation: surrogate and deviations, the outputs' size at their scale, times the operator's row
    sums (`Surrogate.check`); total sum of squares, at 2^32 or 2^42 below 2^62 for a hundred thousand rows.
    """
    outputs: Value = yield from KINDS[kind].secure(Calculus(party, rows), tensors)
    outputs = yield from arithmetic.rescale(party, outputs, 2 * BITS)
    if target != KINDS[kind].scale:
        outputs = yield from sigmoid.clamped(party, Value(outputs.share << (2 * BITS - outputs.bits), 2 * BITS))
    n = len(surrogate.weights)
    own, y, more = torch.split(outputs.share[:, 0], [1, n, len(outputs.share) - 1 - n])
    predicted = torch.cat([own, more])

    fitted = surrogate.operator @ y
    coefficients, mean = fitted[:-1], fitted[-1:]
    scale, deviation_bits = outputs.bits + OPERATOR_BITS, DEVIATION_BITS[target]
    results = torch.cat([predicted << OPERATOR_BITS, coefficients])
    rounded = yield from parallel(
        {
            "numbers": arithmetic.truncate(party, results, scale - RESULT_BITS),
            "deviations": arithmetic.truncate(party, (y << OPERATOR_BITS) - mean, scale - deviation_bits),
        }
    )
    squares = yield from arithmetic.square(party, rounded["deviations"])
    total = surrogate.weights @ squares
    total = yield from arithmetic.truncate(party, total[None], 2 * deviation_bits + WEIGHT_BITS - RESULT_BITS)
    numbers = rounded["numbers"] + party.zero(rounded["numbers"].shape)
    prediction, explanation = numbers[: len(predicted)], numbers[len(predicted) :]
    return Explained(prediction, torch.cat([explanation, total + party.zero(total.shape)]))
