"""A result that stands in a health record is taken back there: its resources get the status `entered-in-error`.

R4 has that status for what was withdrawn after it was final
(https://hl7.org/fhir/R4/codesystem-observation-status.html). Nothing is deleted: each resource stays as the server has
it, with a note of why, and a Provenance says when, by whom and for which reason it was taken back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid5

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import clock
from concordat.display import BY_HAND
from concordat.documents import Keyring, sign, verify_from
from concordat.fhir.elements import Element, element, elements, is_id, text
from concordat.fhir.later import erroneous
from concordat.fhir.names import by_uuid, concept, identified, uuid_identifier
from concordat.fhir.result import AUTHOR, agent, signature
from concordat.fields import STRICT, Slug, Text, Time, Uuid
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey

_OPERATIONS = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
_PARTIAL = frozenset({"SUBSETTED", "REDACTED", "MASKED"})
"""Codes by which a server says that it does not show all of a resource
(https://hl7.org/fhir/R4/search.html#summary): what is written back then would lose the rest."""

_GENERATED = frozenset({"generated", "extensions"})
"""Of a narrative that a server made from the rest: it says `final`, and is made anew."""


@with_config(STRICT)
class RetractionStatement(TypedDict):
    """What the Provenance is signed with (JWS): that the `institution` took the result of its `request` back, and in
    which versions it found the resources that it marked at the `server`, such as `Observation/17/_history/3`."""

    v: Literal[1]
    request: Uuid
    institution: Slug
    person: Uuid
    why: Text
    time: Time
    server: Text
    versions: list[Text]


@dataclass(frozen=True)
class Retraction:
    """Which request's result (UUID) is taken back, by whom (a person's handle, UUID) at which institution, when, why (a
    code of `display.BY_HAND`), and at which server (its address)."""

    request: str
    requester: str
    person: str
    made: datetime
    why: str
    server: str


def bears(resource: Element, kind: str, identifier: Mapping[str, str]) -> bool:
    """Whether a resource is of this type, has an id, and bears the Identifier. Whom it is about does not count: a
    server that merges patients may have changed that."""
    listed = elements(resource.get("identifier"))
    wanted = identifier["system"], identifier["value"]
    return (
        resource.get("resourceType") == kind
        and is_id(resource.get("id"))
        and any((each.get("system"), each.get("value")) == wanted for each in listed)
    )


def place(resource: Element) -> str:
    """`Type/id`."""
    return f"{text(resource.get('resourceType'))}/{text(resource.get('id'))}"


def read_retraction(token: str, keyring: Keyring) -> RetractionStatement:
    """The statement in a JWS signed by the institution that it names. Raises Refused as `documents.verify_from`."""
    return verify_from(token, RetractionStatement, kind="retraction", signer="institution", keyring=keyring)


def retraction_bundle(resources: Iterable[Element], about: Retraction, *, key: SigningKey) -> dict[str, Any]:
    """The transaction that takes these resources back, each as the server answered with it, and the Provenance of it,
    signed with the institution's identity `key`.

    Of each the version that was read is named (`ifMatch`), so that what was changed since is not overwritten. What is
    taken back already is left out; where that is all of it, the Bundle has no entries.

    Raises:
        Refused: EHR_REFUSED for a resource of which the server did not show everything, or that it cannot have.
    """
    entries = [_updated(each, about) for each in resources if not erroneous(each)]
    if entries:
        entries.append(_provenance([entry["resource"] for entry in entries], about, key))
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "timestamp": clock.rfc3339(about.made),
        "entry": entries,
    }


def _updated(resource: Element, about: Retraction) -> dict[str, Any]:
    meta, notes = element(resource.get("meta")), resource.get("note", [])
    codes = {text(each.get("code")) for name in ("tag", "security") for each in elements(meta.get(name))}
    if codes & _PARTIAL:
        raise _refused("The server does not show all of what was written: the rest would be lost.")
    version = meta.get("versionId", "")
    if meta != resource.get("meta", {}) or not (version == "" or is_id(version)) or notes != elements(notes):
        raise _refused("What was written has a shape there that no resource has.")
    note = {"time": clock.rfc3339(about.made), "text": f"Taken back. {BY_HAND[about.why]}."}
    kept = {name: said for name, said in resource.items() if name != "text" or not _generated(said)}
    changed = {**kept, "status": "entered-in-error", "note": [*notes, note]}
    unless = {"ifMatch": f'W/"{version}"'} if version else {}
    return {"resource": changed, "request": {"method": "PUT", "url": place(resource), **unless}}


def _provenance(changed: Sequence[Element], about: Retraction, key: SigningKey) -> dict[str, Any]:
    """Of the same changes, whenever it is made, it is the same resource; of others another one."""
    when = clock.rfc3339(about.made)
    requester = {"type": "Organization", **identified("institution", about.requester)}
    statement: RetractionStatement = {
        "v": 1,
        "request": about.request,
        "institution": about.requester,
        "person": about.person,
        "why": about.why,
        "time": when,
        "server": about.server,
        "versions": [_versioned(each) for each in changed],
    }
    identity = str(uuid5(UUID(about.request), f"retraction: {' '.join(statement['versions'])}"))
    token = sign(statement, RetractionStatement, kind="retraction", key=key)
    resource = {
        "resourceType": "Provenance",
        "id": identity,
        "target": [{"reference": place(each)} for each in changed],
        "occurredDateTime": when,
        "recorded": when,
        "reason": [concept("retraction", about.why, BY_HAND[about.why])],
        "activity": {"coding": [{"system": _OPERATIONS, "code": "NULLIFY"}]},
        "agent": [
            {
                "type": agent("author"),
                "who": {"type": "Practitioner", **by_uuid(about.person)},
                "onBehalfOf": requester,
            }
        ],
        "entity": [{"role": "source", "what": {"identifier": uuid_identifier(about.request)}}],
        "signature": [signature(AUTHOR, requester, token, when)],
    }
    return {"resource": resource, "request": {"method": "PUT", "url": f"Provenance/{identity}"}}


def _versioned(resource: Element) -> str:
    """The reference to the version that was read; to the resource alone, of a server without versions."""
    version = element(resource.get("meta")).get("versionId", "")
    return f"{place(resource)}/_history/{version}" if version else place(resource)


def _generated(narrative: object) -> bool:
    return text(element(narrative).get("status")) in _GENERATED


def _refused(detail: str) -> Refused:
    return Refused(Reason.EHR_REFUSED, detail=detail, field="request")
