"""Logistic regression: `weight` (k,), `bias` ()."""

from collections.abc import Generator, Mapping
from typing import Any

from concordat.kinds.kind import LOG_ODDS, Calculus, Floats, Kind, Secret, Shape, Shapes, Tensors, fits, interval


def _shapes(columns: int, sizes: Shape = ()) -> Shapes:
    return [("weight", (columns,)), ("bias", ())]


def _forward(tensors: Tensors, X: Floats) -> Floats:
    return X @ tensors["weight"] + tensors["bias"]


def _secure(calculus: Calculus, tensors: Mapping[str, Secret]) -> Generator[Any, Any, Secret]:
    return (yield from calculus.first(tensors["weight"][None], tensors["bias"]))


def _prove(tensors: Tensors, lowest: Floats, highest: Floats) -> float:
    return fits(LOG_ODDS, *interval(tensors["weight"][None], tensors["bias"], lowest, highest), "log-odds")


_MEASURED = (
    "Measured: one explanation in log-odds told, to four decimals, the weight of every feature in which the patient "
    "differs from the reference; one in probabilities told it nearly, unless they were close to 0 or 1."
)

KIND = Kind(
    "log-odds",
    lambda given: (),
    _shapes,
    _forward,
    _secure,
    _prove,
    lambda sizes: 1,
    told_by_one_explanation=True,
    measured=_MEASURED,
)
