"""Reading a FHIR R4 Bundle into the values of a feature schema.

The Bundle holds one Patient and Observations about that patient, and nothing else: what the schema does not ask for
has no business in the request. Checked with the R4B classes of `fhir.resources`, which agree with R4 on every element
that is used here.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.observation import Observation
from fhir.resources.R4B.patient import Patient
from pydantic import ValidationError

from concordat.reasons import Reason, Refused
from concordat.schema import Feature, FeatureSchema, Value

UCUM = "http://unitsofmeasure.org"
FINAL = ("final", "amended", "corrected")


def features_from_bundle(bundle: Mapping[str, Any], schema: FeatureSchema) -> dict[str, Value]:
    """Values by feature name, for `FeatureSchema.encode_row`; features without an Observation are left out.

    Raises:
        Refused: BUNDLE_INVALID if it is not a Bundle of one patient and that patient's Observations; CODE_UNKNOWN,
            UNIT_WRONG or FIELD_INVALID naming the feature or the place in the Bundle. No value is ever named.
    """
    try:
        checked = Bundle.model_validate(bundle)
    except ValidationError as error:
        place = ".".join(map(str, error.errors(include_input=False, include_url=False)[0]["loc"]))
        raise Refused(Reason.BUNDLE_INVALID, field=place) from None
    resources = [(entry.fullUrl, entry.resource) for entry in checked.entry or []]
    patients = [(url, resource) for url, resource in resources if isinstance(resource, Patient)]
    if len(patients) != 1:
        raise Refused(Reason.BUNDLE_INVALID, field="Patient")
    url, patient = patients[0]
    names = {url, f"Patient/{patient.id}"} - {None}
    values = _from_patient(patient, checked.timestamp, schema)
    for _, resource in resources:
        if resource is patient:
            continue
        if not isinstance(resource, Observation):
            raise Refused(
                Reason.BUNDLE_INVALID, detail="A Bundle holds one Patient and Observations only.", field="entry"
            )
        feature = _feature(resource, schema)
        if resource.subject is None or resource.subject.reference not in names:
            raise _invalid(feature, "The Observation is about another patient.")
        if feature.name in values:
            raise _invalid(feature, "There are several values; send the one to use.")
        values[feature.name] = _value(resource, feature)
    return values


def _from_patient(patient: Patient, timestamp: datetime | None, schema: FeatureSchema) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for feature in schema.features:
        if feature.patient == "gender" and patient.gender is not None:
            values[feature.name] = str(patient.gender)
        if feature.patient == "birthDate" and patient.birthDate is not None:
            born = patient.birthDate
            if timestamp is None or not isinstance(born, date):
                raise _invalid(feature, "Age needs the Bundle's timestamp and a full date of birth.")
            had_birthday = (timestamp.month, timestamp.day) >= (born.month, born.day)
            values[feature.name] = timestamp.year - born.year - (0 if had_birthday else 1)
    return values


def _feature(observation: Observation, schema: FeatureSchema) -> Feature:
    codings = _codings(observation.code)
    for feature in schema.features:
        if any((code.system, code.code) in codings for code in feature.codes):
            return feature
    place = " ".join(f"{system}|{code}" for system, code in sorted(codings, key=str))
    raise Refused(
        Reason.CODE_UNKNOWN,
        detail="The feature schema knows no such Observation; leave it out or map its code.",
        field=place or "Observation.code",
    )


def _value(observation: Observation, feature: Feature) -> Value:
    if observation.status not in FINAL:
        raise _invalid(feature, "The Observation is not final.")
    if observation.dataAbsentReason is not None:
        return None
    if feature.kind == "number":
        return _quantity(observation, feature)
    if feature.kind == "boolean":
        if observation.valueBoolean is None:
            raise _invalid(feature, "A valueBoolean is expected.")
        return bool(observation.valueBoolean)
    if observation.valueCodeableConcept is None:
        raise _invalid(feature, "A valueCodeableConcept is expected.")
    codings = _codings(observation.valueCodeableConcept)
    for level in feature.levels:
        if any((code.system, code.code) in codings for code in level.codes):
            return level.value
    allowed = ", ".join(code.code for level in feature.levels for code in level.codes)
    raise Refused(Reason.CODE_UNKNOWN, detail=f"{feature.label} is one of: {allowed}.", field=feature.name)


def _quantity(observation: Observation, feature: Feature) -> float:
    quantity = observation.valueQuantity
    if quantity is None or quantity.value is None or quantity.comparator is not None:
        raise _invalid(feature, "A valueQuantity with a plain value is expected.")
    if (quantity.system, quantity.code) != (UCUM, feature.unit):
        raise Refused(
            Reason.UNIT_WRONG, detail=f"{feature.label} is given in {feature.unit} (UCUM).", field=feature.name
        )
    return float(quantity.value)


def _codings(concept: Any) -> set[tuple[str | None, str | None]]:
    return {(coding.system, coding.code) for coding in concept.coding or []}


def _invalid(feature: Feature, detail: str) -> Refused:
    return Refused(Reason.FIELD_INVALID, detail=detail, field=feature.name)
