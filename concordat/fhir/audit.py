"""AuditEvents of what the client read, checked and disclosed, in the shape of IHE's Basic Audit Log Patterns.

They name persons by pseudonym, and hold no value, no code and no name. BALP's profiles of reads are about RESTful ones;
where a Bundle came from a file, both ends are this machine.

https://profiles.ihe.net/ITI/BALP/ (version 1.1.4)
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from concordat import clock
from concordat.fhir.names import by_uuid, identified

_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_HL7 = "http://terminology.hl7.org/CodeSystem"
_PROFILE = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit"
_SOURCE, _DESTINATION, _APPLICATION = "110153", "110152", "110150"

NONE = "none that was used"
"""In place of the types of resources."""

Outcome = Literal["0", "8"]
"""Success, or a serious failure: a refusal."""


def patient_read(
    *, institution: str, person: str, subject: str, request: str, kinds: Sequence[str], source: str, now: datetime
) -> dict[str, Any]:
    """That a patient's resources were read for a request, or, without one, that what was read was refused before there
    was one. `kinds` are the types of resources that were used, or that were read, `source` the address of the server,
    or `urn:concordat:file` for a Bundle in a file. Of OMOP tables they are the tables, and the source's name in
    `omop.json` (`urn:concordat:omop:NAME`) or its address: those are no Bundle. Where nothing of them was used, the
    event says that: an element of FHIR is never empty."""
    tables = source.startswith(("urn:concordat:omop:", "sqlite:", "postgresql:", "postgres:"))
    used = _data("" if tables else "Bundle", ", ".join(kinds) or NONE)
    return {
        **_event("PatientRead", institution, now, {"system": f"{_HL7}/audit-event-type", "code": "rest"}, action="R"),
        "subtype": [{"system": "http://hl7.org/fhir/restful-interaction", "code": "read"}],
        "agent": [
            _machine(_DESTINATION, institution, "localhost"),
            _machine(_SOURCE, institution, source),
            _user(person),
        ],
        "entity": [_patient(subject), used, *([_transaction(request)] if request else [])],
    }


def consent_checked(
    *, institution: str, person: str, subject: str, consent: str, permitted: bool, now: datetime
) -> dict[str, Any]:
    """That a consent was held against a request, and whether it permits it.

    The coordinator and the nodes decide that. The profile wants the recorder of the event as the authoriser, so
    `outcomeDesc` says who decided.
    """
    outcome: Outcome = "0" if permitted else "8"
    what = {"type": "Consent", **by_uuid(consent)}
    provider = {"coding": [{"system": f"{_HL7}/v3-RoleClass", "code": "PROV"}]}
    server = {"coding": [{"system": f"{_HL7}/extra-security-role-type", "code": "authserver"}]}
    who = identified("institution", institution)
    subtype = {"system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType", "code": "AuthZ-Consent"}
    return {
        **_event("AuthZconsent", institution, now, {"system": _DICOM, "code": "110113"}, action="E", outcome=outcome),
        "outcomeDesc": "Decided by the coordinator, as this client was told.",
        "subtype": [subtype],
        "agent": [
            _machine(_APPLICATION, institution, "localhost"),
            _user(person),
            {"type": provider, "who": who, "requestor": False},
            {"type": server, "who": who, "requestor": False},
        ],
        "entity": [
            _patient(subject),
            {"what": what, "type": {"system": "http://hl7.org/fhir/resource-types", "code": "Consent"}},
        ],
    }


def disclosed(
    *, institution: str, person: str, subject: str, request: str, recipient: str, kinds: Sequence[str], now: datetime
) -> dict[str, Any]:
    """That a result left the client: `kinds` of resources, for the `recipient` in words (a file's kind, an address)."""
    return {
        **_event("PrivacyDisclosure.Source", institution, now, {"system": _DICOM, "code": "110106"}, action="R"),
        "subtype": [{"system": f"{_HL7}/iso-21089-lifecycle", "code": "disclose"}],
        "agent": [
            _machine(_SOURCE, institution, "localhost"),
            _machine(_DESTINATION, institution, recipient),
            _user(person),
        ],
        "entity": [_patient(subject), *(_data(kind, f"every {kind}") for kind in kinds), _transaction(request)],
    }


def patient_updated(
    *, institution: str, person: str, subject: str, request: str, kinds: Sequence[str], server: str, now: datetime
) -> dict[str, Any]:
    """That a patient's resources of these types, made of a request, were changed at the `server` with this address."""
    return {
        **_event("PatientUpdate", institution, now, {"system": f"{_HL7}/audit-event-type", "code": "rest"}, action="U"),
        "subtype": [{"system": "http://hl7.org/fhir/restful-interaction", "code": "update"}],
        "agent": [
            _machine(_SOURCE, institution, "localhost"),
            _machine(_DESTINATION, institution, server),
            _user(person),
        ],
        "entity": [_patient(subject), _data("Bundle", ", ".join(kinds)), _transaction(request)],
    }


def _event(
    profile: str, institution: str, now: datetime, kind: dict[str, str], *, action: str, outcome: Outcome = "0"
) -> dict[str, Any]:
    observer = identified("institution", institution)
    return {
        "resourceType": "AuditEvent",
        "meta": {"profile": [f"{_PROFILE}.{profile}"]},
        "type": kind,
        "action": action,
        "recorded": clock.rfc3339(now),
        "outcome": outcome,
        "source": {
            "observer": observer,
            "type": [{"system": f"{_HL7}/security-source-type", "code": "4"}],
        },
    }


def _machine(code: str, institution: str, address: str) -> dict[str, Any]:
    return {
        "type": {"coding": [{"system": _DICOM, "code": code}]},
        "who": identified("institution", institution),
        "requestor": False,
        "network": {"address": address, "type": "5" if ":" in address else "1"},
    }


def _user(person: str) -> dict[str, Any]:
    kind = {"coding": [{"system": f"{_HL7}/v3-ParticipationType", "code": "IRCP"}]}
    return {"type": kind, "who": {"type": "Practitioner", **by_uuid(person)}, "requestor": True}


def _patient(subject: str) -> dict[str, Any]:
    return {
        "what": {"type": "Patient", **by_uuid(subject)},
        "type": {"system": f"{_HL7}/audit-entity-type", "code": "1"},
        "role": {"system": f"{_HL7}/object-role", "code": "1"},
    }


def _data(kind: str, display: str) -> dict[str, Any]:
    return {
        "what": {**({"type": kind} if kind else {}), "display": display},
        "type": {"system": f"{_HL7}/audit-entity-type", "code": "2"},
        "role": {"system": f"{_HL7}/object-role", "code": "4"},
    }


def _transaction(request: str) -> dict[str, Any]:
    return {
        "what": by_uuid(request),
        "type": {"system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "code": "XrequestId"},
    }
