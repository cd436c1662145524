"""The items of the coordinator's lists, and what an item is when it is read alone: as `answers`."""

from typing import Any

from pydantic import with_config
from typing_extensions import TypedDict

from concordat.fields import ANSWER, Digest, Slug, Text


@with_config(ANSWER)
class Page(TypedDict):
    items: list[dict[str, Any]]
    next: str


@with_config(ANSWER)
class Listed(TypedDict):
    """An institution in the coordinator's list, with its enrolment (JWS)."""

    institution: Slug
    enrolment: str


@with_config(ANSWER)
class KeyChange(TypedDict):
    digest: str
    change: str


@with_config(ANSWER)
class Review(TypedDict):
    """One board's review for some of the sites; `outcome` is empty until the board has decided."""

    review: str
    board: Slug
    sites: list[Slug]
    path: str
    outcome: str


@with_config(ANSWER)
class Submission(TypedDict):
    """A version of a protocol (digest and number) that was put before the boards; `settled` is empty until they have
    decided."""

    submission: Text
    kind: str
    state: str
    protocol: Digest
    version: int
    submitted: str
    settled: str
    reviews: list[Review]


@with_config(ANSWER)
class Study(TypedDict):
    """A study and where its review stands: `protocol` and `base` are the digests of the version in force and of the one
    that definitions name, empty as `expires` before the first approval; `submission` is the last one."""

    study: Slug
    uuid: str
    title: str
    institution: Slug
    sites: list[Slug]
    state: str
    protocol: str
    base: str
    submission: Submission | None
    expires: str


@with_config(ANSWER)
class Reliance(TypedDict):
    """An agreement by which one institution relies on the board of another; `agreed` and `ended` are empty until then,
    `study` where it is for all."""

    agreement: Text
    relying: Slug
    reviewing: Slug
    study: str
    starts: str
    ends: str
    agreed: str
    ended: str


@with_config(ANSWER)
class CardAnswer(TypedDict):
    """The card in force of a model (JWS) and its number, empty and 0 without one; the number of the last one taken."""

    sequence: int
    last: int
    statement: str


@with_config(ANSWER)
class RecallAnswer(TypedDict):
    """The recall of a model (JWS)."""

    statement: str


@with_config(ANSWER)
class Model(TypedDict):
    """An imported model: `model` is the digest of its manifest (JWS)."""

    model: Digest
    name: Slug
    version: str
    owner: Slug
    kind: str
    manifest: str
    imported: str
    recall: RecallAnswer | None


@with_config(ANSWER)
class DefinitionSummary(TypedDict):
    """A definition in short; `model` is the digest of the model's manifest."""

    digest: Digest
    study: Slug
    kind: str
    model: Digest
    owner: Slug
    state: str
    valid_until: str
    registered: str


@with_config(ANSWER)
class ConsentAnswer(TypedDict):
    """Where a consent stands, without whose it is; `reconsent`, `withdrawn` and `lapsed` are empty where there is
    no such time."""

    consent: Text
    study: Slug
    purposes: list[str]
    given: str
    until: str
    reconsent: str
    withdrawn: str
    lapsed: str


@with_config(ANSWER)
class Erasure(TypedDict):
    """A person was erased of whom the institution was given something: the key's record number, and its decisions'."""

    notice: Text
    destroyed: str
    records: list[str]
    told: str


@with_config(ANSWER)
class Happened(TypedDict):
    """An event of the log that concerns the institution, and what it is about; a name is empty where there is none."""

    type: Text
    timestamp: str
    index: int
    record: str
    institution: str
    study: str
    definition: str
    model: str
    job: str


@with_config(ANSWER)
class Events(TypedDict):
    """Events, the index behind which the next call goes on, and whether it does so now."""

    items: list[Happened]
    after: int
    more: bool


@with_config(ANSWER)
class FoundEntry(TypedDict):
    """An entry of the log that a search found."""

    index: int
    record: str
    event: Text
