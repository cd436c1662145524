"""What the Patient says: age by the date of birth, sex, and what a path finds."""

from collections.abc import Iterable
from datetime import date

from concordat.fhir.paths import evaluate, root
from concordat.fhir.references import Entry
from concordat.fhir.values import value_of
from concordat.reading.record import Item
from concordat.reading.times import Span, years
from concordat.reading.values import invalid
from concordat.schema import Feature, Value


def read_patient(patient: Entry, features: Iterable[Feature], at: Span) -> dict[str, Item]:
    """Items by feature name, of the features that the Patient speaks of.

    Raises:
        Refused: FIELD_INVALID naming the feature: among others, where a partial date of birth fits two ages.
    """
    items: dict[str, Item] = {}
    for feature in features:
        value: Value = None
        unit = ""
        if feature.patient == "birthDate" and "birthDate" in patient.resource:
            value = _age(feature, str(patient.resource["birthDate"]), at)
        elif feature.patient == "gender" and patient.resource.get("gender") != "unknown":
            value = patient.resource.get("gender")
        elif feature.path and root(feature.path) == "Patient":
            found = value_of(evaluate(feature, patient.resource) or {}, feature)
            value, unit = found.value, found.unit
        if value is not None:
            items[feature.name] = Item(
                feature.name,
                value,
                "read",
                unit=unit,
                converted=bool(unit) and unit != feature.unit,
                resource="Patient",
                reference=patient.reference,
                place=patient.place,
            )
    return items


def _age(feature: Feature, born: str, at: Span) -> int:
    """Completed years on the day on which the Bundle was made, where it was made."""
    try:
        age = years(born, date.fromisoformat(at.words[:10]))
    except ValueError:
        raise invalid(feature, "The date of birth is no date, or lies after the Bundle's time.") from None
    if age is None:
        raise invalid(feature, "The date of birth is not complete, and fits two ages. Give year, month and day.")
    return age
