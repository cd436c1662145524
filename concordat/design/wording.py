"""What a method's coefficients are called: the only words of an explanation that depend on its design."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
