"""A dossier's content, read strictly: every file has its exact shape before anything is concluded from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Ge
from pydantic import Strict, with_config
from typing_extensions import TypedDict

from concordat import canonical, checkpoint, clock, record_number
from concordat.canonical import Json
from concordat.checkpoint import Checkpoint
from concordat.enrolment import Ed25519Public
from concordat.events import EVENTS, Event
from concordat.fields import STRICT, Digest, Text, Time, Uuid, read
from concordat.reasons import Reason, Refused
from concordat.signatures import VerifyKey
from concordat.verifier import bundle
from concordat.votes import Address

Index = Annotated[int, Ge(0)]
T = TypeVar("T")


@with_config(STRICT)
class Chain(TypedDict):
    """The contracts' addresses are null where there is no chain. `self_hosted`: the coordinator runs it alone."""

    id: Index
    anchor_log: Address | None
    registry: Address | None
    self_hosted: bool


@with_config(STRICT)
class About(TypedDict):
    """`record` is the decision's number, `log` the log's origin, `key` the coordinator's, `site` the officers' page."""

    v: Literal[1]
    record: Text
    log: Text
    key: Ed25519Public
    site: Text
    chain: Chain


@with_config(STRICT)
class Leaf(TypedDict):
    """An entry's content."""

    v: Literal[1]
    event: Annotated[Event, Strict(False)]
    id: Uuid
    time: Time
    public: dict[str, Any]
    documents: dict[str, Digest]
    commitments: dict[str, Digest]


@with_config(STRICT)
class Proofs(TypedDict):
    """Inclusion proofs in the tree of `size` entries: hashes (base64url) by index."""

    size: Index
    paths: dict[str, list[str]]


@with_config(STRICT)
class Anchor(TypedDict):
    """A head on the chain. `consistency` leads from it to the bundle's checkpoint; empty if it is the same."""

    sequence: Index
    size: Index
    root: str
    transaction: str | None
    block: Index
    block_hash: str | None
    state: Literal["mined", "final"]
    consistency: list[str]


@with_config(STRICT)
class WitnessedHead(TypedDict):
    """A signed head with its cosignatures. `consistency` leads from it to the bundle's checkpoint; empty if it is the
    same."""

    note: str
    consistency: list[str]


@with_config(STRICT)
class Witnesses(TypedDict):
    """Null while no witness has cosigned a head that covers the decision."""

    head: WitnessedHead | None


@with_config(STRICT)
class StampProof(TypedDict):
    """Leads from the stamped head to the bundle's checkpoint; empty if it is the same."""

    consistency: list[str]


@dataclass(frozen=True)
class Stamped:
    """A signed head, the proof of `StampProof`, and a time-stamping authority's answer over the exact `note`."""

    note: str
    consistency: list[str]
    answer: bytes


@with_config(STRICT)
class Opening(TypedDict):
    """What a commitment hides."""

    salt: str
    value: Any


@with_config(STRICT)
class Openings(TypedDict):
    """By index and field: what this reader may see, and why the rest is closed."""

    opened: dict[str, dict[str, Opening]]
    closed: dict[str, dict[str, Literal["erased", "not-disclosed"]]]


@dataclass(frozen=True)
class Entry:
    """An entry of the log: its place, its exact bytes, and what they say."""

    index: int
    data: bytes
    leaf: Leaf

    @property
    def event(self) -> Event:
        return self.leaf["event"]

    @property
    def time(self) -> datetime:
        return clock.parse(self.leaf["time"])

    @property
    def number(self) -> str:
        return record_number.format(self.index)

    def text(self, field: str) -> str:
        """A public field that is text. Raises Refused(MALFORMED)."""
        value = self.leaf["public"].get(field)
        if not isinstance(value, str):
            raise Refused(Reason.MALFORMED, detail=f"The entry {self.number} does not say its {field}.", field=field)
        return value


