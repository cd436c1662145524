"""Questions in words, of a bounded grammar over the schema's names, and how they were understood.

    what if NAME were VALUE [and NAME were VALUE]?      what if the resting blood pressure were 120?
    what if NAME were lower|higher [by NUMBER]?         what if cholesterol were lower by 40?
    why [not] low|high?                                 why not low?

Nothing is guessed beyond it: what is understood is shown, and computed only when it was confirmed. A name is a
feature's label, its short name, or words of its label or description that fit no other feature.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from concordat.reasons import Reason, Refused
from concordat.schema import Feature, FeatureSchema, Value
from concordat.what_if import Change

LONGEST = 300

_WHAT_IF = re.compile(r"what\s+(?:would\s+happen\s+)?if\s+(.+)", re.IGNORECASE)
_WHY = re.compile(
    r"why\s+(?:is\s+it\s+|is\s+the\s+(?:risk|probability)\s+)?(not\s+)?(?:so\s+)?(low|high)\w*", re.IGNORECASE
)
_PART = re.compile(r"(.+?)\s+(?:were|was|is|are|=)\s+(.+)", re.IGNORECASE)
_RELATIVE = re.compile(r"(lower|higher)(?:\s+by\s+([0-9]+(?:\.[0-9]+)?)(?:\s+(.+))?)?", re.IGNORECASE)
_NUMBER = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)(?:\s+(.+))?")
_WORD = re.compile(r"[a-z0-9]+")
_EMPTY = frozenset({"the", "a", "an", "my", "their", "his", "her", "patient", "patients", "s", "of", "in", "at", "on"})
_TRUTH = {"yes": True, "true": True, "present": True, "no": False, "false": False, "absent": False}


@dataclass(frozen=True)
class WhatIfAsked:
    """A change of the record, for which a new computation is needed."""

    change: Change


@dataclass(frozen=True)
class WhyAsked:
    """A question that the explanation answers as it is: by the factors that work in this direction."""

    direction: Literal["raises", "lowers"]


def understand(text: str, schema: FeatureSchema, values: Mapping[str, Value]) -> WhatIfAsked | WhyAsked:
    """What a question asks.

    Args:
        values: the record's, imputed ones included, to which `lower` and `higher` are relative.

    Raises:
        Refused: FIELD_INVALID naming `question`, or what the schema refuses naming the feature.
    """
    asked = " ".join(text.split()).rstrip("?!. ")
    if len(text) > LONGEST:
        raise _not_understood(f"A question has at most {LONGEST} characters.")
    if match := _WHY.fullmatch(asked):
        negated, level = bool(match[1]), match[2].lower()
        return WhyAsked("raises" if (level == "high") != negated else "lowers")
    match = _WHAT_IF.fullmatch(asked)
    if match is None:
        raise _not_understood("It has none of the forms that are understood.")
    change: dict[str, Value] = {}
    for part in re.split(r"\s+and\s+|\s*,\s*(?:and\s+)?", match[1]):
        split = _PART.fullmatch(part)
        if split is None:
            raise _not_understood("After “what if” comes a name, then “were”, then a value, “lower” or “higher”.")
        feature = find(split[1], schema)
        if feature.name in change:
            raise _not_understood(f"{feature.label} is changed twice.")
        change[feature.name] = feature.check(_value(split[2], feature, values[feature.name]))
    return WhatIfAsked(change)


def find(phrase: str, schema: FeatureSchema) -> Feature:
    """The one feature that a phrase names. Raises Refused(FIELD_INVALID) for none, or for several."""
    said = frozenset(_WORD.findall(phrase.lower())) - _EMPTY
    labels = {each.name: frozenset(_WORD.findall(each.label.lower())) - _EMPTY for each in schema.features}
    ways: tuple[Callable[[Feature], bool], ...] = (
        lambda each: said in (labels[each.name], frozenset(_WORD.findall(each.name))),
        lambda each: said <= labels[each.name],
        lambda each: said <= labels[each.name] | frozenset(_WORD.findall(each.words.lower())),
    )
    for way in ways:
        found = [each for each in schema.features if said and way(each)]
        if len(found) == 1:
            return found[0]
        if found:
            raise _not_understood(f"Which one is meant: {', '.join(each.label for each in found)}?")
    raise _not_understood(f"The names are: {', '.join(each.label for each in schema.features)}.")


def _value(text: str, feature: Feature, old: Value) -> Value:
    if relative := _RELATIVE.fullmatch(text):
        _check_unit(relative[3], feature)
        return _moved(feature, old, relative[1].lower(), relative[2])
    if feature.kind == "number":
        number = _NUMBER.fullmatch(text)
        if number is None:
            raise _no_number(feature)
        _check_unit(number[2], feature)
        return float(number[1])
    if feature.kind == "boolean":
        if text.lower() not in _TRUTH:
            raise _not_understood(f"{feature.label} is yes or no.")
        return _TRUTH[text.lower()]
    for level in feature.levels:
        if text.lower() in {level.value.lower(), level.label.lower(), *map(str.lower, level.aliases)}:
            return level.value
    raise _not_understood(f"{feature.label} is one of: {', '.join(level.label for level in feature.levels)}.")


def _check_unit(said: str | None, feature: Feature) -> None:
    """What follows a number is the feature's unit, or nothing: “percent” and “every year” would mean something else."""
    units = {feature.unit.lower(), (feature.unit_label or feature.unit).lower()}
    if said is not None and said.lower() not in units:
        raise _no_number(feature)


def _moved(feature: Feature, old: Value, towards: str, by: str | None) -> Value:
    """Lower or higher by so much, or by one standard deviation of the schema, and within the range."""
    if feature.kind != "number" or isinstance(old, bool) or not isinstance(old, int | float):
        raise _not_understood(f"{feature.label} is no number: say which value instead.")
    assert feature.scale is not None
    step, (lowest, highest) = float(by) if by else feature.scale, feature.range
    new = old - step if towards == "lower" else old + step
    return new if by else min(max(new, lowest), highest)


def _no_number(feature: Feature) -> Refused:
    return _not_understood(f"{feature.label} is a number, in {feature.unit_label or feature.unit}.")


def _not_understood(detail: str) -> Refused:
    return Refused(Reason.FIELD_INVALID, detail=detail, field="question")
