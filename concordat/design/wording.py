"""What a method's coefficients are called: the only words of an explanation that depend on its design."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from concordat.schema import Feature


@dataclass(frozen=True)
class Wording:
    """How to say what a coefficient means.

    Attributes:
        name: of the method.
        heading: over the factors.
        caption: of a table of the coefficients, after "Factors, in log-odds".
        intercept: whose output the surrogate's intercept is.
        compared: what a coefficient of these features is relative to, after "raises the log-odds by 0.21".
        at_reference: whether a value that is the reference value says nothing, whatever its coefficient.
    """

    name: str
    heading: str
    caption: str
    intercept: str
    compared: Callable[[Sequence[Feature]], str]
    at_reference: bool


def _step(features: Sequence[Feature]) -> str:
    (feature,) = features
    unit = "" if feature.unit == "1" else f" {feature.unit_label or feature.unit}"
    return f"for each standard deviation ({feature.scale:g}{unit}) more"


CONTRAST = Wording(
    name="reference-contrast LIME",
    heading="What moved this prediction, compared with the reference patient:",
    caption="compared with the reference record",
    intercept="the reference record",
    compared=lambda features: "compared with the reference",
    at_reference=True,
)
"""By how much the output changes when the patient's value stands in place of the reference's."""

SLOPE = Wording(
    name="slope LIME",
    heading="What would move this prediction, for each standard deviation more:",
    caption="for each standard deviation more",
    intercept="records around the patient's, on average",
    compared=_step,
    at_reference=False,
)
"""By how much the output changes, near the patient, for each standard deviation of a number."""


def drawn_anew(
    sampler: Literal["quartiles", "gaussian"], ranges: Mapping[str, tuple[float | None, float | None]]
) -> Wording:
    """By how much the output changes, among rows drawn from the training data, where a value is like the patient's.

    `ranges`: by feature, between which encoded numbers the patient's bin lies; None for no end.
    """

    def compared(features: Sequence[Feature]) -> str:
        (feature,) = features
        if feature.kind != "number":
            return "compared with every other value"
        if sampler == "gaussian":
            return "for each standard deviation of the training data more"
        if feature.name not in ranges:
            return "compared with values in other quartiles"
        return f"compared with values that are not {_between(feature, *ranges[feature.name])}"

    if sampler == "gaussian":
        return Wording(
            name="lime tabular (Gaussian)",
            heading="What moves the prediction: for each standard deviation more, or compared with every other value:",
            caption="for each standard deviation of the training data more, or compared with every other value",
            intercept="records at the means of the training data, with none of the patient's other values",
            compared=compared,
            at_reference=False,
        )
    return Wording(
        name="lime tabular (quartiles)",
        heading="What moved this prediction, compared with values outside the patient's quartile, or other values:",
        caption="compared with values in other quartiles of the training data, or with every other value",
        intercept="records with none of the patient's quartiles and values",
        compared=compared,
        at_reference=False,
    )


def _between(feature: Feature, above: float | None, most: float | None) -> str:
    low, high = (None if end is None else feature.say(float(feature.decode(np.array(end)))) for end in (above, most))
    if low is None:
        return f"at most {high}"
    return f"above {low}" if high is None else f"above {low} and at most {high}"
