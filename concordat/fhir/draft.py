"""A FHIR R4 ResearchStudy read into the draft of a protocol: what it says in the protocol's own terms, what is left.

Nothing is guessed. A field that the resource does not say, or not in one certain way, is left out of the draft and
named with the reason; a draft that nobody completed is refused when it is submitted. Institutions and the study are
known by our own identifiers alone. Who the principal investigator is, is not taken over: a protocol does not say it.

https://hl7.org/fhir/R4/researchstudy.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError, with_config
from typing_extensions import TypedDict

from concordat import clock
from concordat.canonical import Json
from concordat.fhir.bundle import entries
from concordat.fhir.elements import Element, element, elements, modified, text
from concordat.fhir.names import system
from concordat.fhir.references import Entry, Index, identifiers
from concordat.fields import STRICT, Slug, Text, Time, read
from concordat.protocol import Protocol, Section
from concordat.reading.times import span
from concordat.reasons import Reason, Refused

STATUSES: Mapping[str, str] = {
    "active": "",
    "approved": "",
    "in-review": "",
    "closed-to-accrual": "",
    "temporarily-closed-to-accrual": "",
    "administratively-completed": "It has ended before its time.",
    "closed-to-accrual-and-intervention": "Nobody is examined or treated in it any more.",
    "completed": "It has ended.",
    "disapproved": "A board has disapproved it.",
    "temporarily-closed-to-accrual-and-intervention": "It is at rest: nobody is examined or treated in it now.",
    "withdrawn": "Who led it has withdrawn it.",
}
"""R4's statuses of a ResearchStudy; why one cannot be put before boards, empty where it can."""

FIELDS: Mapping[str, str] = {
    "study": "`identifier`, of the system `urn:concordat:study`",
    "title": "`title`",
    "institution": "`sponsor`, by its identifier of the system `urn:concordat:institution`; one of the sites",
    "contact": "`contact`, if there is exactly one: its name and addresses",
    "summary": "`description`",
    "sections": "`condition`, `focus` and `objective`, as a section of what is studied; boards need more of them",
    "sites": "`site`, if each one has such an identifier, or its Location's `managingOrganization` has",
    "valid_until": "`period.end`, if it is a moment with its zone that is still to come",
}
"""The protocol's fields that a ResearchStudy may say, and by which element."""

_STUDIED = "What is studied"
_USED = {"identifier", "title", "sponsor", "contact", "description", "condition", "focus", "objective", "site"}
_PLAIN = {"resourceType", "id", "meta", "text", "language", "contained", "status", "period", "implicitRules"}


@with_config(STRICT)
class _Said(TypedDict, total=False):
    """The form of each, as in a `Protocol`."""

    study: Slug
    title: Text
    institution: Slug
    contact: Text
    summary: Text
    sections: list[Section]
    sites: list[Slug]
    valid_until: Time


@dataclass(frozen=True)
class Left:
    """A field of the protocol that has to be filled in, or completed, and why."""

    field: str
    why: str


@dataclass(frozen=True)
class Draft:
    """`document` has those fields of a protocol that the resource says, each of its form; `passed_over` are the
    elements of the resource that were not used."""

    document: dict[str, Json]
    left: tuple[Left, ...]
    passed_over: tuple[str, ...]


def draft(given: Mapping[str, Any], *, now: datetime) -> Draft:
    """The draft of a protocol.

    Args:
        given: a ResearchStudy, or a Bundle with exactly one, in which its references are resolved.

    Raises:
        Refused: FIELD_INVALID, naming the element: for what is no ResearchStudy of R4 or several, for a modifier, and
            for a status in which no study is put before boards. No value is ever named.
    """
    entry, places = _study(given)
    resource = entry.resource
    _check(resource)
    said: dict[str, tuple[Json, str]] = {
        "study": _one(_ours(resource, "study"), "identifier"),
        "title": (text(resource.get("title")), ""),
        "contact": _contact(resource),
        "summary": (text(resource.get("description")), ""),
        "sections": _sections(resource),
        "valid_until": _until(element(resource.get("period")), now),
        **_institutions(entry, places),
    }
    document: dict[str, Json] = {"v": 2}
    why: dict[str, str] = {}
    for field, (value, reason) in said.items():
        if not value:
            why[field] = reason or "The ResearchStudy does not say it."
            continue
        try:
            document |= read({field: value}, _Said)  # type: ignore[arg-type]
        except Refused as refused:
            why[field] = f"What the ResearchStudy says has another form: {refused.detail}."
    if "sections" in document:
        why["sections"] = "Only what is studied stands there: add what boards read, such as procedures and withdrawal."
    needed = [name for name in Protocol.__annotations__ if name in Protocol.__required_keys__]
    left = [
        Left(name, why.get(name, "A ResearchStudy has no element for it."))
        for name in needed
        if name in why or name not in document
    ]
    ordered = {name: document[name] for name in needed if name in document}
    passed_over = sorted(name for name in resource if name not in _USED | _PLAIN and not name.startswith("_"))
    return Draft(ordered, tuple(left), tuple(passed_over))


