"""From opened numbers to something a clinician can read: ranked factors, in words, with an honest badge of fit.

A coefficient is a contrast, not a slope: by how much the model's log-odds change when the patient's value stands in
place of the public reference value. It describes the model, not the disease.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from concordat.canonical import Json
from concordat.design import RELIABLE, Design
from concordat.outputs import Opened
from concordat.reasons import Reason, Refused
from concordat.schema import EncodedRecord, Feature, FeatureSchema, Value

TARGET = "log-odds, reference-contrast LIME"
TEMPLATE = "terminal-v1"
LANGUAGE = "en"

NEGLIGIBLE = 0.005
"""Log-odds below which a factor is said to make no difference; well above the arithmetic's error."""

Direction = Literal["raises", "lowers", "does not change"]


@dataclass(frozen=True)
class Factor:
    """One group of features: the patient's value in words, its coefficient in log-odds, and whether it was imputed."""

    group: str
    label: str
    value: str
    coefficient: float
    direction: Direction
    imputed: bool
    sentence: str


@dataclass(frozen=True)
class Explanation:
    """A prediction and its explanation; factors come in falling order of their coefficients' size.

    `probability` is the sigmoid of `log_odds`; `intercept` is the surrogate's log-odds of the reference record.
    """

    log_odds: float
    probability: float
    intercept: float
    factors: tuple[Factor, ...]
    r_squared: float
    adjusted_r_squared: float
    reliable: bool

    def to_json(self) -> dict[str, Json]:
        """The explanation as canonical JSON allows it: decimals are strings with four places."""
        return {
            "v": 1,
            "target": TARGET,
            "log_odds": _decimal(self.log_odds),
            "probability": _decimal(self.probability),
            "intercept": _decimal(self.intercept),
            "r_squared": _decimal(self.r_squared),
            "adjusted_r_squared": _decimal(self.adjusted_r_squared),
            "reliable": self.reliable,
            "factors": [
                {
                    "group": factor.group,
                    "label": factor.label,
                    "value": factor.value,
                    "coefficient": _decimal(factor.coefficient),
                    "direction": factor.direction,
                    "imputed": factor.imputed,
                    "sentence": factor.sentence,
                }
                for factor in self.factors
            ],
        }


def explain(opened: Opened, *, design: Design, schema: FeatureSchema, record: EncodedRecord) -> Explanation:
    """Fit, rank and put into words.

    Raises:
        Refused: MALFORMED if the opened numbers, the design and the schema have different groups.
    """
    if design.groups != schema.groups or len(opened.coefficients) != len(design.groups):
        raise Refused(Reason.MALFORMED, detail="The result belongs to another design or schema.")
    fit = design.fit(opened.prediction, opened.coefficients, opened.intercept, opened.sum_of_squares)
    moved = {group for group, value in zip(schema.column_groups, record.vector, strict=True) if value}
    factors = [
        _factor(
            group,
            [feature for feature in schema.features if feature.group == group],
            float(coefficient),
            record,
            at_reference=index not in moved,
        )
        for index, (group, coefficient) in enumerate(zip(schema.groups, fit.coefficients, strict=True))
    ]
    return Explanation(
        log_odds=opened.prediction,
        probability=sigmoid(opened.prediction),
        intercept=fit.intercept,
        factors=tuple(sorted(factors, key=lambda factor: (-abs(factor.coefficient), factor.group))),
        r_squared=fit.r_squared,
        adjusted_r_squared=fit.adjusted_r_squared,
        reliable=fit.reliable,
    )


def sigmoid(log_odds: float) -> float:
    """1 / (1 + exp(-log_odds)), without overflow at either end."""
    small = math.exp(-abs(log_odds))
    return 1 / (1 + small) if log_odds >= 0 else small / (1 + small)


_BAR = 8
"""Width, in characters, of the strongest factor's bar; the sign stands beside it as a mark and in the number."""


def render_text(explanation: Explanation, *, most: int = 5) -> str:
    """Plain text for a terminal: the prediction, the `most` strongest factors, and how far to trust them."""
    shown, left = explanation.factors[:most], len(explanation.factors) - most
    wide = max((len(factor.label) for factor in shown), default=0)
    largest = max((abs(factor.coefficient) for factor in shown), default=0.0) or 1.0
    lines = [
        f"Predicted probability  {explanation.probability:.1%}   (log-odds {explanation.log_odds:+.2f})",
        "",
        "What moved this prediction, compared with the reference patient:" if explanation.reliable else _UNRELIABLE,
    ]
    for factor in shown:
        mark = {"raises": "▲", "lowers": "▼", "does not change": "·"}[factor.direction]
        note = "  [not measured, reference value used]" if factor.imputed else ""
        bar = "█" * round(_BAR * abs(factor.coefficient) / largest)
        lines.append(f"  {mark} {factor.coefficient:+.2f} {bar:<{_BAR}}  {factor.label:<{wide}}  {factor.value}{note}")
    if left > 0:
        lines.append(f"    and {left} weaker factor{'s' if left > 1 else ''}")
    lines += [
        "",
        f"Fit of the explanation: adjusted R² {explanation.adjusted_r_squared:.2f}"
        f" ({'reliable' if explanation.reliable else 'UNRELIABLE'}; the limit is {RELIABLE:.2f}).",
        f"Method: {TARGET}. It describes the model, not the cause of a disease.",
    ]
    return "\n".join(lines) + "\n"


_UNRELIABLE = "NO RELIABLE EXPLANATION: the factors below describe this prediction poorly."


def _factor(
    group: str, features: Sequence[Feature], coefficient: float, record: EncodedRecord, *, at_reference: bool
) -> Factor:
    label = ", ".join(feature.label for feature in features)
    value = ", ".join(_words(feature, record.values[feature.name]) for feature in features)
    imputed = all(feature.name in record.imputed for feature in features)
    direction: Direction = "raises" if coefficient > 0 else "lowers"
    # Replacing a reference value by itself changes nothing: what is left of its coefficient is the fit's own noise.
    if at_reference or abs(coefficient) < NEGLIGIBLE:
        direction = "does not change"
    if imputed:
        sentence = f"{label} was not measured; the reference value ({value}) stands in for it and says nothing here."
    elif at_reference:
        sentence = f"{label} ({value}) is the reference value, so it does not change the predicted log-odds."
    elif direction == "does not change":
        sentence = f"{label} ({value}) does not change the predicted log-odds compared with the reference."
    else:
        size = f"{abs(coefficient):.2f}"
        sentence = f"{label} ({value}) {direction} the predicted log-odds by {size} compared with the reference."
    return Factor(group, label, value, coefficient, direction, imputed, sentence)


def _words(feature: Feature, value: Value) -> str:
    if feature.kind == "number":
        unit = "" if feature.unit == "1" else f" {feature.unit_label or feature.unit}"
        return f"{value:g}{unit}"
    if feature.kind == "boolean":
        return "yes" if value else "no"
    return next(level.label for level in feature.levels if level.value == value)


def _decimal(value: float) -> str:
    text = f"{value:.4f}"
    return "0.0000" if text == "-0.0000" else text
