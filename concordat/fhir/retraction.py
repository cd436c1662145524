"""A result that stands in a health record is taken back there: its resources get the status `entered-in-error`.

R4 has that status for what was withdrawn after it was final
(https://hl7.org/fhir/R4/codesystem-observation-status.html). Nothing is deleted: each resource stays as the server has
it, with a note of why, and a Provenance says when, by whom and for which reason it was taken back.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from concordat import clock
from concordat.display import ENDINGS, RETRACTIONS
from concordat.fhir.elements import Element, coded, elements, text
from concordat.fhir.later import erroneous
from concordat.fhir.names import by_uuid, concept, identified, system, uuid_identifier
from concordat.fhir.references import local
from concordat.fhir.result import agent, own

REASONS: Mapping[str, str] = {**RETRACTIONS, "model-recalled": ENDINGS["model-recalled"]}
"""Why what was written is taken back, by code. What else ends, ends from then on: a result that was used while its
consent held stays in the record of what was done."""

_OPERATIONS = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"


@dataclass(frozen=True)
class Retraction:
    """Which request's result (UUID) is taken back, by whom (a person's handle, UUID) at which institution, when, and
    why: a code of `REASONS`."""

    request: str
    requester: str
    person: str
    made: datetime
    why: str


def assessment_identifier(request: str) -> dict[str, str]:
    """The Identifier of a request's RiskAssessment, whatever server it is on."""
    return own(request, "assessment")


def is_assessment(resource: Element, request: str) -> bool:
    """Whether this is a request's RiskAssessment."""
    return _bears(resource, assessment_identifier(request))


def is_factors(resource: Element, request: str) -> bool:
    """Whether this Observation says what moved a request's prediction, or that of one of its classes."""
    code = resource.get("code")
    names = coded(code, system("class")) or {""}
    return "factors" in coded(code, system("document-kind")) and any(
        _bears(resource, own(request, f"factors:{name}")) for name in names
    )


def rests_on(assessment: Element, *, base: str) -> Iterator[str]:
    """The ids of the Observations, those of the factors among them, that a RiskAssessment at the server at `base`
    refers to."""
    for each in elements(assessment.get("basis")):
        kind, _, identity = local(text(each.get("reference")), base=base).partition("/")
        if kind == "Observation":
            yield identity


def retraction_bundle(resources: Sequence[Mapping[str, Any]], about: Retraction) -> dict[str, Any]:
    """The transaction that takes these resources back, each as the server answered with it, and the Provenance of it.

    Of each the version that was read is named (`ifMatch`), so that what was changed since is not overwritten. What is
    taken back already is left out; where that is all of it, the Bundle has no entries.
    """
    entries = [_updated(each, about) for each in resources if not erroneous(each)]
    if entries:
        entries.append(_provenance([_place(each) for each in resources], about))
    return {
        "resourceType": "Bundle",
        "identifier": own(about.request, "retraction"),
        "type": "transaction",
        "timestamp": clock.rfc3339(about.made),
        "entry": entries,
    }


def _updated(resource: Mapping[str, Any], about: Retraction) -> dict[str, Any]:
    when = clock.rfc3339(about.made)
    note = {"time": when, "text": f"Taken back. {REASONS[about.why]}."}
    changed = {**resource, "status": "entered-in-error", "note": [*elements(resource.get("note")), note]}
    version = text((resource.get("meta") or {}).get("versionId"))
    unless = {"ifMatch": f'W/"{version}"'} if version else {}
    return {"resource": changed, "request": {"method": "PUT", "url": _place(resource), **unless}}


def _provenance(places: Sequence[str], about: Retraction) -> dict[str, Any]:
    when = clock.rfc3339(about.made)
    requester = {"type": "Organization", **identified("institution", about.requester)}
    identity = own(about.request, "retraction")["value"].removeprefix("urn:uuid:")
    resource = {
        "resourceType": "Provenance",
        "id": identity,
        "target": [{"reference": place} for place in places],
        "occurredDateTime": when,
        "recorded": when,
        "reason": [concept("retraction", about.why, REASONS[about.why])],
        "activity": {"coding": [{"system": _OPERATIONS, "code": "NULLIFY"}]},
        "agent": [
            {
                "type": agent("author"),
                "who": {"type": "Practitioner", **by_uuid(about.person)},
                "onBehalfOf": requester,
            }
        ],
        "entity": [{"role": "source", "what": {"identifier": uuid_identifier(about.request)}}],
    }
    return {"resource": resource, "request": {"method": "PUT", "url": f"Provenance/{identity}"}}


def _place(resource: Mapping[str, Any]) -> str:
    return f"{text(resource.get('resourceType'))}/{text(resource.get('id'))}"


def _bears(resource: Element, identifier: Mapping[str, str]) -> bool:
    listed = elements(resource.get("identifier"))
    return any(
        (each.get("system"), each.get("value")) == (identifier["system"], identifier["value"]) for each in listed
    )
