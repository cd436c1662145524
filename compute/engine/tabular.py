"""A surrogate whose operator and kernel weights are as secret as the record: LIME's own tabular samplers.

The rows of a tabular design are public, and which of them are like the record is not (`concordat.design.tabular`). So
A·y and the weighted sum of squares are products of two secrets here, both in one more round than where A is public: of
d + 2 vectors with n differences and n squares. Opened are A, the weights, the differences and the squares, each minus a
dealt number that is uniform and serves once (Beaver): a view is uniform whatever the record is.

Nobody proves that A is LIME's. Within the arithmetic's range it is when a client computed it; a requester that deviates
gets d + 2 other linear functions of the outputs at the public rows, modulo 2^64, in place of its own explanation, and
nobody else's. No share of another secret depends on A. Whoever is shown the record computes A again
(`concordat.verifier.disclosure`).
"""

from dataclasses import dataclass

import torch

from compute.engine import arithmetic
from compute.engine.arithmetic import Party, Share
from compute.engine.lifting import Lifted
from compute.engine.lime import Surrogate
from compute.engine.protocol import Protocol, parallel
from concordat.design import Plan, TabularDesign
from concordat.design.tabular import MOST_WEIGHT, OPERATOR_BITS


@dataclass(frozen=True)
class SecretSurrogate(Surrogate):
    """What is public of it are predictions and sizes: `weights` are the most that the secret ones can be.

    Attributes:
        secret_operator: (d + 1, 1 + n + w) at 2^24, zero for the record's own row and for what-ifs.
        secret_weights: (1 + n + w,) at 2^10, up to `MOST_WEIGHT` (`LocalDesign.weights`), likewise.
    """

    secret_operator: Share
    secret_weights: Share

    def weigh(self, party: Party, block: slice, lifted: Lifted) -> Protocol[tuple[Share, Share]]:
        """One round; 8 bytes opened for each entry of operator and weights and for each row twice."""
        found = yield from parallel(
            {
                "numbers": arithmetic.product(party, self.secret_operator[:, block], lifted.number, "matmul"),
                "squares": arithmetic.product(party, self.secret_weights[None, block], lifted.square, "matmul"),
            }
        )
        numbers = self.operator[:, block] @ lifted.number
        numbers[self.predictions :] += found["numbers"]
        return numbers, found["squares"]


def surrogate_of(plan: Plan, secret: Share, what_ifs: int = 0) -> Surrogate:
    """The surrogate of a plan, with this party's share of what the requester shared with its record
    (``plan.secrets`` numbers, as `LocalDesign.secret` has them)."""
    if not isinstance(plan, TabularDesign):
        return Surrogate.of(plan, what_ifs)
    n, fitted = plan.n, len(plan.groups) + 1
    most = torch.full((n,), MOST_WEIGHT)
    public = Surrogate.of_arrays(torch.zeros(fitted, n, dtype=torch.int64), most, what_ifs, bits=OPERATOR_BITS)
    operator, weights = torch.split(secret, [fitted * n, n])
    beside = (1, what_ifs)
    return SecretSurrogate(
        **vars(public),
        secret_operator=torch.nn.functional.pad(operator.reshape(fitted, n), beside),
        secret_weights=torch.nn.functional.pad(weights, beside),
    )
