"""The protocol document: what boards read and officers sign, by its digest.

It says in words what a definition later says in digests: what is computed, on whose data, on which legal grounds, and
what is opened to whom. A version is immutable; the next one is shown as its differences, field by field.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from concordat.canonical import Json
from concordat.data_use import DatasetTerms, DuoCode, check_codes
from concordat.definition import Kind
from concordat.fields import STRICT, Slug, Text, Time, plain, read
from concordat.legal_basis import Basis, check_bases
from concordat.reasons import Reason, Refused


class AttachmentKind(StrEnum):
    """The documents beside a protocol without which nothing is computed, where the protocol asks for them."""

    CHARTER = "charter"
    DATA_USE_AGREEMENT = "data-use-agreement"
    BUSINESS_ASSOCIATE_AGREEMENT = "business-associate-agreement"
    DATA_PROCESSING_AGREEMENT = "data-processing-agreement"
    DEVICE_RISK_DETERMINATION = "device-risk-determination"
    CLINICAL_OVERSIGHT = "clinical-oversight"
    STAFF_TRAINING = "staff-training"
    EMERGENCY_DECLARATION = "emergency-declaration"
    PAPER_APPROVAL = "paper-approval"


Population = Literal["adults", "minors", "adults-without-capacity"]
"""Who may take part; it says who may sign a consent."""


@with_config(STRICT)
class Section(TypedDict):
    """A part of the protocol that boards read in full on the study's page, such as procedures or withdrawal."""

    heading: Text
    text: Text


@with_config(STRICT)
class Risks(TypedDict):
    """What can go wrong. `minimal`: no more than in ordinary life (45 CFR 46.102(j)), as the investigator sees it."""

    minimal: bool
    reidentification: Text
    misuse: Text


@with_config(STRICT)
class DataUse(TypedDict):
    """Which uses this study makes of data, and what each institution's data allow; codes of the Data Use Ontology."""

    study: Annotated[list[DuoCode], Field(min_length=1)]
    datasets: list[DatasetTerms]


@with_config(STRICT)
class Needed(TypedDict):
    """An attachment that must be there and in force; of one institution, or with an empty one of the study."""

    kind: Annotated[AttachmentKind, Field(strict=False)]
    institution: str


@with_config(STRICT)
class Protocol(TypedDict):
    """One version of a study's protocol. `sites` are all the institutions whose data, model or node take part, or that
    ask for predictions; `institution` leads the study and is one of them. `review_months`: an approval lasts that long
    at most (45 CFR 46.109(e)); `valid_until`: no approval lasts longer. `kinds` of computations: in a protocol without
    them explanations, and nothing that counts or learns from many people's rows."""

    v: Literal[2]
    study: Slug
    title: Text
    institution: Slug
    contact: Text
    summary: Text
    computed: Text
    opened: Text
    risks: Risks
    data_use: DataUse
    population: Annotated[list[Population], Field(min_length=1)]
    sections: Annotated[list[Section], Field(min_length=1)]
    requesters: Annotated[list[Slug], Field(min_length=1)]
    purposes: Annotated[list[Slug], Field(min_length=1)]
    bases: list[Basis]
    attachments: list[Needed]
    sites: Annotated[list[Slug], Field(min_length=1)]
    review_months: Annotated[int, Field(ge=1, le=12)]
    valid_until: Time
    kinds: NotRequired[Annotated[list[Kind], Field(min_length=1)]]


MINOR = frozenset({"title", "contact", "summary", "sections"})
"""Fields whose change alone is a minor amendment, which an expedited review may approve (45 CFR 46.110(b)(1)(ii)), and
which leaves approved definitions alive. A reviewer who finds a changed text more than minor refers it to the board."""


@dataclass(frozen=True)
class Change:
    """One field that differs between two versions; None where it was or is absent."""

    field: str
    before: Any
    after: Any

    @property
    def material(self) -> bool:
        return self.field.partition(".")[0] not in MINOR


