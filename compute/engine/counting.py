"""Secure audit: how many rows of each group, with and without the outcome, the model answers between which thresholds.

Each party brings rows of its own, which it shares without a message: everybody adds a fresh share of zeros, and the
owner the row. The model runs on all rows as on a person's what-ifs; its answers are compared with the public
thresholds, and the counts are one product of two secret matrices. A count below the smallest cell becomes zero before
it leaves: what is opened of it is the same as of no row at all.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from compute.engine import arithmetic, comparison
from compute.engine.arithmetic import Party, Share
from compute.engine.calculus import Calculus
from compute.engine.circuits import Width
from compute.engine.lime import CELLS, ROWS
from compute.engine.protocol import Protocol
from compute.engine.rows import Private
from concordat.kinds import KINDS
from concordat.kinds.kind import Scale

COUNT_BITS: Width = 24
"""Counts are compared in 24 bits: below 2^23, more rows than parties can bring."""


def share_own(party: Party, parties: int, own: Tensor) -> Share:
    """(parties · rows, …) this party's share of what all of them bring, one below the other, of which `own` (rows, …)
    is its part. Local."""
    everybody = party.zero((parties, *own.shape))
    everybody[party.rank] += own
    return everybody.reshape(-1, *own.shape[1:])


def bounds(thresholds: Sequence[float], scale: Scale, bits: int) -> Tensor:
    """(T,) the probabilities on the model's scale, at 2^bits."""
    if scale == "log-odds":
        thresholds = [math.log(each) - math.log1p(-each) for each in thresholds]
    return torch.tensor([round(each * (1 << bits)) for each in thresholds], dtype=torch.int64)


def count(
    party: Party,
    kind: str,
    tensors: Mapping[str, Share],
    rows: Share,
    members: Share,
    *,
    thresholds: Sequence[float],
    smallest: int,
) -> Protocol[Share]:
    """(2G · (T + 1),) whole numbers: counts by group, outcome and bin; those below `smallest` are 0. Re-randomised.

    Args:
        rows: (n, k) records at 2^16, and
        members: (n, 2G) 0 or 1, nothing but zeros in a row that is padding.

    Rows come in blocks: the model's rounds, and five, for each of them, and three at the end.
    """
    sizes = KINDS[kind].sizes({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    block = max(1, min(ROWS, CELLS // KINDS[kind].width(sizes), CELLS // len(thresholds)))
    counts = torch.zeros(members.shape[1], len(thresholds) + 1, dtype=torch.int64)
    for mine, groups in zip(torch.split(rows, block), torch.split(members, block), strict=True):
        answer = yield from KINDS[kind].secure(Calculus(party, Private(mine)), tensors)
        ends = bounds(thresholds, KINDS[kind].scale, answer.bits)
        below = yield from comparison.is_negative(party, answer.share - party.public(ends[None, :]), 64)
        reached = party.public(torch.ones(len(mine), 1 + len(thresholds), dtype=torch.int64))
        reached[:, 1:] -= below
        bins = torch.cat([reached[:, :-1] - reached[:, 1:], reached[:, -1:]], dim=1)
        counts += yield from arithmetic.product(party, groups.T, bins, "matmul")
    # What is left of a count above the smallest cell less one is not negative, and says which counts those are.
    above = counts.flatten() - party.public(torch.full((counts.numel(),), smallest - 1))
    kept = yield from comparison.relu(party, above, COUNT_BITS)
    return kept + party.zero(kept.shape)
