"""Multi-layer perceptrons with ReLU for K classes, 3 to 16: `mlp` with `output.weight` (K, h) and `output.bias` (K,).

The network's K numbers z are log-odds but for a number that they have in common: the softmax of all of them is the same
whatever is added to all. So what a model answers with is that of which nothing is arbitrary, z less their mean: the
logarithm of each class's probability over the geometric mean of all classes' (Aitchison, The Statistical Analysis of
Compositional Data, 1986: the centred log-ratio). The K probabilities follow from them, and they from the probabilities.
"""

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np

from concordat.kinds import mlp
from concordat.kinds.kind import LOG_ODDS, Calculus, Floats, Kind, Secret, Shape, Shapes, Tensors, fits, interval

FEWEST, MOST = 3, 16
"""Classes. For two there is `mlp`, which answers with one number."""


def _sizes(given: Mapping[str, Shape]) -> Shape:
    (classes,) = given["output.bias"]
    if not FEWEST <= classes <= MOST:
        raise ValueError("number of classes")
    return (*mlp.sizes(given), classes)


def _shapes(columns: int, sizes: Shape = (mlp.HIDDEN, FEWEST)) -> Shapes:
    *hidden, classes = sizes
    return [*mlp.hidden_shapes(columns, hidden), ("output.weight", (classes, hidden[-1])), ("output.bias", (classes,))]


def _forward(tensors: Tensors, X: Floats) -> Floats:
    z = mlp.activations(tensors, X) @ tensors["output.weight"].T + tensors["output.bias"]
    centred: Floats = z - z.mean(axis=1, keepdims=True)
    return centred


def _secure(calculus: Calculus, tensors: Mapping[str, Secret]) -> Generator[Any, Any, Secret]:
    value = yield from mlp.secure_activations(calculus, tensors)
    return calculus.centred((yield from calculus.layer(value, tensors["output.weight"], tensors["output.bias"])))


def _prove(tensors: Tensors, lowest: Floats, highest: Floats) -> float:
    """Of the centred log-odds alone: what all classes have in common is neither truncated nor opened."""
    lowest, highest = mlp.prove_activations(tensors, lowest, highest)
    weight, bias = (tensors[name] - np.mean(tensors[name], axis=0) for name in ("output.weight", "output.bias"))
    return fits(LOG_ODDS, *interval(weight, bias, lowest, highest), "centred log-odds")


KIND = Kind(
    "log-odds",
    _sizes,
    _shapes,
    _forward,
    _secure,
    _prove,
    max,
    told_by_one_explanation=False,
    measured="",
    several=True,
)
