"""Reading a FHIR R4 Bundle of one patient into the values of a feature schema.

Hospitals' Bundles hold more than a model asks for, and several values of one thing. What is not asked for is left out
and counted; of several values the certainly newest final one is used; and what is not certain (another patient's
resource, a comparator, a tie, a unit that does not convert, a partial date that matters) is refused, never guessed. The
time it takes is linear in the number of entries. `docs/reference/fhir.md` has the tables.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from concordat.fhir.bundle import entries, one_patient
from concordat.fhir.elements import bad_bundle, keys
from concordat.fhir.observations import read_observations
from concordat.fhir.participation import Participant, check_participation
from concordat.fhir.patient import read_patient
from concordat.fhir.references import Entry, Index, is_about
from concordat.fhir.statements import read_statements
from concordat.reading import Item, Reading, times
from concordat.reading.tally import NOT_ASKED, Tally
from concordat.reading.times import Span, span
from concordat.reading.values import invalid, key
from concordat.schema import Feature, FeatureSchema, Value

READ = ("Patient", "Observation", "Condition", "MedicationStatement", "Medication", "ResearchSubject", "ResearchStudy")
"""The types of resources that are read; a Medication where a MedicationStatement refers to it, a ResearchStudy where a
ResearchSubject does."""

_OF_PATIENT = ("Observation", "Condition", "MedicationStatement")


def read_bundle(
    bundle: Mapping[str, Any], schema: FeatureSchema, *, now: datetime, participant: Participant | None = None
) -> Reading:
    """What a Bundle says about the features of a schema.

    Args:
        bundle: parsed JSON. It is not changed.
        now: against which the values' ages are counted, and the patient's age where the Bundle has no timestamp.
        participant: who is asked about, and in which study; ResearchSubjects are looked at only with it.

    Returns:
        A reading with an item for each feature. `values` has no entry for what nothing in the Bundle speaks of, and
        None for what is said to be absent, or is too old and may be imputed; `FeatureSchema.encode_row` imputes or
        refuses both as the schema says.

    Raises:
        Refused: BUNDLE_INVALID naming the place; FIELD_INVALID, UNIT_WRONG, CODE_UNKNOWN or VALUE_TOO_OLD naming the
            feature; NOT_IN_STUDY where a ResearchSubject says so, before any value is read. No value is ever named.
    """
    found = entries(bundle)
    patient = one_patient(found)
    tally = Tally()
    by_kind: dict[str, list[Entry]] = {kind: [] for kind in READ}
    for entry in found:
        if entry.kind in by_kind:
            by_kind[entry.kind].append(entry)
        if entry is not patient:
            tally.leave(entry.kind, entry.place, NOT_ASKED)
    looked: tuple[str, ...] = ()
    if participant is not None:
        looked = check_participation(found, patient, participant, now=now, tally=tally)
    moment = times.at(now)
    items = read_patient(patient, schema.features, _at(bundle, moment))
    features = _by_resource(schema, items)
    for kind in _OF_PATIENT:
        for entry in by_kind[kind]:
            _check_subject(patient, entry, features[kind])
    items |= read_observations(by_kind["Observation"], features["Observation"], now=moment, tally=tally)
    medications = Index(by_kind["Medication"])
    for kind in ("Condition", "MedicationStatement"):
        items |= read_statements(kind, by_kind[kind], features[kind], medications, now=now, tally=tally)
    listed = tuple(
        items.get(feature.name) or Item(feature.name, None, "missing", why="nothing in the Bundle speaks of it")
        for feature in schema.features
    )
    values: dict[str, Value] = {item.feature: item.value for item in listed if item.feature in items}
    return Reading(values, listed, tuple(tally.left_out), patient.reference, looked)


def _at(bundle: Mapping[str, Any], now: Span) -> Span:
    """When the patient's age is counted: at the Bundle's timestamp, else now."""
    if "timestamp" not in bundle:
        return now
    when = span(bundle["timestamp"])
    if when is None or not when.zoned:
        raise bad_bundle("timestamp", "A Bundle's timestamp is a time with its zone.")
    return when


def _by_resource(schema: FeatureSchema, items: Mapping[str, Item]) -> dict[str, list[Feature]]:
    """The features that are read from each type of resource; what the Patient says is read from no other."""
    features: dict[str, list[Feature]] = {kind: [] for kind in _OF_PATIENT}
    for feature in schema.features:
        said = items.get(feature.name)
        if (said is None or said.value is None) and not (feature.path or "").startswith("Patient."):
            features[feature.resource or "Observation"].append(feature)
    return features


def _check_subject(patient: Entry, entry: Entry, features: list[Feature]) -> None:
    about = is_about(patient, entry)
    if about:
        return
    detail = "It does not say whom it is about." if about is None else "It is about another patient."
    asked = [feature for feature in features if _has_code(entry, feature)]
    raise invalid(asked[0], detail) if asked else bad_bundle(f"{entry.place}.resource.subject", detail)


def _has_code(entry: Entry, feature: Feature) -> bool:
    return bool({key(code) for code in feature.codes} & set(keys(entry.resource.get("code"))))
