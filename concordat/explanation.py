"""From opened numbers to something a clinician can read: ranked factors, in words, with an honest badge of fit.

What a coefficient means, a contrast with the reference or a slope, is its design's `Wording`; it is in log-odds or in
probability as the definition says (`target`). It describes the model, not the disease. Its interval says how far
another choice of perturbed records would have moved it, and nothing about whether model or surrogate are right. Where
it includes zero, no direction is stated.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from concordat.canonical import Json
from concordat.design import CONFIDENCE, RELIABLE, Estimate, Plan
from concordat.design.wording import Wording
from concordat.kinds.kind import Scale
from concordat.outputs import Opened
from concordat.plausibility import impossible_share
from concordat.reasons import Reason, Refused
from concordat.schema import EncodedRecord, Feature, FeatureSchema

TEMPLATE = "terminal-v3"
LANGUAGE = "en"

NEGLIGIBLE: Mapping[Scale, float] = {"log-odds": 0.005, "probability": 0.0005}
"""Below it a factor is said to make no difference: 0.05 percentage points are shown as none, as 0.005 log-odds are. The
arithmetic's error is far smaller: 1e-5 in probability, 1e-4 of the largest coefficient in log-odds."""

Direction = Literal["raises", "lowers", "does not change", "raises or lowers"]
"""The last: its interval includes zero."""


@dataclass(frozen=True)
class Factor:
    """One group of features: the patient's value in words, its coefficient on the explanation's scale with the ends of
    its 95 % interval (None of a design that is not mirrored), and whether the value was imputed."""

    group: str
    label: str
    value: str
    coefficient: float
    low: float | None
    high: float | None
    direction: Direction
    imputed: bool
    sentence: str


@dataclass(frozen=True)
class Explanation:
    """A prediction and its explanation; factors come in falling order of their coefficients' size.

    `prediction`, `intercept` and coefficients are on the scale `target`; `intercept` is what the surrogate answers
    where all its regressors are zero, which in probability may lie outside 0 to 1: it is a linear function.
    `impossible` is which part of this patient's perturbed records no patient could have.
    """

    target: Scale
    wording: Wording
    prediction: float
    intercept: float
    factors: tuple[Factor, ...]
    r_squared: float
    adjusted_r_squared: float
    reliable: bool
    impossible: float

    @property
    def intervals(self) -> bool:
        """Whether the factors have any."""
        return any(factor.low is not None for factor in self.factors)

    @property
    def log_odds(self) -> float | None:
        """Of the prediction; None where a probability was computed: a forest's 0 and 1 have none."""
        return log_odds_of(self.prediction, self.target)

    @property
    def probability(self) -> float:
        """Of the prediction; as it was opened where that is what was computed."""
        return probability_of(self.prediction, self.target)

    def to_json(self) -> dict[str, Json]:
        """The explanation as canonical JSON allows it: decimals are strings with four places.

        `prediction`, `intercept`, `coefficient`, `low` and `high` are on the scale `target`: in probability, 0.01 is a
        percentage point. `log_odds` is null where the target is probability; `low` and `high` are where the design is
        not mirrored. `confidence` is that of the intervals.
        """
        return {
            "v": 3,
            "method": self.wording.name,
            "target": self.target,
            "prediction": decimal(self.prediction),
            "log_odds": maybe_decimal(self.log_odds),
            "probability": decimal(self.probability),
            **self.surrogate_to_json(),
        }

    def surrogate_to_json(self) -> dict[str, Json]:
        """The part that is about the surrogate, and not the prediction."""
        return {
            "intercept": decimal(self.intercept),
            "r_squared": decimal(self.r_squared),
            "adjusted_r_squared": decimal(self.adjusted_r_squared),
            "reliable": self.reliable,
            "impossible": decimal(self.impossible),
            "confidence": decimal(CONFIDENCE),
            "factors": [
                {
                    "group": factor.group,
                    "label": factor.label,
                    "value": factor.value,
                    "coefficient": decimal(factor.coefficient),
                    "low": maybe_decimal(factor.low),
                    "high": maybe_decimal(factor.high),
                    "direction": factor.direction,
                    "imputed": factor.imputed,
                    "sentence": factor.sentence,
                }
                for factor in self.factors
            ],
        }


