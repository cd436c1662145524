"""How well surrogates stand in for secret models, as rows, and what follows from the rows."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import TypedDict, get_args

import numpy as np

from bench.attacks import What, fidelity, surrogate
from bench.victims import ASKED, Data, Victim, victim
from concordat.extraction import unknowns

CASES: Sequence[tuple[Data, str]] = (
    ("heart", "mlp"),
    ("cancer", "mlp"),
    ("heart", "mlp-overfitted"),
    ("heart", "trees"),
    ("cancer", "trees"),
    ("heart", "forest"),
)
COUNTS = tuple(1 << power for power in range(ASKED.bit_length()))
DRAWS = 3
"""How many times the requester's patients come in another order, with another start of the surrogate."""


class Row(TypedDict):
    """The fidelity of one surrogate; `count` is how many explanations, or predictions, it was made of."""

    data: str
    model: str
    what: What
    count: int
    draw: int
    agreement: float
    r_squared: float


def measure(target: Victim, what: What, count: int, draw: int) -> Row:
    """Attack with the first `count` of the requester's patients, in the order of this draw."""
    order = np.random.default_rng(draw).permutation(len(target.asked))[:count]
    agreement, r_squared = fidelity(target, surrogate(target, target.explain(target.asked[order]), what, draw))
    return {
        "data": target.data,
        "model": target.name,
        "what": what,
        "count": count,
        "draw": draw,
        "agreement": agreement,
        "r_squared": r_squared,
    }


def measure_all(cases: Iterable[tuple[Data, str]]) -> Iterator[Row]:
    """Every case, use, count and draw."""
    for data, name in cases:
        for what in get_args(What):
            for count in COUNTS:
                for draw in range(DRAWS):
                    yield measure(victim(data, name), what, count, draw)


def middle(rows: Iterable[Row], data: str, model: str, what: What, figure: str) -> dict[int, float]:
    """The median over the draws of a figure, by count."""
    found: dict[int, list[float]] = {}
    for row in rows:
        if (row["data"], row["model"], row["what"]) == (data, model, what):
            found.setdefault(row["count"], []).append(row[figure])  # type: ignore[literal-required]
    return {count: median(values) for count, values in sorted(found.items())}


def enough(figures: dict[int, float], level: float) -> int | None:
    """The least count from which on the figure stays at the level or above."""
    below = [count for count, value in figures.items() if value < level]
    return next((count for count in figures if count > max(below, default=0)), None)


def counted(target: Victim) -> int:
    """After how many explanations as many numbers are opened as the model consists of."""
    shapes = [(name, tensor.shape) for name, tensor in target.tensors.items()]
    return -(-unknowns(target.kind, shapes) // (len(target.design.groups) + 3 + target.design.mirrored))
