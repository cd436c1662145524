"""One element's `value[x]` as a value of a feature; what is not certain is refused, and no value is ever quoted."""

from concordat.fhir.elements import Element, element, keys, text
from concordat.reading.units import UCUM, convert
from concordat.reading.values import (
    Found,
    compared,
    contradictory,
    finite,
    invalid,
    level,
    one_level,
    truth,
    without_unit,
)
from concordat.schema import Feature, Value


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
        raise contradictory(feature)
    if feature.kind == "number":
        return _number(part, feature)
    if feature.kind == "boolean":
        return Found(_boolean(part, feature))
    return Found(_level(part, feature))


def _number(part: Element, feature: Feature) -> Found:
    for name in ("valueDecimal", "valueInteger"):
        if name in part:
            if feature.unit != "1":
                raise without_unit(feature)
            return Found(finite(part[name], feature))
    if "valueQuantity" not in part:
        raise invalid(feature, "A valueQuantity is expected.")
    quantity = element(part["valueQuantity"])
    if quantity.get("comparator") is not None:
        raise compared(feature)
    amount = finite(quantity.get("value"), feature)
    code = text(quantity.get("code"))
    if feature.unit == "1" and not code and "unit" not in quantity and "system" not in quantity:
        return Found(amount)
    if quantity.get("system") != UCUM or not code:
        raise without_unit(feature)
    return Found(finite(convert(amount, code, feature), feature), code)


def _boolean(part: Element, feature: Feature) -> bool:
    if isinstance(part.get("valueBoolean"), bool):
        return bool(part["valueBoolean"])
    return truth(keys(part.get("valueCodeableConcept")), feature)


def _level(part: Element, feature: Feature) -> Value:
    if "valueCode" in part:
        named = [each.value for each in feature.levels if part["valueCode"] in (each.value, *each.aliases)]
        return one_level(named, feature)
    if "valueCodeableConcept" in part:
        return level(keys(part["valueCodeableConcept"]), feature)
    raise invalid(feature, "A valueCodeableConcept is expected.")
