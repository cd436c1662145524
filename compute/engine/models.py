"""Log-odds of a secret model for a secret record and its masked copies, one function for each kind of model.

A masked record is M_i ∘ x with public 0/1 rows M_i, so the first layer costs one secret product for all rows together:
W·(M_i ∘ x) = M_i · (W ∘ x), whose right-hand side is a local public sum once W ∘ x is shared.

Nothing is truncated on the way: a first layer is at 2^32, a second at 2^48. Activations below 2^15 and log-odds below
2^14 fit.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

from compute.engine import arithmetic, comparison
from compute.engine.arithmetic import Party, Share, Value
from compute.engine.protocol import Protocol
from concordat.ring import BITS

Tensors = Mapping[str, Share]


def linear(party: Party, tensors: Tensors, x: Share, masks: Tensor) -> Protocol[Value]:
    """Logistic regression: `weight` (k,), `bias` ()."""
    first = yield from _first_layer(party, tensors["weight"][None], tensors["bias"], x, masks)
    return Value(first[:, 0], 2 * BITS)


def mlp(party: Party, tensors: Tensors, x: Share, masks: Tensor) -> Protocol[Value]:
    """One hidden ReLU layer: `hidden.weight` (h, k), `hidden.bias` (h,), `output.weight` (h,), `output.bias` ()."""
    first = yield from _first_layer(party, tensors["hidden.weight"], tensors["hidden.bias"], x, masks)
    hidden = yield from comparison.relu(party, first, 48)
    output = yield from arithmetic.product(party, hidden, tensors["output.weight"][:, None], "matmul")
    return Value(output[:, 0] + (tensors["output.bias"] << 2 * BITS), 3 * BITS)


FORWARD: dict[str, Callable[[Party, Tensors, Share, Tensor], Protocol[Value]]] = {"linear": linear, "mlp": mlp}
"""By kind: shared tensors and record (k,), all at 2^16, and public masks (rows, k), to log-odds (rows,)."""


def _first_layer(party: Party, weight: Share, bias: Share, x: Share, masks: Tensor) -> Protocol[Share]:
    """(rows, h) at 2^32."""
    products = yield from arithmetic.product(party, weight, x)
    return masks @ products.T + (bias << BITS)
