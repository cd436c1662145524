"""The arithmetic that kinds of models are written in (`concordat.kinds`), on the shares of one party.

Numbers keep the scale that products give them, and are truncated only where the next product would not fit: a first
layer is at 2^32, the one after a ReLU at 2^48, a mean at 2^46, centred log-odds of up to sixteen classes at 2^52.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from compute.engine import arithmetic, comparison
from compute.engine.arithmetic import Party, Share, Value
from compute.engine.protocol import Protocol
from compute.engine.rows import Rows
from concordat.ring import BITS

DIVISOR_BITS = 30
"""What a public divisor is inverted at: a mean of a thousand numbers is off by less than one millionth of itself."""


@dataclass(frozen=True)
class Calculus:
    """What `concordat.kinds.kind.Calculus` asks for, for these rows."""

    party: Party
    rows: Rows

    def first(self, weight: Share, bias: Share) -> Protocol[Value]:
        product = yield from self.rows.times(self.party, weight)
        return Value(product + (bias << BITS), 2 * BITS)

    def relu(self, value: Value) -> Protocol[Value]:
        value = yield from arithmetic.rescale(self.party, value, 2 * BITS)
        return Value((yield from comparison.relu(self.party, value.share, 48)), value.bits)

    def layer(self, value: Value, weight: Share, bias: Share) -> Protocol[Value]:
        value = yield from arithmetic.rescale(self.party, value, 2 * BITS)
        product = yield from arithmetic.product(self.party, value.share, weight.T, "matmul")
        return Value(product + (bias << value.bits), value.bits + BITS)

    def ensemble(self, features: Share, thresholds: Share, values: Share, base: Share | int) -> Protocol[Value]:
        trees, nodes, columns = features.shape
        left = yield from self.rows.at_most(self.party, features.reshape(-1, columns), thresholds.reshape(-1))
        by_node = left.reshape(-1, trees, nodes).permute(2, 0, 1)
        reached = yield from comparison.leaves(self.party, by_node, (nodes + 1).bit_length() - 1)
        chosen: Tensor = reached.permute(1, 2, 0).reshape(len(left), -1)
        total = yield from comparison.choose(self.party, chosen, values.reshape(-1))
        return Value(torch.unsqueeze(total + base, 1), BITS)

    def centred(self, value: Value) -> Value:
        classes = value.share.shape[1]
        differences = classes * value.share - value.share.sum(dim=1, keepdim=True)
        return Value(differences, value.bits + (classes - 1).bit_length())

    def mean(self, total: Value, count: int) -> Value:
        return Value(total.share * round((1 << DIVISOR_BITS) / count), total.bits + DIVISOR_BITS)
