"""A result as the page shows it: at most five factors, the strongest first, with the patient's own values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from concordat.schema import FeatureSchema

MOST = 5

_RELEVANCE = ("modifiable", "actionable", "context")
RELEVANT = {
    "modifiable": "can be changed",
    "actionable": "can be acted on",
    "context": "cannot be changed",
    None: "not stated",
}


@dataclass(frozen=True)
class Shown:
    """A factor on the page. `size` is its coefficient in words, `relevance` what the schema says of the feature."""

    label: str
    value: str
    coefficient: float
    low: float | None
    high: float | None
    direction: str
    imputed: bool
    sentence: str
    size: str
    interval: str
    relevance: str | None

    @property
    def ends(self) -> tuple[float, ...]:
        """All that a picture of it has to hold."""
        return self.coefficient, self.low or 0.0, self.high or 0.0

    @property
    def relevant(self) -> str:
        return RELEVANT[self.relevance]


def factors(told: Mapping[str, Any], schema: FeatureSchema, *, most: int = MOST) -> list[Shown]:
    """The `most` factors to show: by the size of their effect as it is written down, and where two are the same, by
    what the schema calls clinically relevant."""
    ranked = sorted(
        (_shown(factor, told["target"], schema) for factor in told["factors"]),
        key=lambda each: (-abs(_written(each.coefficient, told["target"])), _order(each.relevance)),
    )
    return ranked[:most]


def working(told: Mapping[str, Any], direction: str) -> list[str]:
    """What answers a question why: the sentences of all factors that work in a direction."""
    return [factor["sentence"] for factor in told["factors"] if factor["direction"] == direction]


def _shown(factor: Mapping[str, Any], target: str, schema: FeatureSchema) -> Shown:
    coefficient = float(factor["coefficient"])
    low, high = (None if factor[end] is None else float(factor[end]) for end in ("low", "high"))
    interval = "" if low is None or high is None else f"{_number(low, target)} to {_number(high, target)}"
    return Shown(
        label=factor["label"],
        value=factor["value"],
        coefficient=coefficient,
        low=low,
        high=high,
        direction=factor["direction"],
        imputed=factor["imputed"],
        sentence=factor["sentence"],
        size=f"{_number(coefficient, target)}{' points' if target == 'probability' else ''}",
        interval=interval,
        relevance=_relevance(factor["group"], schema),
    )


def _relevance(group: str, schema: FeatureSchema) -> str | None:
    said: Sequence[str | None] = [each.relevance for each in schema.features if each.group == group]
    return min(said, key=_order, default=None)


def _order(relevance: str | None) -> int:
    return _RELEVANCE.index(relevance) if relevance in _RELEVANCE else len(_RELEVANCE)


def _written(value: float, target: str) -> float:
    return round(value, 2) if target == "log-odds" else round(100 * value, 1)


def _number(value: float, target: str) -> str:
    return f"{value:+z.2f}" if target == "log-odds" else f"{100 * value:+z.1f}"


def of_a_hundred(probability: str) -> str:
    """A probability as a number of people of a hundred, in words where it is next to nobody or everybody."""
    exact = 100 * Decimal(probability)
    if exact < Decimal("0.5"):
        return "fewer than 1"
    return "more than 99" if exact > Decimal("99.5") else str(round(exact))
