"""The names of our own that stand in resources: code systems, identifier systems and extensions.

They are URNs, as nothing can be looked up at them: whoever receives a resource reads `docs/reference/fhir.md`. They do
not change; what would mean something else gets a new name.
"""

from collections.abc import Mapping
from typing import Any

UUID = "urn:ietf:rfc:3986"
"""The identifier system of `urn:uuid:` names: persons' pseudonyms, requests, consents, clinicians' handles."""

SYSTEMS: Mapping[str, str] = {
    "institution": "an institution's short name, as it is enrolled",
    "study": "a study's short name",
    "purpose": "a purpose of a study's protocol",
    "consent-form": "a consent form, by its digest",
    "definition": "an approved computation definition, by its digest",
    "record": "a decision's number in a log: the log's origin, a space, and the number",
    "document": "a signed document, by its digest",
    "method": "how a prediction is explained: by the name of the method",
    "factor": "a group of features, by its name in the design",
    "class": "one of a model's classes, by its name",
    "fit": "how well an explanation describes its prediction",
    "job-state": "where a job stands",
    "reason": "why something was refused or ended early",
    "retraction": "why what was written was taken back",
    "document-kind": "what kind of resource this is: factors, prediction-job",
}
"""Code and identifier systems by the last part of their names, and what their codes are."""

EXTENSIONS: Mapping[str, str] = {
    "consent-assent": "on Consent: the digest of a child's own form",
    "consent-reconsent": "on Consent: from when on the person decides, and why",
    "factor-interval": "on a component: the ends of the effect's 95 % interval, in the effect's unit",
    "factor-value": "on a component: the patient's value in words, with its unit",
    "factor-imputed": "on a component: whether the value was not measured, so that the reference stands in",
    "factor-direction": "on a component: raises, lowers, does not change, or raises or lowers",
    "log": "on Provenance: `origin` of the log, `entry` in it, and the `size` of the log that was verified",
}
"""Extensions by the last part of their URLs, and what they say."""


def system(name: str) -> str:
    """The URN of a code or identifier system of ours."""
    return _urn(name, SYSTEMS)


def extension(name: str) -> str:
    """The URL of an extension of ours."""
    return _urn(name, EXTENSIONS)


def identified(name: str, value: str) -> dict[str, Any]:
    """A Reference by identifier alone, in one of our systems."""
    return {"identifier": {"system": system(name), "value": value}}


def by_uuid(value: str) -> dict[str, Any]:
    """A Reference by a UUID alone."""
    return {"identifier": uuid_identifier(value)}


def uuid_identifier(value: str) -> dict[str, str]:
    """An Identifier that is a UUID."""
    return {"system": UUID, "value": f"urn:uuid:{value}"}


def concept(name: str, code: str, text: str = "") -> dict[str, Any]:
    """A CodeableConcept of one of our systems."""
    return {"coding": [{"system": system(name), "code": code}], **({"text": text} if text else {})}


def _urn(name: str, known: Mapping[str, str]) -> str:
    if name not in known:
        raise ValueError(f"{name} is not documented")
    return f"urn:concordat:{name}"
