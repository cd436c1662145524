"""Log-odds of a secret model for a secret record and its masked copies, one function for each kind of model.

A masked record is M_i ∘ x with public 0/1 rows M_i, so the first layer costs one secret product for all rows together:
W·(M_i ∘ x) = M_i · (W ∘ x), whose right-hand side is a local public sum once W ∘ x is shared.

Integers before truncation are at 2^32, so activations and log-odds up to 2^8 stay below 2^40.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

from compute.engine import arithmetic
from compute.engine.arithmetic import Share
from concordat.ring import BITS

Tensors = Mapping[str, Share]


def linear(tensors: Tensors, x: Share, masks: Tensor) -> Share:
    """Logistic regression: `weight` (k,), `bias` ()."""
    return arithmetic.truncate(_first_layer(tensors["weight"][None], tensors["bias"], x, masks), BITS)[:, 0]


def mlp(tensors: Tensors, x: Share, masks: Tensor) -> Share:
    """One hidden ReLU layer: `hidden.weight` (h, k), `hidden.bias` (h,), `output.weight` (h,), `output.bias` ()."""
    before = _first_layer(tensors["hidden.weight"], tensors["hidden.bias"], x, masks)
    hidden = arithmetic.relu(arithmetic.truncate(before, BITS))
    output = arithmetic.matrix_product(hidden, tensors["output.weight"][:, None])[:, 0]
    return arithmetic.truncate(output + (tensors["output.bias"] << BITS), BITS)


FORWARD: dict[str, Callable[[Tensors, Share, Tensor], Share]] = {"linear": linear, "mlp": mlp}
"""By kind: shared tensors and record (k,), all at 2^16, and public masks (rows, k), to log-odds (rows,) at 2^16."""


def _first_layer(weight: Share, bias: Share, x: Share, masks: Tensor) -> Share:
    """(rows, h) at 2^32."""
    return masks @ arithmetic.product(weight, x).T + (bias << BITS)
