"""FHIR Bundles made by hand, as messy as hospitals' own; and a schema that asks for something of every kind."""

from datetime import UTC, datetime
from typing import Any

from concordat.schema import FeatureSchema

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LOINC, SNOMED, RXNORM, UCUM = (
    "http://loinc.org",
    "http://snomed.info/sct",
    "http://www.nlm.nih.gov/research/umls/rxnorm",
    "http://unitsofmeasure.org",
)
SYSTOLIC, GLUCOSE, CREATININE, PANEL, SMOKER, TEMPERATURE = "8480-6", "2345-7", "2160-0", "85354-9", "72166-2", "8310-5"
DIABETES, METFORMIN = "44054006", "6809"
STUDY = "chest-pain"
BASE = "https://ehr.example.org/fhir"
PATIENT = f"{BASE}/Patient/p1"

Json = dict[str, Any]


def code(system: str, value: str) -> Json:
    return {"coding": [{"system": system, "code": value}]}


def feature(name: str, kind: str = "number", **more: Any) -> Json:
    """A feature of a schema; of a number from 0 to 1000."""
    extra: Json = {"centre": "100", "scale": "10", "range": ["0", "1000"]} if kind == "number" else {}
    whole = {"name": name, "label": name.title(), "words": name, "kind": kind, "codes": [], "missing": "impute"}
    return {**whole, "group": name, **extra, **more}


def named(*codes: tuple[str, str]) -> list[Json]:
    return [{"system": system, "code": value, "display": value} for system, value in codes]


def schema(*features: Json) -> FeatureSchema:
    return FeatureSchema.from_json(
        {
            "v": 1,
            "name": "messy",
            "version": "1",
            "title": "Something of every kind",
            "source": "made by hand",
            "standardisation": "none",
            "left_out": {},
            "features": list(features or FEATURES),
        }
    )


FEATURES = [
    feature("age", patient="birthDate", unit="a"),
    feature("systolic", codes=named((LOINC, SYSTOLIC)), unit="mm[Hg]"),
    feature("glucose", codes=named((LOINC, GLUCOSE)), unit="mmol/L", molar_mass="180.156"),
    feature("creatinine", codes=named((LOINC, CREATININE)), unit="umol/L"),
    feature("temperature", codes=named((LOINC, TEMPERATURE)), unit="Cel", max_age="P2D"),
    feature(
        "smoker",
        "category",
        codes=named((LOINC, SMOKER)),
        reference="never",
        levels=[
            {"value": "never", "label": "never", "codes": named((SNOMED, "266919005"))},
            {"value": "daily", "label": "daily", "codes": named((SNOMED, "449868002"))},
        ],
    ),
    feature("diabetes", "boolean", codes=named((SNOMED, DIABETES)), reference=False, resource="Condition"),
    feature(
        "metformin",
        "boolean",
        codes=named((RXNORM, METFORMIN)),
        reference=False,
        resource="MedicationStatement",
        none_means_no=True,
    ),
]

_BY_NAME = {each["name"]: each for each in FEATURES}


def only(name: str, **changes: Any) -> FeatureSchema:
    """A schema of one of the features above."""
    return schema({**_BY_NAME[name], **changes})


def patient(**changes: Any) -> Json:
    return {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1961-10-14", **changes}


def observation(value: str = SYSTOLIC, at: str | None = "2026-03-01T08:00:00Z", **changes: Any) -> Json:
    """A final one about the patient; of 120 mm[Hg] unless `changes` have another value[x]."""
    given = {"valueQuantity": quantity(120)} if not any(name.startswith("value") for name in changes) else {}
    when = {} if at is None else {"effectiveDateTime": at}
    about = {"resourceType": "Observation", "status": "final", "code": code(LOINC, value)}
    whole = {**about, "subject": {"reference": "Patient/p1"}, **when, **given, **changes}
    return {name: said for name, said in whole.items() if said is not None}


def quantity(value: float, unit: str = "mm[Hg]", **changes: Any) -> Json:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit, **changes}


def condition(clinical: str | None = "active", verified: str | None = "confirmed", **changes: Any) -> Json:
    system = "http://terminology.hl7.org/CodeSystem/condition-"
    statuses: Json = {}
    if clinical is not None:
        statuses["clinicalStatus"] = code(f"{system}clinical", clinical)
    if verified is not None:
        statuses["verificationStatus"] = code(f"{system}ver-status", verified)
    about = {"resourceType": "Condition", "code": code(SNOMED, DIABETES), "subject": {"reference": "Patient/p1"}}
    return {**about, **statuses, **changes}


def medication(status: str = "active", **changes: Any) -> Json:
    about = {"resourceType": "MedicationStatement", "status": status, "subject": {"reference": "Patient/p1"}}
    what = {} if "medicationReference" in changes else {"medicationCodeableConcept": code(RXNORM, METFORMIN)}
    return {**about, **what, **changes}


def research_subject(status: str = "on-study", start: str = "", end: str = "", **changes: Any) -> Json:
    """The patient's part in our study, from one partial date to another where they are given."""
    period = {name: said for name, said in (("start", start), ("end", end)) if said}
    study = {"identifier": {"system": "urn:concordat:study", "value": STUDY}}
    about = {"resourceType": "ResearchSubject", "status": status, "study": study}
    when = {"period": period} if period else {}
    return {**about, **when, "individual": {"reference": "Patient/p1"}, **changes}


def research_study(value: str = STUDY, system: str = "urn:concordat:study", **changes: Any) -> Json:
    about = {"resourceType": "ResearchStudy", "status": "active"}
    return {**about, "identifier": [{"system": system, "value": value}], **changes}


def bundle(*resources: Json, who: Json | None = None, url: str = PATIENT, **changes: Any) -> Json:
    """A Bundle of the patient and these resources, each with a `fullUrl` on the same server."""
    whole = [{"fullUrl": url, "resource": who or patient()}]
    whole += [
        {"fullUrl": f"{BASE}/{each['resourceType']}/r{number}", "resource": each}
        for number, each in enumerate(resources)
    ]
    return {"resourceType": "Bundle", "type": "collection", "timestamp": "2026-03-02T09:00:00Z", "entry": whole} | (
        changes
    )