def explain(opened: Opened, *, design: Plan, schema: FeatureSchema, record: EncodedRecord, of: str = "") -> Explanation:
    """Fit, rank and put into words.

    Args:
        of: what the prediction is the log-odds or the probability of, after these words, where it needs saying.

    Raises:
        Refused: DIGEST_MISMATCH if the design was made for another schema, MALFORMED if the opened numbers are another
            design's.
    """
    groups = design.features(schema)
    if len(opened.coefficients) != len(groups):
        raise Refused(Reason.MALFORMED, detail="The result belongs to another design.")
    if (opened.odd_squares is not None) != design.mirrored:
        raise Refused(Reason.MALFORMED, detail="The result belongs to another design.")
    local = design.at(record.vector)
    fit = local.fit(*opened.numbers, target=opened.target)
    factors = [
        _factor(group, features, estimate, record, opened.target, local.wording, of)
        for group, features, estimate in zip(design.groups, groups, fit.estimates, strict=True)
    ]
    return Explanation(
        target=opened.target,
        wording=local.wording,
        prediction=opened.prediction,
        intercept=fit.intercept,
        factors=tuple(sorted(factors, key=lambda factor: (-abs(factor.coefficient), factor.group))),
        r_squared=fit.r_squared,
        adjusted_r_squared=fit.adjusted_r_squared,
        reliable=fit.reliable,
        impossible=impossible_share(design, schema, record.vector[None]),
    )


def log_odds_of(prediction: float, target: Scale) -> float | None:
    """A prediction on the scale `target` as log-odds; None if it is a probability, which may have none."""
    return prediction if target == "log-odds" else None


def probability_of(prediction: float, target: Scale) -> float:
    """A prediction on the scale `target` as a probability."""
    return sigmoid(prediction) if target == "log-odds" else prediction


def sigmoid(log_odds: float) -> float:
    """1 / (1 + exp(-log_odds)), without overflow at either end."""
    small = math.exp(-abs(log_odds))
    return 1 / (1 + small) if log_odds >= 0 else small / (1 + small)


_BAR = 8
"""Width, in characters, of the strongest factor's bar; the sign stands beside it as a mark and in the number."""


def render_text(explanation: Explanation, *, most: int = 5) -> str:
    """Plain text for a terminal: the prediction, the `most` strongest factors, and how far to trust them.

    Factors are shown in log-odds, or as percentage points of probability, with their intervals.
    """
    log_odds = explanation.log_odds
    lines = [
        f"Predicted probability  {explanation.probability:z.1%}"
        + ("" if log_odds is None else f"   (log-odds {log_odds:+.2f})"),
        "",
        *factor_lines(explanation, explanation.wording.heading, most),
        "",
        intervals_line(explanation),
        fit_line(explanation),
        *method_lines(explanation, explanation.target),
    ]
    return "\n".join(lines) + "\n"


def factor_lines(explanation: Explanation, heading: str, most: int) -> list[str]:
    """The `most` strongest factors under a heading, or under a warning where they are not to be relied on."""
    shown, left = explanation.factors[:most], len(explanation.factors) - most
    wide = max((len(factor.label) for factor in shown), default=0)
    largest = max((abs(factor.coefficient) for factor in shown), default=0.0) or 1.0
    lines = [heading if explanation.reliable else _UNRELIABLE]
    for factor in shown:
        mark = {"raises": "▲", "lowers": "▼", "does not change": "·", "raises or lowers": "?"}[factor.direction]
        note = "  [not measured, reference value used]" if factor.imputed else ""
        bar = "█" * round(_BAR * abs(factor.coefficient) / largest)
        size = _signed(factor.coefficient, explanation.target)
        between = _between(factor, explanation.target)
        lines.append(f"  {mark} {size} {between}{bar:<{_BAR}}  {factor.label:<{wide}}  {factor.value}{note}")
    if left > 0:
        lines.append(f"    and {left} weaker factor{'s' if left > 1 else ''}")
    return lines


def intervals_line(explanation: Explanation) -> str:
    """What is in brackets beside the factors."""
    return _INTERVALS if explanation.intervals else NO_INTERVALS


def fit_line(explanation: Explanation) -> str:
    """How far to trust the surrogate."""
    return (
        f"Fit of the explanation: adjusted R² {explanation.adjusted_r_squared:.2f}"
        f" ({'reliable' if explanation.reliable else 'UNRELIABLE'}; the limit is {RELIABLE:.2f})."
    )


