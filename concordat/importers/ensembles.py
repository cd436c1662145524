"""Trees of any shape, from any library, made complete ones of the kinds `trees` and `forest`."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from concordat.kinds.kind import Tensors
from concordat.reasons import Reason, Refused

DEEPEST = 10
"""A complete tree of that many levels has a thousand leaves; a deeper one has to be trained shallower."""


@dataclass(frozen=True)
class Imported:
    """What `concordat.model.publish` wants to know. `classes` are the names of several, in the order of the answers,
    and none of two."""

    kind: str
    tensors: Tensors
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Split:
    """A node that sends a record left where its column is at most the threshold."""

    column: int
    threshold: float
    left: "Split | float"
    right: "Split | float"


Tree = Split | float
"""A leaf is its value."""

Node = tuple[int, float, int, int] | float
"""As libraries keep a tree, in lists: a split's column, its threshold, and the numbers of the nodes on its left and
right; or a leaf's value."""


def grow(nodes: Callable[[int], Node], columns: int, *, tree: int, root: int = 0) -> Tree:
    """The tree that hangs from its root.

    Args:
        nodes: the node of a number.
        tree: which one of the model's it is, to be named in errors.

    Raises:
        Refused: FIELD_INVALID if a node is reached twice, lies too deep, asks for a column that is not there, or has a
            threshold or value that is not finite; what `nodes` raises.
    """
    reached: set[int] = set()

    def below(number: int, level: int) -> Tree:
        place = f"Tree {tree}, node {number}"
        if number in reached:
            raise invalid(f"{place}: it is reached twice, so this is no tree.")
        reached.add(number)
        node = nodes(number)
        if not isinstance(node, tuple):
            return _finite(node, f"{place}: the leaf's value")
        column, threshold, left, right = node
        if level == DEEPEST:
            raise invalid(f"Tree {tree} is deeper than {DEEPEST} levels.")
        if not 0 <= column < columns:
            raise invalid(f"{place}: it asks for column {column}; the schema's are 0 to {columns - 1}.")
        threshold = _finite(threshold, f"{place}: the threshold")
        return Split(column, threshold, below(left, level + 1), below(right, level + 1))

    return below(root, 0)


def ensemble(trees: Sequence[Tree], base: float, columns: int) -> Imported:
    """Trees of any shape, whose leaves add up to log-odds. Raises Refused(FIELD_INVALID)."""
    return Imported("trees", {**complete(trees, columns), "base": np.array(base)})


def complete(trees: Sequence[Tree], columns: int) -> dict[str, Any]:
    """Trees as complete ones of the depth of the deepest (see `concordat.kinds.trees`). Raises as `ensemble`."""
    depth = max(1, *(_depth(tree) for tree in trees)) if trees else 1
    if not trees or depth > DEEPEST:
        raise invalid(f"There is a tree, and none is deeper than {DEEPEST} levels.")
    nodes = (1 << depth) - 1
    tensors: dict[str, Any] = {
        "features": np.zeros((len(trees), nodes, columns)),
        "thresholds": np.zeros((len(trees), nodes)),
        "leaves": np.zeros((len(trees), nodes + 1)),
    }
    for index, tree in enumerate(trees):
        level: list[Tree] = [tree]
        for first in ((1 << level_) - 1 for level_ in range(depth)):
            below: list[Tree] = []
            for node, each in enumerate(level, start=first):
                # A leaf above the last level asks for any column, and is the same on both sides.
                split = each if isinstance(each, Split) else Split(0, 0.0, each, each)
                tensors["features"][index, node, split.column] = 1
                tensors["thresholds"][index, node] = split.threshold
                below += [split.left, split.right]
            level = below
        tensors["leaves"][index] = level
    return tensors


def invalid(detail: str) -> Refused:
    """Something is wrong with the model."""
    return Refused(Reason.FIELD_INVALID, detail=detail, field="model")


def unknown(detail: str) -> Refused:
    """It is of no kind that there is."""
    return Refused(Reason.FIELD_INVALID, detail=detail, field="kind")


def _finite(value: float, what: str) -> float:
    if not math.isfinite(value):
        raise invalid(f"{what} is no finite number.")
    return value


def _depth(tree: Tree) -> int:
    return 1 + max(_depth(tree.left), _depth(tree.right)) if isinstance(tree, Split) else 0
