"""One element's `value[x]` as a value of a feature; what is not certain is refused, and no value is ever quoted."""

from dataclasses import dataclass

from concordat.fhir.elements import Element, element, invalid, key, keys, text
from concordat.fhir.units import UCUM, convert
from concordat.reasons import Reason, Refused
from concordat.schema import Feature, Value

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


def has_value(part: Element) -> bool:
    """Whether there is a `value[x]`, or a reason why there is none."""
    return "dataAbsentReason" in part or any(name.startswith("value") for name in part)


def value_of(part: Element, feature: Feature) -> Found:
    """The value of an Observation, of a component, or of what a path found; None of one that is said to be absent.

    Raises:
        Refused: FIELD_INVALID, UNIT_WRONG or CODE_UNKNOWN, naming the feature.
    """
    if not any(name.startswith("value") for name in part):
        return Found(None)
    if "dataAbsentReason" in part:
        raise invalid(feature, "There are a value and a reason for its absence.")
    if feature.kind == "number":
        return _number(part, feature)
    if feature.kind == "boolean":
        return Found(_boolean(part, feature))
    return Found(_level(part, feature))


def _number(part: Element, feature: Feature) -> Found:
    for name in ("valueDecimal", "valueInteger"):
        if name in part:
            if feature.unit != "1":
                raise _unit(feature)
            return Found(_finite(part[name], feature))
    if "valueQuantity" not in part:
        raise invalid(feature, "A valueQuantity is expected.")
    quantity = element(part["valueQuantity"])
    if quantity.get("comparator") is not None:
        raise invalid(feature, "A comparator (less or more than) is no value that can be computed with.")
    amount = _finite(quantity.get("value"), feature)
    code = text(quantity.get("code"))
    if feature.unit == "1" and not code and "unit" not in quantity and "system" not in quantity:
        return Found(amount)
    if quantity.get("system") != UCUM or not code:
        raise _unit(feature)
    return Found(_finite(convert(amount, code, feature), feature), code)


def _finite(amount: object, feature: Feature) -> float:
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not abs(amount) < _HUGE:
        raise invalid(feature, "A plain number is expected.")
    return float(amount)


def _boolean(part: Element, feature: Feature) -> bool:
    if isinstance(part.get("valueBoolean"), bool):
        return bool(part["valueBoolean"])
    answers = {TRUTH[each] for each in keys(part.get("valueCodeableConcept")) if each in TRUTH}
    if len(answers) != 1:
        raise invalid(feature, "A valueBoolean, or a code for yes or no, is expected.")
    return answers.pop()


def _level(part: Element, feature: Feature) -> Value:
    if "valueCode" in part:
        named = [each.value for each in feature.levels if part["valueCode"] in (each.value, *each.aliases)]
    elif "valueCodeableConcept" in part:
        came = set(keys(part["valueCodeableConcept"]))
        named = [each.value for each in feature.levels if came & {key(code) for code in each.codes}]
    else:
        raise invalid(feature, "A valueCodeableConcept is expected.")
    if len(named) > 1:
        raise invalid(feature, "Its codes stand for several levels.")
    if not named:
        allowed = ", ".join(code.code for level in feature.levels for code in level.codes)
        raise Refused(Reason.CODE_UNKNOWN, detail=f"{feature.label} is one of: {allowed}.", field=feature.name)
    return named[0]


def _unit(feature: Feature) -> Refused:
    detail = f"{feature.label} is given in {feature.unit} (UCUM, by system and code)."
    return Refused(Reason.UNIT_WRONG, detail=detail, field=feature.name)
