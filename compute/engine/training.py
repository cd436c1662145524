"""Secure training: a logistic regression by gradient descent over rows that each party brings of its own.

Rows X have a last column that is 1 for who is there and 0 for padding, so that a padded row is nothing but zeros and
changes nothing. A step is

    w ← w - c·Xᵀ(sigmoid(Xw) - y) - d·w        with public c, d; of d·w the bias has no part

that is: a product, a clamp by two ReLUs, the logistic function, a truncation, a product, and a truncation: nine rounds,
whatever the numbers of rows and columns. Weights have 2^24 on the way.

At the end every party adds noise of its own to its share, so that what comes out holds all parties' noise (why:
`concordat.training_privacy`). Nothing is opened but masked values, and how many of these weights are out of range.
"""

import torch
from torch import Tensor

from compute.engine import arithmetic, comparison, sigmoid
from compute.engine.arithmetic import Party, Share, Value
from compute.engine.protocol import Protocol
from compute.engine.ranges import count_outside
from concordat.kinds.kind import UNCLAMPED
from concordat.ring import BITS
from concordat.training_plan import FACTOR_BITS

WEIGHT_BITS = 24


def train(
    party: Party,
    rows: Share,
    outcomes: Share,
    *,
    steps: int,
    step: int,
    decay: int,
    noise: Tensor,
    largest: Tensor,
) -> Protocol[tuple[int, Share]]:
    """How many of the new weights are larger than they may be, and this party's share of them, at 2^16, re-randomised;
    (k + 1,) with the bias last.

    Args:
        rows: (n, k + 1) at 2^16, with the column of who is there.
        outcomes: (n,) 0 or 1; 0 in a row that is padding.
        step, decay: c and d at 2^`FACTOR_BITS` (`TrainingPlan.factors`).
        noise: (k + 1,) this party's own, at 2^16.
        largest: (k + 1,) at 2^16.
    """
    w = torch.zeros(rows.shape[1], dtype=torch.int64)
    penalised = torch.full_like(w, decay)
    penalised[-1] = 0
    for _ in range(steps):
        z = yield from arithmetic.product(party, rows, w[:, None], "matmul")
        clamped = yield from _clamped(party, Value(z[:, 0], BITS + WEIGHT_BITS))
        probability = yield from sigmoid.sigmoid(party, clamped)
        missed = probability.share - (outcomes << probability.bits)
        missed = yield from arithmetic.truncate(party, missed, probability.bits - BITS)
        gradient = yield from arithmetic.product(party, rows.T, missed[:, None], "matmul")  # at 2^32
        moved = step * gradient[:, 0] + (penalised * w << (2 * BITS - WEIGHT_BITS))
        w = w - (yield from arithmetic.truncate(party, moved, 2 * BITS + FACTOR_BITS - WEIGHT_BITS))
    final = noise + (yield from arithmetic.truncate(party, w, WEIGHT_BITS - BITS))
    outside = yield from count_outside(party, final, -largest, largest)
    return outside, final + party.zero(final.shape)


def _clamped(party: Party, x: Value) -> Protocol[Value]:
    """x, but no further from zero than `UNCLAMPED`, for x of any size that the ring holds; 4 rounds."""
    limit = party.public(torch.full_like(x.share, UNCLAMPED << x.bits))
    above, below = yield from comparison.relu(party, torch.stack([x.share - limit, -limit - x.share]), 64)
    return Value(x.share - above + below, x.bits)
