"""What became of a record at the FHIR server since it was read: its Patient merged, a value entered in error."""

from collections.abc import Iterator, Mapping

from concordat.client.ehr import Ehr
from concordat.fhir.later import erroneous, merged_into
from concordat.reading.record import Origins

_INPUTS = ("Observation", "Condition", "MedicationStatement")


def found_wrong(ehr: Ehr, patient: str, origins: Origins | None) -> tuple[str, str]:
    """Why a result must not be used any more, as a code of `display.RETRACTIONS`, and the id of the Patient into whom
    this one (an id) was merged, where the server says it. Both are empty if it says nothing. Raises Refused as `Ehr`.
    """
    told = (merged_into(each, patient, base=ehr.base) for each in ehr.named("Patient", [patient]))
    into = next((each for each in told if each is not None), None)
    if into is not None:
        return "merged", into
    return ("entered-in-error" if _entered_in_error(ehr, origins) else ""), ""


def _entered_in_error(ehr: Ehr, origins: Origins | None) -> bool:
    return any(
        erroneous(each)
        for kind, identities in _read(origins)
        for each in ehr.named(kind, identities)
        if each.get("id") in identities
    )


def _read(origins: Origins | None) -> Iterator[tuple[str, list[str]]]:
    """The ids of the resources from which values were read, by their type."""
    found: Mapping[str, list[str]] = {kind: [] for kind in _INPUTS}
    for origin in origins["items"] if origins else []:
        kind, _, identity = origin["reference"].partition("/")
        if origin["state"] == "read" and kind in found:
            found[kind].append(identity)
    return ((kind, list(dict.fromkeys(some))) for kind, some in found.items() if some)
