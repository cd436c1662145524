"""The rows of a design: public affine images of one secret record, and what a model's first layer costs on them.

The first layer is the only one that sees the rows. For masks (rows, k) of 0 and 1, W·(M_i ∘ x) = M_i·(W ∘ x); for
offsets Z, W·(x + Z_i) = W·x + Z_i·W; for secret components C, whose public masks say which are present,
W·(M_i·C) = M_i·(C·W). Each is one product of two secrets, for all rows together, and local sums. Rows that do not
depend on the record are given in public, and cost none; secret rows cost a matrix product.
"""

from dataclasses import dataclass, replace
from typing import Protocol as Interface
from typing import Self

import torch
from torch import Tensor

from compute.engine import arithmetic, comparison
from compute.engine.arithmetic import Party, Share
from compute.engine.comparison import Bits
from compute.engine.protocol import Protocol, parallel


class Rows(Interface):
    """All secret; `weight` (h, k) and the record at 2^16."""

    def __len__(self) -> int:
        """How many there are."""

    def part(self, wanted: slice) -> Self:
        """Some of them, on their own."""

    def times(self, party: Party, weight: Share) -> Protocol[Share]:
        """(rows, h) of rows times weight, at 2^32 (at 2^16 for a weight of whole numbers)."""

    def at_most(self, party: Party, features: Share, thresholds: Share) -> Protocol[Bits]:
        """(rows, h) bits: whether a row's feature, chosen by the one-hot `features` (h, k) in whole numbers, is at most
        the threshold (h,)."""


@dataclass(frozen=True)
class Masked:
    """Rows that keep some of the record's columns, and have zero in place of the others."""

    record: Share
    masks: Tensor

    def __len__(self) -> int:
        return len(self.masks)

    def part(self, wanted: slice) -> Self:
        return replace(self, masks=self.masks[wanted])

    def times(self, party: Party, weight: Share) -> Protocol[Share]:
        products = yield from arithmetic.product(party, weight, self.record)
        return self.masks @ products.T

    def at_most(self, party: Party, features: Share, thresholds: Share) -> Protocol[Bits]:
        """Each node compares twice, not once a row: with the record's value and with zero. Which of the two counts in a
        row, its public mask says once the secret feature is known: an AND of feature and difference."""
        products = yield from arithmetic.product(party, features, self.record)
        values = torch.stack([products.sum(dim=1), torch.zeros_like(thresholds)])
        kept, replaced = yield from _at_most(party, values, thresholds)
        # One-hot features are bits: the lowest bits of additive shares are shares of them by exclusive or.
        chosen = (features & 1).to(torch.uint8)
        differs = yield from comparison.both(party, chosen, (kept ^ replaced)[:, None])
        counted = self.masks @ differs.to(torch.int64).T
        return torch.bitwise_xor((counted & 1).to(torch.uint8), replaced)


@dataclass(frozen=True)
class Shifted:
    """The record plus public offsets (rows, k) at 2^16."""

    record: Share
    offsets: Tensor

    def __len__(self) -> int:
        return len(self.offsets)

    def part(self, wanted: slice) -> Self:
        return replace(self, offsets=self.offsets[wanted])

    def times(self, party: Party, weight: Share) -> Protocol[Share]:
        product = yield from arithmetic.product(party, weight, self.record[:, None], "matmul")
        return product.T + self.offsets @ weight.T

    def at_most(self, party: Party, features: Share, thresholds: Share) -> Protocol[Bits]:
        values = yield from self.times(party, features)
        return (yield from _at_most(party, values, thresholds))


@dataclass(frozen=True)
class Composed:
    """Sums of those secret components (c, k) that public masks (rows, c) name: of superpixels, of tokens."""

    components: Share
    masks: Tensor

    def __len__(self) -> int:
        return len(self.masks)

    def part(self, wanted: slice) -> Self:
        return replace(self, masks=self.masks[wanted])

    def times(self, party: Party, weight: Share) -> Protocol[Share]:
        products = yield from arithmetic.product(party, self.components, weight.T, "matmul")
        return self.masks @ products

    def at_most(self, party: Party, features: Share, thresholds: Share) -> Protocol[Bits]:
        values = yield from self.times(party, features)
        return (yield from _at_most(party, values, thresholds))


@dataclass(frozen=True)
class Given:
    """Public rows (rows, k) at 2^16 that do not depend on the record."""

    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, wanted: slice) -> Self:
        return replace(self, rows=self.rows[wanted])

    def times(self, party: Party, weight: Share) -> Protocol[Share]:
        yield from ()
        return self.rows @ weight.T

    def at_most(self, party: Party, features: Share, thresholds: Share) -> Protocol[Bits]:
        values = yield from self.times(party, features)
        return (yield from _at_most(party, values, thresholds))


@dataclass(frozen=True)
class Private:
    """Secret rows (rows, k), drawn by the requester with whatever sampler."""

    rows: Share

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, wanted: slice) -> Self:
        return replace(self, rows=self.rows[wanted])

    def times(self, party: Party, weight: Share) -> Protocol[Share]:
        return (yield from arithmetic.product(party, self.rows, weight.T, "matmul"))

    def at_most(self, party: Party, features: Share, thresholds: Share) -> Protocol[Bits]:
        values = yield from self.times(party, features)
        return (yield from _at_most(party, values, thresholds))


@dataclass(frozen=True)
class Stacked:
    """Several sorts of rows, one below the other."""

    parts: tuple[Rows, ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def part(self, wanted: slice) -> Self:
        start, stop, _ = wanted.indices(len(self))
        parts, above = [], 0
        for each in self.parts:
            first, last = max(start - above, 0), min(stop - above, len(each))
            if first < last:
                parts.append(each.part(slice(first, last)))
            above += len(each)
        return replace(self, parts=tuple(parts))

    def times(self, party: Party, weight: Share) -> Protocol[Share]:
        found = yield from parallel({str(place): part.times(party, weight) for place, part in enumerate(self.parts)})
        return torch.cat([found[str(place)] for place in range(len(self.parts))])

    def at_most(self, party: Party, features: Share, thresholds: Share) -> Protocol[Bits]:
        found = yield from parallel(
            {str(place): part.at_most(party, features, thresholds) for place, part in enumerate(self.parts)}
        )
        return torch.cat([found[str(place)] for place in range(len(self.parts))])


def _at_most(party: Party, values: Share, thresholds: Share) -> Protocol[Bits]:
    """values ≤ thresholds, for differences below 2^7 at 2^16."""
    above = yield from comparison.negative(party, thresholds - values, 24)
    return above ^ int(party.first)