def check(document: Mapping[str, Json]) -> Protocol:
    """A protocol whose every field is of its form, and whose institutions are among its sites.

    Raises:
        Refused: FIELD_MISSING, FIELD_UNKNOWN or FIELD_INVALID, naming the field.
    """
    protocol = read(document, Protocol)
    lists = {field: protocol[field] for field in ("sites", "requesters", "purposes", "population")}
    for field, named in {**lists, "kinds": kinds(protocol)}.items():
        if len(set(named)) != len(named):
            raise Refused(Reason.FIELD_INVALID, detail="One is named twice.", field=field)
    headings = [section["heading"] for section in protocol["sections"]]
    if len(set(headings)) != len(headings):  # differences are shown by heading: the second would hide the first
        raise Refused(Reason.FIELD_INVALID, detail="Two sections have one heading.", field="sections")
    if protocol["institution"] not in protocol["sites"]:
        raise Refused(Reason.FIELD_INVALID, detail="The leading institution is a site.", field="institution")
    if not set(protocol["requesters"]) <= set(protocol["sites"]):
        raise Refused(Reason.FIELD_INVALID, detail="A requester is a site.", field="requesters")
    for place, needed in enumerate(protocol["attachments"]):
        if needed["institution"] and needed["institution"] not in protocol["sites"]:
            field = f"attachments.{place}.institution"
            raise Refused(Reason.FIELD_INVALID, detail="Only a site attaches something.", field=field)
    check_bases(
        protocol["bases"],
        requesters=protocol["requesters"],
        sites=protocol["sites"],
        purposes=protocol["purposes"],
    )
    check_codes(protocol["data_use"]["study"], protocol["data_use"]["datasets"], sites=protocol["sites"])
    return protocol


def kinds(protocol: Mapping[str, Any]) -> list[Kind]:
    """Which kinds of computations the boards approve with a protocol, or a draft of one."""
    return list(protocol.get("kinds", ["explain"]))


def changes(before: Mapping[str, Json], after: Mapping[str, Json]) -> list[Change]:
    """What differs, field by field, in the order of the protocol's fields; objects are compared member by member and
    sections by heading."""
    names = [name for name in Protocol.__annotations__ if name in before or name in after]
    return [change for name in names for change in _differences(name, before.get(name), after.get(name))]


def is_material(before: Mapping[str, Json], after: Mapping[str, Json]) -> bool:
    """Whether an amendment changes more than :data:`MINOR` fields, so that the full board must see it."""
    return any(change.material for change in changes(before, after))


def check_within(
    protocol: Protocol,
    *,
    study: str,
    kind: Kind,
    parties: Collection[str],
    owner: str,
    requesters: Collection[str],
    purposes: Collection[str],
) -> None:
    """Whoever computes, owns the model or asks, and for what, stands in the protocol that the boards approved.

    Raises:
        Refused: STUDY_NOT_APPROVED, naming the field.
    """
    limits: Mapping[str, tuple[Collection[str], Collection[str]]] = {
        "study": ([study], [protocol["study"]]),
        "kind": ([kind], kinds(protocol)),
        "parties": (parties, protocol["sites"]),
        "model": ([owner], protocol["sites"]),
        "requesters": (requesters, protocol["requesters"]),
        "purposes": (purposes, protocol["purposes"]),
    }
    for field, (named, allowed) in limits.items():
        for beyond in sorted(set(named) - set(allowed)):
            detail = f"The protocol that the boards approved does not name “{beyond}”."
            raise Refused(Reason.STUDY_NOT_APPROVED, detail=detail, field=field)


def document_of(protocol: Protocol) -> dict[str, Json]:
    """The protocol as the JSON object that is hashed and kept."""
    return dict(plain(protocol))


def _differences(path: str, before: Any, after: Any) -> list[Change]:
    if before == after:
        return []
    if path == "sections":
        before, after = ({s["heading"]: s["text"] for s in part or []} for part in (before, after))
        if before == after:  # only their order differs
            return [Change(path, list(before), list(after))]
    if isinstance(before, dict) and isinstance(after, dict):
        found = (
            _differences(f"{path}.{key}", before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])
        )
        return [change for part in found for change in part]
    return [Change(path, before, after)]
