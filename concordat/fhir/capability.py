"""What of FHIR is read and written here, as a CapabilityStatement made from the tables that the code goes by."""

from collections.abc import Mapping
from typing import Any

from concordat import __version__
from concordat.fhir import bundle, observations, participation, statements
from concordat.fhir.task import STATUS

READ: Mapping[str, str] = {
    "Patient": "Exactly one in a Bundle: birthDate, gender, and what a FHIRPath finds.",
    "Observation": f"With the status {', '.join(observations.FINAL)}, and components: the newest of each code.",
    "Condition": "Active and confirmed is yes; "
    f"{', '.join(sorted(code for code, says in statements.CLINICAL_SAYS.items() if says == 'no'))} or refuted is no.",
    "MedicationStatement": "Active is yes; "
    f"{', '.join(sorted(code for code, says in statements.MEDICATION_SAYS.items() if says == 'no'))} is no.",
    "Medication": "Where a MedicationStatement refers to it: its code.",
    "Consent": "To research, as it is written here.",
    "ResearchSubject": "Of this patient and study. Where the status is "
    f"{', '.join(sorted(code for code, says in participation.SAYS.items() if says == 'none'))}, nothing is computed.",
    "ResearchStudy": "Where a ResearchSubject refers to it: its identifier. Of itself: the draft of a protocol.",
}
"""Each type that is read, and how much of it."""

WRITTEN: Mapping[str, str] = {
    "RiskAssessment": "An opened prediction; taken back, with the status entered-in-error.",
    "Observation": "The factors of an opened prediction; taken back likewise.",
    "Provenance": "Who computed it, the signed request and receipts, and its place in the log; or who took it back.",
    "Task": f"A prediction's job, with the status {', '.join(sorted(set(STATUS.values())))}.",
    "Consent": "A consent that was given from here.",
    "ResearchStudy": "A study, by its protocol.",
    "ResearchSubject": "A person's part in a study, by pseudonym.",
    "AuditEvent": "What the client read, checked, disclosed and took back.",
}
"""Each type that is written, and what it says."""


SEARCHED = ("Patient", "Observation", "Condition", "MedicationStatement", "ResearchSubject")
"""Types that are searched for at a FHIR server, by POST; what they refer to comes with them (`_include`)."""

SENT = ("RiskAssessment", "Observation", "Provenance")
"""Types that are written to one, in a transaction."""

TAKEN_BACK = ("RiskAssessment", "Observation")
"""Types of which what was written is searched for at one, and updated there, when a result is taken back."""


def capability_statement() -> dict[str, Any]:
    """The CapabilityStatement of the client, whether it reads and writes files or a server (`concordat.client.ehr`)."""
    resources = [
        {"type": kind, "documentation": " ".join(_said(kind)), **_interactions(kind)}
        for kind in dict.fromkeys([*READ, *WRITTEN])
    ]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _DATE,
        "kind": "capability",
        "software": {"name": "Concordat client", "version": __version__},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [
            {
                "mode": "client",
                "documentation": f"Reads Bundles of type {', '.join(bundle.TYPES)} from files, and writes files. With "
                "a server, it searches by POST and sends one transaction, with conditional creates, or with updates "
                "of the versions that it read.",
                "security": {"service": [{"coding": [{"system": _SECURITY, "code": "SMART-on-FHIR"}]}]},
                "interaction": [{"code": "transaction"}],
                "resource": resources,
            }
        ],
    }


_DATE = "2026-11-28"
"""When this statement changed last."""


_SECURITY = "http://terminology.hl7.org/CodeSystem/restful-security-service"


def _interactions(kind: str) -> dict[str, Any]:
    codes = ["search-type"] if kind in (*SEARCHED, *TAKEN_BACK) else []
    codes += ["create"] if kind in SENT and kind != "Provenance" else []
    codes += ["update"] if kind in (*TAKEN_BACK, "Provenance") else []
    conditional = {"conditionalCreate": True} if "create" in codes else {}
    return {"interaction": [{"code": code} for code in codes], **conditional} if codes else {}


def _said(kind: str) -> list[str]:
    said = [f"Read: {READ[kind]}"] if kind in READ else []
    return said + ([f"Written: {WRITTEN[kind]}"] if kind in WRITTEN else [])
