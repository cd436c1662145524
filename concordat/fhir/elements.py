"""Small steps through FHIR's JSON before it is validated: what has the wrong shape is not there."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from concordat.reading.values import Key
from concordat.reasons import Reason, Refused

Element = Mapping[str, Any]

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)


def element(value: object) -> Element:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def elements(value: object) -> list[Element]:
    """The objects of a JSON array, of anything else none."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def text(value: object) -> str:
    """The value if it is a text, else the empty one."""
    return value if isinstance(value, str) else ""


def is_id(value: object) -> bool:
    """Whether this can be a resource's id (https://hl7.org/fhir/R4/datatypes.html#id)."""
    return _ID.fullmatch(text(value)) is not None


def keys(concept: object) -> list[Key]:
    """System and code of every coding of a CodeableConcept."""
    found = elements(element(concept).get("coding"))
    return [(text(each.get("system")), text(each.get("code"))) for each in found]


def coded(concept: object, system: str) -> set[str]:
    """The codes of a CodeableConcept in one system."""
    return {code for where, code in keys(concept) if where == system}


def bad_bundle(place: str, detail: str = "") -> Refused:
    """A refusal that names a place in the Bundle; `detail` must hold no value."""
    return Refused(Reason.BUNDLE_INVALID, detail=detail, field=place)


def modified(resource: Element) -> bool:
    """Whether something that is not known here may change what the resource means."""
    return bool(resource.get("modifierExtension") or resource.get("implicitRules"))


def parts(observation: Element) -> Iterator[Element]:
    """An Observation and its components, each of which has a `code` and may have a value."""
    yield observation
    yield from elements(observation.get("component"))
