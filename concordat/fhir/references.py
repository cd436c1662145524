"""Entries of a Bundle, and whom and what their references mean.

Resolved as https://hl7.org/fhir/R4/bundle.html#references says: by `fullUrl`, a relative reference against the server
that its own entry came from; contained resources by `#`; a reference by identifier alone, by that identifier.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from concordat.fhir.elements import Element, element, elements, text
from concordat.reading.values import Key

_RESTFUL = re.compile(r"(https?://[^\s?#]+)/([A-Za-z]{1,64}/[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?")
_LOCAL = re.compile(r"([A-Za-z]{1,64}/[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?")


@dataclass(frozen=True)
class Entry:
    """One resource: its place in the Bundle, such as `entry.3`, its `fullUrl` (empty without one) and its type."""

    place: str
    url: str
    kind: str
    resource: Element

    @property
    def local(self) -> str:
        """`Type/id`, by its server's address or its own id; empty without either."""
        match = _RESTFUL.fullmatch(self.url)
        if match is not None:
            return match[2]
        identity = text(self.resource.get("id"))
        return f"{self.kind}/{identity}" if identity else ""

    @property
    def base(self) -> str:
        """The address of the server that it came from; empty where `fullUrl` does not say."""
        match = _RESTFUL.fullmatch(self.url)
        return match[1] if match is not None else ""

    @property
    def reference(self) -> str:
        """How another resource would refer to it; empty where nothing could."""
        return self.local or self.url

    def means(self, reference: str, *, seen_from: "Entry") -> bool:
        """Whether a reference in the resource of another entry, not to a contained one, means this one."""
        absolute = _RESTFUL.fullmatch(reference)
        if absolute is not None:
            return (self.base, self.local) == (absolute[1], absolute[2])
        relative = _LOCAL.fullmatch(reference)
        if relative is None:
            return bool(reference) and reference == self.url
        bases = {self.base, seen_from.base} - {""}
        return relative[1] == self.local and len(bases) < 2


class Index:
    """Entries of one type, found by reference in constant time."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._by: dict[str, list[Entry]] = {}
        for entry in entries:
            for name in {entry.url, entry.local} - {""}:
                self._by.setdefault(name, []).append(entry)

    def find(self, reference: Element, *, seen_from: Entry) -> Element | None:
        """The resource that is meant, contained or in an entry of its own; None if there is none, or not just one."""
        name = text(reference.get("reference"))
        if name.startswith("#"):
            return contained(seen_from.resource, name)
        match = _RESTFUL.fullmatch(name) or _LOCAL.fullmatch(name)
        local = name if match is None else match[match.re.groups]
        found = [each for each in self._by.get(local, []) if each.means(name, seen_from=seen_from)]
        return found[0].resource if len(found) == 1 else None


def local(reference: str, *, base: str) -> str:
    """`Type/id` of what a reference means at the server with this address; empty for what is elsewhere."""
    absolute, relative = _RESTFUL.fullmatch(reference), _LOCAL.fullmatch(reference)
    if absolute is not None:
        return absolute[2] if absolute[1] == base else ""
    return "" if relative is None else relative[1]


def contained(resource: Element, name: str) -> Element | None:
    """The contained resource that `#id` names; None if there is none, or not just one."""
    found = [each for each in elements(resource.get("contained")) if text(each.get("id")) == name.removeprefix("#")]
    return found[0] if len(found) == 1 else None


def identifiers(resource: Element) -> set[Key]:
    """System and value of every identifier that has both."""
    found = {(text(each.get("system")), text(each.get("value"))) for each in elements(resource.get("identifier"))}
    return {each for each in found if all(each)}


def is_about(patient: Entry, entry: Entry, *, by: str = "subject") -> bool | None:
    """Whether the element that says whom it is about names the patient; None if the resource does not say it."""
    subject = element(entry.resource.get(by))
    name = text(subject.get("reference"))
    if name.startswith("#"):
        person = contained(entry.resource, name)
        same = person is not None and person.get("resourceType") == "Patient"
        return same and bool(identifiers(person or {}) & identifiers(patient.resource))
    if name:
        return patient.means(name, seen_from=entry)
    named = identifiers({"identifier": [subject.get("identifier")]})
    return bool(named & identifiers(patient.resource)) if named else None
