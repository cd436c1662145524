"""Surrogate trees, grown to give the explanations that secret trees gave.

Boosting (Friedman, Annals of Statistics 29, 2001) with one change: what a tree is grown on is the residual of the
opened numbers, taken back to the perturbed records through the public map, and its leaves are fitted to the opened
numbers by ridge regression, since these are linear in them. Total sums of squares are not used.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

from bench.victims import Seen
from concordat.design import OPERATOR_BITS, MaskDesign

Floats = NDArray[np.float64]

ROUNDS = 200
RATE = 0.2
DEPTH = 3
COLUMNS = 0.5
RIDGE = 0.3
"""Chosen once; a better choice attacks better. `COLUMNS` is the part of all that a split chooses among."""

AT_ONCE = 16
"""How many explanations a tree is grown on; of predictions, all. Its leaves are fitted to all of them."""


def grow(seen: Seen, seed: int, design: MaskDesign | None) -> Callable[[Floats], Floats]:
    """Trees whose predictions are those that were opened; with a `design`, their coefficients and intercepts as well.
    They map records (m, k) to outputs (m,)."""
    generator = np.random.default_rng(seed)
    records, (asked, columns) = seen.records, seen.records.shape
    masks, public, opened = np.ones((1, columns)), np.ones((1, 1)), seen.predictions[:, None]
    if design:
        masks = np.vstack([masks, design.column_masks])
        public = np.zeros((len(design.operator) + 1, len(masks)))
        public[0, 0], public[1:, 1:] = 1, design.operator / (1 << OPERATOR_BITS)
        opened = np.column_stack([seen.predictions, seen.coefficients])
    rows = (masks * records[:, None]).reshape(-1, columns)
    base = float(seen.predictions.mean())
    fitted = np.full((asked, len(masks)), base)
    trees: list[tuple[DecisionTreeRegressor, Floats]] = []
    for _ in range(ROUNDS):
        residual = opened - fitted @ public.T
        some = generator.permutation(asked)[: AT_ONCE if design else asked]
        tree = DecisionTreeRegressor(
            max_depth=DEPTH, max_features=COLUMNS, random_state=int(generator.integers(1 << 31))
        ).fit(rows.reshape(asked, len(masks), columns)[some].reshape(-1, columns), (residual[some] @ public).ravel())
        leaves, place = np.unique(tree.apply(rows), return_inverse=True)
        reached = np.eye(len(leaves))[place].reshape(asked, len(masks), -1)
        inputs = np.einsum("on,qnl->qol", public, reached).reshape(-1, len(leaves))
        found = np.linalg.solve(inputs.T @ inputs + RIDGE * np.eye(len(leaves)), inputs.T @ residual.ravel())
        fitted += RATE * reached @ found
        values = np.zeros(tree.tree_.node_count)
        values[leaves] = RATE * found
        trees.append((tree, values))
    return lambda others: base + np.sum([values[tree.apply(others)] for tree, values in trees], axis=0)
