"""What a value of a feature may be, and how it is refused; no value is ever quoted."""

from collections.abc import Collection
from dataclasses import dataclass

from concordat.reasons import Reason, Refused
from concordat.schema import Code, Feature, Value

Key = tuple[str, str]
"""System and code."""

TRUTH = {
    ("http://snomed.info/sct", "373066001"): True,
    ("http://snomed.info/sct", "373067005"): False,
    ("http://loinc.org", "LA33-6"): True,
    ("http://loinc.org", "LA32-8"): False,
    ("http://terminology.hl7.org/CodeSystem/v2-0136", "Y"): True,
    ("http://terminology.hl7.org/CodeSystem/v2-0136", "N"): False,
}
"""Codes that stand for yes and no."""

_HUGE = 1e300
"""No measurement; a whole number may be larger than any float."""


@dataclass(frozen=True)
class Found:
    """A value, and the UCUM unit in which it came (empty where there is none)."""

    value: Value
    unit: str = ""


def key(code: Code) -> Key:
    """System and code of a schema's code."""
    return code.system, code.code


def invalid(feature: Feature, detail: str) -> Refused:
    """A refusal that names the feature; `detail` must hold no value."""
    return Refused(Reason.FIELD_INVALID, detail=f"{feature.label}: {detail}", field=feature.name)


def compared(feature: Feature) -> Refused:
    """The refusal of a value such as `<5`."""
    return invalid(feature, "A comparator (less or more than) is no value that can be computed with.")


def contradictory(feature: Feature) -> Refused:
    """The refusal of what has a value and says that there is none."""
    return invalid(feature, "There are a value and a reason for its absence.")


def without_unit(feature: Feature) -> Refused:
    """The refusal of a number whose unit is not known."""
    detail = f"{feature.label} is given in {feature.unit} (UCUM, by system and code)."
    return Refused(Reason.UNIT_WRONG, detail=detail, field=feature.name)


def finite(amount: object, feature: Feature) -> float:
    """A number. Raises Refused(FIELD_INVALID)."""
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not abs(amount) < _HUGE:
        raise invalid(feature, "A plain number is expected.")
    return float(amount)


def truth(came: Collection[Key], feature: Feature) -> bool:
    """What codes say, if they say one thing. Raises Refused(FIELD_INVALID)."""
    answers = {TRUTH[each] for each in came if each in TRUTH}
    if len(answers) != 1:
        raise invalid(feature, "A valueBoolean, or a code for yes or no, is expected.")
    return answers.pop()


def level(came: Collection[Key], feature: Feature) -> Value:
    """The one level of a category that codes stand for. Raises Refused: FIELD_INVALID, CODE_UNKNOWN."""
    given = set(came)
    return one_level([each.value for each in feature.levels if given & {key(code) for code in each.codes}], feature)


def one_level(named: Collection[str], feature: Feature) -> Value:
    """The level, if exactly one is named. Raises Refused: FIELD_INVALID, CODE_UNKNOWN."""
    if len(named) > 1:
        raise invalid(feature, "Its codes stand for several levels.")
    if not named:
        allowed = ", ".join(code.code for each in feature.levels for code in each.codes)
        raise Refused(Reason.CODE_UNKNOWN, detail=f"{feature.label} is one of: {allowed}.", field=feature.name)
    return next(iter(named))
