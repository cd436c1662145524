"""Random forests: the answer is the mean of the probabilities at the leaves reached (Breiman, Machine Learning 45,
2001; the mean in place of a vote is scikit-learn's).

The tensors are those of `trees` without a `base`; `leaves` (t, m + 1) lie between 0 and 1. They are averaged after they
have been added up, so that rounding them to fixed point moves the answer by no more than half a unit.
"""

from collections.abc import Generator, Mapping
from typing import Any

from concordat.kinds import trees
from concordat.kinds.kind import Calculus, Floats, Kind, Secret, Shape, Shapes, Tensors
from concordat.reasons import Reason, Refused


def _shapes(columns: int, sizes: Shape = (trees.TREES, trees.DEPTH)) -> Shapes:
    return [(name, shape) for name, shape in trees.shapes(columns, sizes) if name != "base"]


def _forward(tensors: Tensors, X: Floats) -> Floats:
    mean: Floats = trees.reached(tensors, X).mean(axis=1)
    return mean


def _secure(calculus: Calculus, tensors: Mapping[str, Secret]) -> Generator[Any, Any, Secret]:
    total = yield from calculus.ensemble(tensors["features"], tensors["thresholds"], tensors["leaves"], 0)
    return calculus.mean(total, len(tensors["leaves"]))


def _prove(tensors: Tensors, lowest: Floats, highest: Floats) -> float:
    trees.comparable(tensors, lowest, highest)
    leaves = tensors["leaves"]
    if not (leaves.min() >= 0 and leaves.max() <= 1):  # NaN is no probability either
        raise Refused(Reason.MODEL_OUT_OF_RANGE, detail="The leaves of a forest are probabilities, from 0 to 1.")
    return 1.0


_MEASURED = (
    "Measured: on other patients, a surrogate made of 16 explanations agreed with 95 % of the decisions of a forest of "
    "50 trees of depth 4; made of 4, with 93 %."
)

KIND = Kind(
    "probability",
    trees.sizes,
    _shapes,
    _forward,
    _secure,
    _prove,
    trees.width,
    told_by_one_explanation=False,
    measured=_MEASURED,
    whole=trees.WHOLE,
)
