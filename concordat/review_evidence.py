"""The evidence on which a review rests: documents with officers' signatures, and the rosters that say whose count."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical
from concordat.enrolment import Roster, verify_roster
from concordat.fields import STRICT, plain
from concordat.key_change import KeyHistory
from concordat.officers import Signed
from concordat.reasons import Reason, Refused
from concordat.signatures import VerifyKey, peek


@with_config(STRICT)
class SignedRecord(TypedDict):
    """A document as it travels, with the officers' signatures on it."""

    document: dict[str, Any]
    signatures: list[Signed]


@with_config(STRICT)
class ReviewDocuments(TypedDict):
    """The evidence as it travels: each board's last determination on one base, and what these rest on. `rosters` (JWS)
    are all that the boards and the relying sites ever published."""

    rosters: list[str]
    determinations: list[SignedRecord]
    conditions: list[SignedRecord]
    delegations: list[SignedRecord]
    agreements: list[SignedRecord]
    contexts: list[SignedRecord]


@dataclass(frozen=True)
class Record:
    """A document, officers' signatures on it, and the verified rosters that may count for them. `place`: where the log
    has it, and `ended`: where it says that a delegation or an agreement no longer counts, whatever that says of itself.
    Only who has a log knows."""

    document: Mapping[str, Any]
    signatures: tuple[Signed, ...]
    rosters: tuple[Roster, ...]
    place: int = 0
    ended: int | None = None

    @cached_property
    def digest(self) -> str:
        return canonical.digest(self.document)

    @property
    def signature(self) -> Mapping[str, Any]:
        """The one signature. Raises Refused(SIGNATURE_INVALID) if there is none, or another."""
        if len(self.signatures) != 1:
            raise Refused(Reason.SIGNATURE_INVALID, detail="One officer signs this.", field="signatures")
        return plain(self.signatures[0])

    def in_force(self, use: "Record") -> bool:
        """Whether it had not been ended when the log got what makes use of it: times may be alike, places are not."""
        return self.ended is None or use.place < self.ended


@dataclass(frozen=True)
class Reviews:
    """The evidence, nothing in it verified yet but the rosters."""

    determinations: tuple[Record, ...] = ()
    conditions: tuple[Record, ...] = ()
    delegations: tuple[Record, ...] = ()
    agreements: tuple[Record, ...] = ()
    contexts: tuple[Record, ...] = ()

    @classmethod
    def of(cls, documents: ReviewDocuments, rosters: Iterable[Roster]) -> "Reviews":
        """What came over the wire, under these rosters."""
        known = tuple(rosters)

        def records(part: list[SignedRecord]) -> tuple[Record, ...]:
            return tuple(Record(each["document"], tuple(each["signatures"]), known) for each in part)

        return cls(
            determinations=records(documents["determinations"]),
            conditions=records(documents["conditions"]),
            delegations=records(documents["delegations"]),
            agreements=records(documents["agreements"]),
            contexts=records(documents["contexts"]),
        )


def verify_rosters(tokens: Iterable[str], histories: Mapping[str, KeyHistory]) -> tuple[Roster, ...]:
    """Rosters that pinned offline keys signed, without those by a key that is known to have been compromised.

    Raises:
        Refused: KEY_UNKNOWN for an institution that is not pinned or a key that it never had; SIGNATURE_INVALID; what
            :func:`concordat.enrolment.verify_roster` refuses.
    """
    found = []
    for token in tokens:
        header, payload = peek(token)
        institution = str(payload.get("institution", ""))
        if institution not in histories:
            raise Refused(Reason.KEY_UNKNOWN, detail=f"{institution} is not pinned here.", field="rosters")
        keys = {key.key_id: key for key in histories[institution].keys if key.kind == "offline"}
        key = keys.get(str(header.get("kid")))
        if key is None:
            detail = f"A roster of {institution} was signed by a key that is not its offline key."
            raise Refused(Reason.KEY_UNKNOWN, detail=detail, field="rosters")
        roster = verify_roster(token, institution=institution, offline=VerifyKey.from_b64(key.public))
        if key.believed:
            found.append(roster)
    return tuple(found)