def _study(given: Mapping[str, Any]) -> tuple[Entry, Index]:
    """The one ResearchStudy, and the Organizations and Locations that came with it."""
    if given.get("resourceType") == "ResearchStudy":
        return Entry("ResearchStudy", "", "ResearchStudy", given), Index([])
    if given.get("resourceType") != "Bundle":
        raise _invalid("resourceType", "A ResearchStudy of FHIR R4 is expected, or a Bundle that holds one.")
    try:
        found = entries(given)
    except Refused as refused:
        raise _invalid(refused.field, refused.detail) from None
    studies = [each for each in found if each.kind == "ResearchStudy"]
    if len(studies) != 1:
        raise _invalid("entry", "Exactly one ResearchStudy is expected in the Bundle.")
    return studies[0], Index(each for each in found if each.kind in ("Organization", "Location"))


def _check(resource: Element) -> None:
    try:
        get_fhir_model_class("ResearchStudy").model_validate(dict(resource))
    except ValidationError as error:
        place = ".".join(map(str, error.errors(include_input=False, include_url=False)[0]["loc"]))
        raise _invalid(place or "resourceType", "This is no ResearchStudy of FHIR R4.") from None
    if modified(resource):
        name = "modifierExtension" if resource.get("modifierExtension") else "implicitRules"
        raise _invalid(name, "It changes what the ResearchStudy means, in a way that is not known here.")
    why = STATUSES.get(text(resource.get("status")))
    if why is None:
        raise _invalid("status", f"The status of a ResearchStudy is one of: {', '.join(STATUSES)}.")
    if why:
        raise _invalid("status", f"A study with this status is not put before boards. {why}")


def _ours(resource: Element, name: str) -> set[str]:
    return {value for where, value in identifiers(resource) if where == system(name)}


def _one(named: set[str], place: str) -> tuple[Json, str]:
    if len(named) == 1:
        return named.pop(), ""
    return "", f"`{place}` names {'several' if named else 'none'} in our own system of identifiers."


def _institutions(entry: Entry, places: Index) -> dict[str, tuple[Json, str]]:
    """The leading one, which is a site, and the sites: all of them, or none where one is not known."""
    listed = [_institution(each, entry, places) for each in elements(entry.resource.get("site"))]
    unknown = [f"site.{number}" for number, named in enumerate(listed) if len(named) != 1]
    sites: list[Json] = list(dict.fromkeys(name for named in listed for name in named))
    lead, why = _one(_institution(element(entry.resource.get("sponsor")), entry, places), "sponsor")
    if unknown:
        known = f" Known are: {', '.join(map(str, sites))}." if sites else ""
        reason = f"Not named by one identifier of an institution: {', '.join(unknown)}.{known}"
        return {"institution": (lead, why), "sites": ([], reason)}
    if lead and sites and lead not in sites:
        lead, why = "", "The sponsor is none of the sites: the institution that leads a study is one of them."
    return {"institution": (lead, why), "sites": (sites, "")}


def _institution(reference: Element, entry: Entry, places: Index) -> set[str]:
    """The institutions that a reference names: itself, or by what it refers to."""
    named = _ours({"identifier": [reference.get("identifier")]}, "institution")
    for _ in range(2):  # a Location, and its managing Organization
        found = places.find(reference, seen_from=entry) if reference.get("reference") else None
        if found is None:
            return named
        named |= _ours(found, "institution")
        reference = element(found.get("managingOrganization"))
        named |= _ours({"identifier": [reference.get("identifier")]}, "institution")
    return named


def _contact(resource: Element) -> tuple[Json, str]:
    found = elements(resource.get("contact"))
    if len(found) > 1:
        return "", "`contact` has several: which one answers for the study is not said."
    parts = [
        part for each in found for part in (text(each.get("name")), *map(_value, elements(each.get("telecom")))) if part
    ]
    return ", ".join(parts), ""


def _value(contact_point: Element) -> str:
    return text(contact_point.get("value"))


def _sections(resource: Element) -> tuple[Json, str]:
    """One of what is studied, in the resource's own words; nothing where it has none."""
    lines = [*_words(resource, "condition"), *_words(resource, "focus")]
    lines += [text(each.get("name")) for each in elements(resource.get("objective"))]
    told = "\n".join(dict.fromkeys(line for line in lines if line.strip()))
    return ([{"heading": _STUDIED, "text": told}] if told else []), ""


def _words(resource: Element, name: str) -> Iterator[str]:
    for concept in elements(resource.get(name)):
        shown = [text(each.get("display")) for each in elements(concept.get("coding"))]
        yield text(concept.get("text")) or next(filter(None, shown), "")


def _until(period: Element, now: datetime) -> tuple[Json, str]:
    if "end" not in period:
        return "", ""
    when = span(period["end"])
    if when is None or not when.zoned:
        return "", "`period.end` is no moment with its zone, such as 2027-06-30T22:00:00Z."
    if when.last <= now:
        return "", "`period.end` has passed."
    return clock.rfc3339(when.first), ""


def _invalid(place: str, detail: str) -> Refused:
    return Refused(Reason.FIELD_INVALID, detail=detail, field=place)
