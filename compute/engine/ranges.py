"""Is a secret record within public ranges? Found out before any output leaves, since all else relies on it."""

import torch
from torch import Tensor

from compute.engine import comparison
from compute.engine.arithmetic import Party, Share
from compute.engine.protocol import Protocol, Sum


def count_outside(party: Party, x: Share, lowest: Tensor, highest: Tensor) -> Protocol[int]:
    """How many bounds (k,) the record (k,) breaks, opened to all parties; 0 for every record that a client prepared.

    Exact for every ring element: x - lowest and highest - x are both not negative only if they add up to a small number
    without wrapping, that is if x lies between. A view shows that number alone: nothing about a record that is in
    order, and about another one, which no client prepared, how far from order it is.
    """
    distances = torch.cat([x - party.public(lowest), party.public(highest) - x])
    broken = yield from comparison.is_negative(party, distances, 64)
    (count,) = yield [Sum(broken.sum()[None] + party.zero((1,)))]
    return int(count)
