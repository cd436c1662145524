"""Secure LIME: shares of prediction, coefficients, intercept and sums of squares.

The surrogate's coefficients are a linear map A of the model's outputs y (`concordat.design`). Where A is public, A·y is
local on shares; where it is as secret as the record, it is one product more (`tabular`). The outputs at the perturbed
records themselves are never opened to anyone.

All is computed from the differences y - p from the record's own prediction p: they can be had before anything is known
of the other rows, and A·y = A·(y - p), plus p for the intercept, since A maps constants to the intercept alone. The
requester makes the total sum of squares of theirs (`Design.fit`).

A model of several classes gives y a column for each, and all of the above is done with each column: one run of the
model, as many rounds, and as many numbers more as there are classes where rows are lifted and results cut.

Where rows come in mirrored pairs, a second sum of squares takes the differences within pairs as well: they are lifted
and squared in the same opening as the rows' own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from compute.engine import arithmetic, lifting, sigmoid
from compute.engine.arithmetic import TRUNCATED, Party, Share
from compute.engine.calculus import Calculus
from compute.engine.perturbed import order
from compute.engine.protocol import Protocol, parallel
from compute.engine.rows import Rows
from concordat.design import LARGEST_DIFFERENCE, OPERATOR_BITS, WEIGHT_BITS, Design, odd_weights, square_bits
from concordat.kinds import KINDS
from concordat.kinds.kind import Scale
from concordat.outputs import LARGEST
from concordat.reasons import Reason, Refused
from concordat.ring import RESULT_BITS

SCALE: dict[Scale, int] = {"log-odds": 53, "probability": sigmoid.PROBABILITY_BITS}
"""The largest scale at which they stay below 2^62, so that nothing else is mistaken for them modulo 2^64."""

ROWS, CELLS = 1 << 16, 1 << 20
"""How many rows are computed together, at most, and how many numbers of theirs are compared: about 700 MB."""

LEAST_BITS = 8
"""Of the differences that are squared: with fewer, R² would be noise."""


@dataclass(frozen=True)
class Surrogate:
    """The linear map of a design, with the record's own row before its n rows, and w what-ifs below them.

    `operator` (1 + w + d + 1, 1 + n + w) at 2^bits: its rows give the predictions of the record and of the what-ifs, d
    coefficients and the intercept. `weights` (s, 1 + n + w) and `pairs` (s, p) at 2^10: of the squares of rows, and of
    the differences in the first p pairs of perturbed ones, whose rows follow each other, for each of s sums of squares.
    """

    operator: Tensor
    weights: Tensor
    pairs: Tensor
    predictions: int
    bits: int

    @staticmethod
    def of(design: Design, what_ifs: int = 0) -> "Surrogate":
        operator, weights = torch.from_numpy(design.operator), torch.from_numpy(design.weights)
        return Surrogate.of_arrays(operator, weights, what_ifs, mirrored=design.mirrored)

    @staticmethod
    def of_arrays(
        operator: Tensor, weights: Tensor, what_ifs: int = 0, *, mirrored: bool = False, bits: int = OPERATOR_BITS
    ) -> "Surrogate":
        """From the (d + 1, n) operator and (n,) weights of a design, whose rows will be in their `order`. Columns stand
        for the record's own output, and for the differences of the others from it."""
        fitted, n = operator.shape
        squares, pairs, rows = weights[None], torch.zeros(1, 0, dtype=torch.int64), order(n, mirrored=mirrored)
        if mirrored:
            own, differences = map(torch.from_numpy, odd_weights(weights.numpy()))
            squares, pairs = torch.stack([weights, own]), torch.stack([torch.zeros_like(differences), differences])
        predictions = 1 + what_ifs
        whole = torch.zeros(predictions + fitted, 1 + n + what_ifs, dtype=torch.int64)
        whole[:predictions, 0] = whole[-1, 0] = 1 << bits
        whole[1:predictions, 1 + n :] = torch.eye(what_ifs, dtype=torch.int64) << bits
        whole[predictions:, 1 : 1 + n] = operator[:, rows]
        return Surrogate(whole, torch.nn.functional.pad(squares[:, rows], (1, what_ifs)), pairs, predictions, bits)

    def weigh(self, party: Party, block: slice, lifted: lifting.Lifted) -> Protocol[tuple[Share, Share]]:
        """Of a block of rows, lifted with the differences in its pairs below them, a column for each answer:
        (predictions + d + 1, K) the operator times the rows' numbers and (s, K) the weights times all squares. Local.
        """
        yield from ()
        weights = torch.cat([self.weights[:, block], self.pairs[:, self.pairs_in(block)]], dim=1)
        return self.operator[:, block] @ lifted.number[: block.stop - block.start], weights @ lifted.square

    def check(self, target: Scale) -> None:
        """Raises Refused(FIELD_INVALID) if results might not fit: a row of the operator is too large, or there are too
        many rows."""
        largest = int(self.operator.abs().sum(dim=1).max()) * LARGEST_DIFFERENCE[target]
        bits = SCALE[target] - lifting.BITS
        if largest << bits >= 1 << TRUNCATED or largest >= int(LARGEST[target]) << self.bits:
            raise Refused(Reason.FIELD_INVALID, detail="The operator's entries are too large.", field="design")
        if self.square_bits(target) < LEAST_BITS:
            raise Refused(Reason.FIELD_INVALID, detail="There are too many rows.", field="design")

    def square_bits(self, target: Scale) -> int:
        """The scale of the differences that are squared: the largest at which their weighted sums fit."""
        largest = self.weights.clamp(min=0).sum(dim=1) + self.pairs.sum(dim=1)
        return min(square_bits(int(largest.max()), target), SCALE[target] - lifting.BITS - 1)

    def blocks(self, most: int) -> Iterator[slice]:
        """All rows in turn, up to `most` at once, but two at least; no pair is divided."""
        start, length = 0, self.operator.shape[1]
        while start < length:
            stop = min(start + max(2, most), length)
            if 1 < stop <= 2 * self.pairs.shape[1]:
                stop -= (stop - 1) % 2
            yield slice(start, stop)
            start = stop

    def pairs_in(self, block: slice) -> slice:
        """Which pairs are in a block."""
        first, last = (min(max(place - 1, 0) // 2, self.pairs.shape[1]) for place in (block.start, block.stop))
        return slice(first, last)


@dataclass(frozen=True)
class Explained:
    """This party's shares, at 2^24 and re-randomised. Of several classes there are as many such numbers for each, one
    class after the other, in `kinds.kind.unit` (K)s.

    Attributes:
        prediction: (1 + w,) log-odds or probability of the record, and of the w what-ifs below the perturbed rows.
        explanation: (d + 2,) coefficients of d groups, intercept, weighted sum of squared differences of the outputs
            from the prediction; (d + 3,) of a mirrored design, with the sum of `odd_weights` over them.
    """

    prediction: Share
    explanation: Share


def explain(
    party: Party,
    kind: str,
    tensors: Mapping[str, Share],
    rows: Rows,
    surrogate: Surrogate,
    target: Scale = "log-odds",
    *,
    clamped: bool = True,
) -> Protocol[Explained]:
    """Run the protocol on the record's own row, the n perturbed ones and w what-ifs. Two rounds after the model's own:
    one more than a prediction alone needs, whose scale has to be cut too (but for trees) before its shares may leave.

    Rows come in blocks, one after the other, so that memory does not grow with n: each block is a run of the model, and
    what is kept of it are sums. Rounds are those of a block but for the last, times the number of blocks, and the last.

    A secret operator costs one round more for each block (`Surrogate.weigh`).

    Where probabilities are made of log-odds, `clamped` says whether these may exceed ±50 in any of the rows.

    What is lifted stays below 2^30 and what is truncated below 2^62 (`Surrogate.check`, `Surrogate.square_bits`).
    """
    bits, square_bits = SCALE[target] - lifting.BITS, surrogate.square_bits(target)
    sizes = KINDS[kind].sizes({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    answers = KINDS[kind].answers(sizes)
    numbers, squares = (
        torch.zeros(len(sums), answers, dtype=torch.int64) for sums in (surrogate.operator, surrogate.weights)
    )
    own: Share | None = None
    for block in surrogate.blocks(min(ROWS // answers, CELLS // KINDS[kind].width(sizes))):
        y = yield from _outputs(party, kind, tensors, rows.part(block), target, clamped)
        differences = torch.cat([y[:1], y[1:] - y[:1]]) if own is None else y - own
        own = y[:1] if own is None else own
        pairs = surrogate.pairs_in(block)
        paired = y[1 + 2 * pairs.start - block.start :][: 2 * (pairs.stop - pairs.start)]
        first, second = paired.reshape(-1, 2, answers).unbind(dim=1)
        squared = torch.cat([differences, first - second]).flatten()
        lifted = yield from lifting.lift(party, lifting.narrow(squared), bits - square_bits)
        weighed = yield from surrogate.weigh(party, block, lifted.columns(answers))
        numbers, squares = numbers + weighed[0], squares + weighed[1]
    results = yield from parallel(
        {
            "numbers": arithmetic.truncate(party, numbers.T.flatten(), bits + surrogate.bits - RESULT_BITS),
            "squares": arithmetic.truncate(party, squares.T.flatten(), 2 * square_bits + WEIGHT_BITS - RESULT_BITS),
        }
    )
    final = torch.cat([results[name].reshape(answers, -1) for name in ("numbers", "squares")], dim=1)
    final = final + party.zero(final.shape)
    return Explained(final[:, : surrogate.predictions].flatten(), final[:, surrogate.predictions :].flatten())


def _outputs(
    party: Party, kind: str, tensors: Mapping[str, Share], rows: Rows, target: Scale, clamped: bool
) -> Protocol[Share]:
    """(rows, answers) at the target's `SCALE`, modulo 2^64."""
    value = yield from KINDS[kind].secure(Calculus(party, rows), tensors)
    if target != KINDS[kind].scale:
        if clamped:
            value = yield from sigmoid.clamped(party, value)
        value = yield from sigmoid.sigmoid(party, value)
    outputs: Share = value.share << (SCALE[target] - value.bits)
    return outputs