def method_lines(explanation: Explanation, target: str) -> list[str]:
    """How it was computed, on the scale `target` in words."""
    return [
        f"Clinically impossible: {explanation.impossible:.1%} of the perturbed records, by the schema's rules.",
        f"Method: {target}, {explanation.wording.name}. It describes the model, not the cause of a disease.",
    ]


_UNRELIABLE = "NO RELIABLE EXPLANATION: the factors below describe this prediction poorly."
_INTERVALS = (
    f"In brackets: {CONFIDENCE:.0%} intervals, for the choice of perturbed records alone. ? means that zero is in it."
)
NO_INTERVALS = "No intervals: the perturbed records of this design do not come in mirrored pairs."


def _factor(
    group: str,
    features: Sequence[Feature],
    estimate: Estimate,
    record: EncodedRecord,
    target: Scale,
    wording: Wording,
    of: str,
) -> Factor:
    label = ", ".join(feature.label for feature in features)
    value = ", ".join(feature.say(record.values[feature.name]) for feature in features)
    imputed = all(feature.name in record.imputed for feature in features)
    said = (feature.encode(record.values[feature.name]) for feature in features)
    at_reference = wording.at_reference and not any(map(any, said))
    coefficient, low, high = estimate
    direction: Direction = "raises or lowers"
    certain, width = True, 0.0
    if low is not None and high is not None:
        certain, width = low > 0 or high < 0, high - low
    # Replacing a reference value by itself changes nothing: what is left of its coefficient is the fit's own noise.
    if at_reference or (abs(coefficient) < NEGLIGIBLE[target] and (certain or width < 2 * NEGLIGIBLE[target])):
        direction = "does not change"
    elif certain:
        direction = "raises" if coefficient > 0 else "lowers"
    compared, predicted = wording.compared(features), f"the predicted {target}{of}"
    if imputed and at_reference:
        sentence = f"{label} was not measured; the reference value ({value}) stands in for it and says nothing here."
    elif at_reference:
        sentence = f"{label} ({value}) is the reference value, so it does not change {predicted}."
    elif direction == "does not change":
        sentence = f"{label} ({value}) does not change {predicted} {compared}."
    elif direction == "raises or lowers":
        assert low is not None
        assert high is not None
        sentence = (
            f"It is not certain whether {label} ({value}) raises or lowers {predicted} {compared}: the "
            f"estimate is {_change(coefficient, target)}, with a {CONFIDENCE:.0%} interval from {_change(low, target)} "
            f"to {_change(high, target)}{_UNIT[target]}."
        )
    else:
        size = _size(abs(coefficient), target)
        if low is not None and high is not None:
            ends = sorted((abs(low), abs(high)))
            size += f" ({CONFIDENCE:.0%} interval {' to '.join(_number(end, target) for end in ends)})"
        sentence = f"{label} ({value}) {direction} {predicted} by {size} {compared}."
    if imputed and not at_reference:
        sentence += " It was not measured; the reference value stands in for it."
    return Factor(group, label, value, coefficient, low, high, direction, imputed, sentence)


_UNIT: Mapping[Scale, str] = {"log-odds": "", "probability": " percentage points"}


def _number(value: float, target: Scale) -> str:
    return f"{value:.2f}" if target == "log-odds" else f"{100 * value:.1f}"


def _size(value: float, target: Scale) -> str:
    return _number(value, target) + _UNIT[target]


def _change(value: float, target: Scale) -> str:
    return f"{value:+z.2f}" if target == "log-odds" else f"{100 * value:+z.1f}"


def _between(factor: Factor, target: Scale) -> str:
    if factor.low is None or factor.high is None:
        return ""
    ends = (f"{end:+z.2f}" if target == "log-odds" else f"{100 * end:+z5.1f}" for end in (factor.low, factor.high))
    return f"[{' to '.join(ends)}] "


def _signed(value: float, target: Scale) -> str:
    return f"{value:+z.2f}" if target == "log-odds" else f"{100 * value:+z6.1f} points"


def decimal(value: float) -> str:
    """With four places, and never -0.0000: what canonical JSON holds in place of a float."""
    return f"{value:z.4f}"


def maybe_decimal(value: float | None) -> str | None:
    """The same; None of nothing."""
    return None if value is None else decimal(value)
