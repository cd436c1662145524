"""What a server may say later of a resource that was read: that it was entered in error, or its Patient merged.

https://hl7.org/fhir/R4/patient.html#links: the Patient that is no longer used has a link `replaced-by`, the one that is
used in its place may have a link `replaces`. Some servers answer with the second one where the first is asked for.
"""

from collections.abc import Iterator

from concordat.fhir.elements import Element, coded, element, elements, text
from concordat.fhir.references import local
from concordat.fhir.statements import VERIFICATION

_ERROR = "entered-in-error"


def erroneous(resource: Element) -> bool:
    """Whether an Observation, Condition or MedicationStatement was entered in error."""
    return text(resource.get("status")) == _ERROR or _ERROR in coded(resource.get("verificationStatus"), VERIFICATION)


def merged_into(patient: Element, identity: str, *, base: str) -> str | None:
    """The id of the Patient into whom the one with this id was merged, as a Patient that the server at `base` answered
    with tells it; empty where it is not said, or is a Patient of another server. None if there was no merge."""
    if text(patient.get("id")) == identity:
        return next((name.removeprefix("Patient/") for name in _linked(patient, "replaced-by", base)), None)
    replaced = f"Patient/{identity}" in _linked(patient, "replaces", base)
    return text(patient.get("id")) if replaced else None


def _linked(patient: Element, kind: str, base: str) -> Iterator[str]:
    for link in elements(patient.get("link")):
        if link.get("type") == kind:
            name = local(text(element(link.get("other")).get("reference")), base=base)
            yield name if name.startswith("Patient/") else ""
