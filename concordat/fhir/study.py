"""A study, and a person's part in it, as a FHIR R4 ResearchStudy and ResearchSubject."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from concordat import clock
from concordat.consent import Consent
from concordat.fhir.names import by_uuid, identified, system
from concordat.protocol import Protocol


def research_study(protocol: Protocol, *, now: datetime) -> dict[str, Any]:
    """The study by its protocol. What a client knows of it is that its definition is approved: it is active until the
    protocol's last day, and closed to accrual from then on."""
    ended = clock.parse(protocol["valid_until"]) <= now
    return {
        "resourceType": "ResearchStudy",
        "identifier": [{"system": system("study"), "value": protocol["study"]}],
        "title": protocol["title"],
        "status": "closed-to-accrual" if ended else "active",
        "description": protocol["summary"],
        "period": {"end": protocol["valid_until"]},
        "sponsor": {"type": "Organization", **identified("institution", protocol["institution"])},
        "site": [{"type": "Location", **identified("institution", site)} for site in protocol["sites"]],
    }


def research_subject(statement: Consent, *, withdrawn: datetime | None = None) -> dict[str, Any]:
    """A person's part in the study that they consented to, by pseudonym."""
    period: Mapping[str, str] = {
        "start": statement["given"],
        "end": clock.rfc3339(withdrawn) if withdrawn else statement["until"],
    }
    return {
        "resourceType": "ResearchSubject",
        "status": "withdrawn" if withdrawn else "on-study",
        "period": dict(period),
        "study": identified("study", statement["study"]),
        "individual": {"type": "Patient", **by_uuid(statement["subject"])},
        "consent": {"type": "Consent", **by_uuid(statement["consent"])},
    }