@dataclass(frozen=True)
class Evidence:
    """A dossier's files, parsed. Nothing here is verified yet."""

    about: About
    entries: tuple[Entry, ...]
    documents: Mapping[str, bytes]
    proofs: Proofs
    checkpoint: str
    anchors: tuple[Anchor, ...]
    witnessed: WitnessedHead | None
    stamped: Stamped | None
    openings: Openings
    log: bytes | None

    @classmethod
    def load(cls, files: Mapping[str, bytes]) -> "Evidence":
        """Raises Refused: BUNDLE_ALTERED for a missing file, MALFORMED and the like for one of another shape."""
        paths = sorted(path for path in files if path.startswith("entries/"))
        documents = {path.removeprefix("documents/"): data for path, data in files.items() if path.startswith("doc")}
        return cls(
            about=about(files),
            entries=tuple(sorted((_entry(path, files[path]) for path in paths), key=lambda entry: entry.index)),
            documents={"sha256:" + name: data for name, data in documents.items()},
            proofs=_json(files, "proofs.json", Proofs),
            checkpoint=bundle.text(files, "checkpoint.txt"),
            anchors=tuple(_json(files, "anchors.json", list[Anchor])),
            witnessed=_json(files, "witnesses.json", Witnesses)["head"],
            stamped=_stamped(files),
            openings=_json(files, "openings.json", Openings),
            log=files.get("log.jsonl"),
        )

    @cached_property
    def key(self) -> VerifyKey:
        """The coordinator's, as the bundle names it."""
        return VerifyKey.from_b64(self.about["key"])

    @cached_property
    def head(self) -> Checkpoint:
        """The log's head, signed by the coordinator. Raises Refused(CHECKPOINT_INVALID)."""
        return checkpoint.verify(self.checkpoint, {self.about["log"]: self.key})

    @cached_property
    def decision(self) -> Entry:
        """The entry that the dossier is about. Raises Refused(NOT_FOUND)."""
        index = record_number.parse(self.about["record"])
        for entry in self.entries:
            if entry.index == index and entry.event is Event.PREDICTION_RECORDED:
                return entry
        raise Refused(Reason.NOT_FOUND, detail="The bundle does not hold the decision that it is about.")

    def of(self, *events: Event, **public: Json) -> list[Entry]:
        """Entries of these events whose public fields have these values, in the order of the log."""
        return [
            entry
            for entry in self.entries
            if entry.event in events
            and all(entry.leaf["public"].get(field) == value for field, value in public.items())
        ]

    def raw(self, entry: Entry, name: str) -> bytes:
        """A document's bytes. Raises Refused(NOT_FOUND)."""
        digest = entry.leaf["documents"].get(name)
        if digest is None or digest not in self.documents:
            raise Refused(Reason.NOT_FOUND, detail=f"The document “{name}” of {entry.number} is missing.", field=name)
        return self.documents[digest]

    def json(self, entry: Entry, name: str) -> Any:
        """A document as a value. Raises Refused: NOT_FOUND, MALFORMED."""
        return canonical.decode(self.raw(entry, name))

    def token(self, entry: Entry, name: str) -> str:
        """A document that is a JWS. Raises Refused: NOT_FOUND, MALFORMED."""
        try:
            return self.raw(entry, name).decode()
        except UnicodeDecodeError as error:
            raise Refused(Reason.MALFORMED, detail="A signed document is text.", field=name) from error

    def tokens(self, entry: Entry, name: str) -> list[str]:
        """A document that is a list of JWS. Raises Refused: NOT_FOUND, MALFORMED."""
        return read(self.json(entry, name), list[str])

    def opened(self, entry: Entry, field: str) -> Any:
        """A private field's value. Raises NotCheckable(ERASED or NOT_DISCLOSED); NOT_FOUND if the entry has none."""
        if field not in entry.leaf["commitments"]:
            raise Refused(Reason.NOT_FOUND, detail=f"The entry {entry.number} has no field “{field}”.", field=field)
        opening = self.openings["opened"].get(str(entry.index), {}).get(field)
        if opening is not None:
            return opening["value"]
        closed = self.openings["closed"].get(str(entry.index), {}).get(field)
        raise NotCheckable(Reason.ERASED if closed == "erased" else Reason.NOT_DISCLOSED)


UNREADABLE = (ArithmeticError, LookupError, RecursionError, TypeError, ValueError)
"""What Python raises over a value that no honest document holds."""


class NotCheckable(Exception):
    """What would be needed is not here, for a reason that proves nothing either way."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        refused = Refused(reason, detail=detail)
        self.reason, self.detail = reason, refused.detail
        super().__init__(str(refused))


def _stamped(files: Mapping[str, bytes]) -> Stamped | None:
    if not any(path.startswith("timestamp.") for path in files):
        return None
    note, proof = bundle.text(files, "timestamp.txt"), _json(files, "timestamp.json", StampProof)
    if "timestamp.tsr" not in files:
        raise Refused(Reason.BUNDLE_ALTERED, detail="The bundle has no timestamp.tsr.")
    return Stamped(note, proof["consistency"], files["timestamp.tsr"])


def _entry(path: str, data: bytes) -> Entry:
    digits = path.removeprefix("entries/").removesuffix(".json")
    index = int(digits)
    if f"{index:07d}" != digits:
        raise Refused(Reason.BUNDLE_ALTERED, detail=f"{path} is not how entry {index} is named.")
    return Entry(index, data, read_leaf(data))


def read_leaf(data: bytes) -> Leaf:
    """What an entry's exact bytes say. Raises Refused: ENTRY_ALTERED, MALFORMED, or naming an unknown field."""
    try:
        content = canonical.decode_exact(data)
    except Refused as refused:
        canonical.decode(data)  # what is no document at all says so
        raise Refused(Reason.ENTRY_ALTERED, detail="An entry is not in canonical form.") from refused
    leaf = read(content, Leaf)
    allowed = EVENTS[leaf["event"]]
    parts = (("public", allowed.public), ("documents", allowed.documents), ("commitments", allowed.private))
    for part, names in parts:
        for name in leaf[part]:  # type: ignore[literal-required]
            if name not in names:
                raise Refused(Reason.FIELD_UNKNOWN, detail=f"The entry has an unknown field in its {part}.", field=name)
    return leaf


def about(files: Mapping[str, bytes]) -> About:
    """What the bundle says that it is about. Raises Refused: BUNDLE_ALTERED, MALFORMED …"""
    return _json(files, "about.json", About)


def _json(files: Mapping[str, bytes], path: str, shape: type[T]) -> T:
    if path not in files:
        raise Refused(Reason.BUNDLE_ALTERED, detail=f"The bundle has no {path}.")
    value = canonical.decode(files[path])
    if canonical.encode(value) != files[path]:
        raise Refused(Reason.MALFORMED, detail=f"{path} is not in canonical form.")
    return read(value, shape)
