"""What if a value were another one? Questions about a record, and their answers in words.

    trestbps=120            that value in place of the recorded one
    trestbps-=20, chol=180  20 less, and another value too

Each question makes a variant of the record, which is predicted in the same job and as secretly as the record itself:
nodes learn how many questions there are, and nothing about them. An answer says what the model would predict, not what
a treatment would do.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from concordat.canonical import Json
from concordat.explanation import decimal, sigmoid
from concordat.kinds.kind import Scale
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema, Value

Change = Mapping[str, Value]
"""The values that a question puts in place of the recorded ones, by feature."""

IMPUTED = " (not measured: reference value)"

_PART = re.compile(r"\s*([a-z0-9][a-z0-9_-]*?)\s*(=|\+=|-=)\s*(.+?)\s*")


@dataclass(frozen=True)
class WhatIf:
    """A question, and the probability that the model predicts then."""

    words: str
    probability: float

    def to_json(self) -> dict[str, Json]:
        """As canonical JSON allows it."""
        return {"what_if": self.words, "probability": decimal(self.probability)}


def parse(text: str, schema: FeatureSchema, values: Mapping[str, Value]) -> Change:
    """The change that a question asks for.

    Args:
        values: the record's, to which `+=` and `-=` are relative.

    Raises:
        Refused: FIELD_INVALID naming `what_if` for what is no question, or what the schema refuses naming the feature.
    """
    features = {feature.name: feature for feature in schema.features}
    change: dict[str, Value] = {}
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None or match[1] not in features:
            detail = f"A question reads NAME=VALUE, NAME+=NUMBER or NAME-=NUMBER; the names are: {', '.join(features)}."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="what_if")
        name, sign, value = match.groups()
        feature, new = features[name], features[name].parse(value)
        if sign != "=":
            old = values.get(name)
            if feature.kind != "number" or isinstance(old, bool) or not isinstance(old, int | float):
                detail = f"{feature.label} is not recorded as a number: give the value itself, with =."
                raise Refused(Reason.FIELD_INVALID, detail=detail, field=name)
            assert isinstance(new, float)
            new = old + new if sign == "+=" else old - new
        change[name] = feature.check(new)
    return change


def answer(
    changes: Sequence[Change],
    predictions: Sequence[float],
    *,
    schema: FeatureSchema,
    values: Mapping[str, Value],
    target: Scale,
    imputed: Collection[str] = (),
) -> tuple[WhatIf, ...]:
    """Questions and predictions, in the order in which they were asked; predictions are on the `target`'s scale."""
    return tuple(
        WhatIf(
            say(change, schema, values, imputed=imputed), prediction if target == "probability" else sigmoid(prediction)
        )
        for change, prediction in zip(changes, predictions, strict=True)
    )


def say(change: Change, schema: FeatureSchema, values: Mapping[str, Value], *, imputed: Collection[str] = ()) -> str:
    """A change of a record's values, in words; of the `imputed` ones it says that nobody measured them."""
    labels = {feature.name: feature for feature in schema.features}
    return ", ".join(
        f"{labels[name].label} {labels[name].say(values[name])}{IMPUTED if name in imputed else ''} → "
        f"{labels[name].say(value)}"
        for name, value in change.items()
    )


def render_text(what_ifs: Sequence[WhatIf], probability: float) -> str:
    """Lines for a terminal, empty where nothing was asked; `probability` is the record's own."""
    if not what_ifs:
        return ""
    return under_heading(
        f"  {each.probability:.1%} ({100 * (each.probability - probability):+.1f} points)  {each.words}"
        for each in what_ifs
    )


def under_heading(lines: Iterable[str]) -> str:
    """Lines that each answer a question, with what they are and what they are not."""
    heading = ["", "What the model would predict, if only this were different:"]
    return "\n".join([*heading, *lines, "It is not a promise of what a treatment would do."]) + "\n"
