"""Ensembles of decision trees, boosted or not: which feature a node asks for is as secret as its threshold.

All t trees are complete, of one depth, with m = 2^depth - 1 nodes in heap order: `features` (t, m, k) has a single 1 in
each row; a record goes left where its feature is at most `thresholds` (t, m); `leaves` (t, m + 1) from left to right;
`base` () is added to the sum of the leaves reached. A smaller tree is padded with nodes whose two sides are alike.
"""

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np

from concordat.kinds.kind import COMPARED, LOG_ODDS, Calculus, Floats, Kind, Secret, Shape, Shapes, Tensors, fits

TREES, DEPTH = 50, 3
"""How many and how deep, unless the tensors say otherwise."""


def _sizes(given: Mapping[str, Shape]) -> Shape:
    trees, nodes = given["thresholds"]
    return trees, (nodes + 1).bit_length() - 1


def _shapes(columns: int, sizes: Shape = (TREES, DEPTH)) -> Shapes:
    trees, depth = sizes
    nodes = (1 << depth) - 1
    return [
        ("features", (trees, nodes, columns)),
        ("thresholds", (trees, nodes)),
        ("leaves", (trees, nodes + 1)),
        ("base", ()),
    ]


def _forward(tensors: Tensors, X: Floats) -> Floats:
    left = np.einsum("nk,tmk->ntm", X, tensors["features"]) <= tensors["thresholds"]
    trees, nodes = tensors["thresholds"].shape
    node = np.zeros(left.shape[:2], dtype=np.int64)
    for _ in range((nodes + 1).bit_length() - 1):
        node = 2 * node + 2 - np.take_along_axis(left, node[..., None], axis=2)[..., 0]
    reached: Floats = tensors["leaves"][np.arange(trees), node - nodes]
    total: Floats = reached.sum(axis=1) + tensors["base"]
    return total


def _secure(calculus: Calculus, tensors: Mapping[str, Secret]) -> Generator[Any, Any, Secret]:
    return (
        yield from calculus.ensemble(tensors["features"], tensors["thresholds"], tensors["leaves"], tensors["base"])
    )


def _prove(tensors: Tensors, lowest: Floats, highest: Floats) -> None:
    most = np.abs(tensors["thresholds"]).max()
    fits(COMPARED, lowest - most, highest + most, "differences between values and thresholds")
    leaves, base = tensors["leaves"], tensors["base"]
    fits(LOG_ODDS, leaves.min(axis=1).sum() + base, leaves.max(axis=1).sum() + base, "log-odds")


KIND = Kind(_sizes, _shapes, _forward, _secure, _prove, told_by_one_explanation=False, whole=frozenset({"features"}))
