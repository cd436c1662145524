"""The Bundle itself: which one can be read, its entries, and its one Patient."""

from collections.abc import Mapping
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from concordat.fhir.elements import bad_bundle, element, elements, modified, text
from concordat.fhir.references import Entry

TYPES = ("collection", "searchset", "document", "transaction", "batch")
"""Bundles of these types are read; of the last two, what would be created or updated."""


def entries(bundle: Mapping[str, Any]) -> list[Entry]:
    """The Bundle's resources.

    Raises:
        Refused: BUNDLE_INVALID, naming the place.
    """
    if bundle.get("resourceType") != "Bundle":
        raise bad_bundle("resourceType", "This is no FHIR Bundle.")
    if bundle.get("type") not in TYPES:
        raise bad_bundle("type", f"The Bundle's type is one of: {', '.join(TYPES)}.")
    if any(each.get("relation") == "next" for each in elements(bundle.get("link"))):
        raise bad_bundle("link", "This is one page of several: newer values may be on the others. Collect them all.")
    listed = bundle.get("entry", [])
    if not isinstance(listed, list):
        raise bad_bundle("entry", "Entries are a list.")
    found = [_entry(f"entry.{number}", each) for number, each in enumerate(listed)]
    known: dict[tuple[str, str], Entry] = {}
    for entry in found:
        same = known.setdefault((entry.base, entry.local), entry)
        if entry.local and same.resource != entry.resource:
            raise bad_bundle(entry.place, f"It is another version of {same.place}: which one counts cannot be told.")
    return found


def one_patient(found: list[Entry]) -> Entry:
    """The Bundle's one Patient, checked. Raises Refused(BUNDLE_INVALID)."""
    patients = [entry for entry in found if entry.kind == "Patient"]
    if len(patients) != 1:
        raise bad_bundle("Patient", "A Bundle holds exactly one Patient.")
    (patient,) = patients
    validate(patient)
    if modified(patient.resource):
        raise bad_bundle(patient.place, "A modifier changes what the Patient means, in a way that is not known here.")
    if any(each.get("type") == "replaced-by" for each in elements(patient.resource.get("link"))):
        raise bad_bundle(patient.place, "The Patient was replaced by another one: read that one.")
    return patient


def validate(entry: Entry) -> None:
    """Check a resource with its R4B class of `fhir.resources`, which agrees with R4 on all that is read here.

    Raises:
        Refused: BUNDLE_INVALID, naming the element.
    """
    try:
        get_fhir_model_class(entry.kind).model_validate(entry.resource)
    except ValidationError as error:
        place = ".".join(map(str, error.errors(include_input=False, include_url=False)[0]["loc"]))
        raise bad_bundle(f"{entry.place}.resource.{place}", f"This is no {entry.kind} of FHIR R4.") from None


def _entry(place: str, listed: object) -> Entry:
    if not isinstance(listed, dict):
        raise bad_bundle(place, "An entry is an object.")
    resource = listed.get("resource")
    if not isinstance(resource, dict) or not text(resource.get("resourceType")):
        raise bad_bundle(f"{place}.resource", "An entry has a resource with its type.")
    if element(listed.get("request")).get("method") in ("DELETE", "PATCH"):
        raise bad_bundle(f"{place}.request", "What a transaction would delete or patch cannot be read.")
    return Entry(place, text(listed.get("fullUrl")), text(resource["resourceType"]), resource)
