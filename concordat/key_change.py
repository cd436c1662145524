"""An institution's keys over time: signed key changes, and what a key's signature counts for, when.

A change is signed by the *offline* key, which outlives a server that was taken over: neither the coordinator nor
whoever holds a stolen identity or client key can make one. Changes form one chain: each has the next number and names
the digest of the one before, the first that of the enrolment.

    rotation    a planned change. What the old key signed before stays valid.
    loss        nobody has the old key any more. What it signed before stays valid.
    compromise  somebody else may have the old key. What it signed counts only if it was *recorded in the log* before
                `effective`, the time from which the key is no longer believed, which may lie before `issued`. The
                time that a document gives itself says nothing, since a thief writes that, too.

A rotation or a loss takes effect where the change stands in the log, and says its own time of issue as `effective`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, with_config
from typing_extensions import TypedDict

from concordat import clock, documents, signatures
from concordat.canonical import Json, digest
from concordat.client_keys import ClientKey, check_client_key, thumbprints
from concordat.enrolment import Ed25519Public, Enrolment, SealingPublic, public_key_id
from concordat.fields import STRICT, Digest, Slug, Text, Time, plain, read
from concordat.keystore import KINDS, Kind
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey, VerifyKey, keyring
from concordat.votes import Address

Ground = Literal["rotation", "loss", "compromise"]
GROUNDS: tuple[Ground, ...] = get_args(Ground)

PROVEN: frozenset[Kind] = frozenset({"identity", "offline"})
"""The kinds whose new key proves that the institution holds it, as it does in an enrolment."""

_SHAPES: Mapping[Kind, Any] = {
    "identity": Ed25519Public,
    "offline": Ed25519Public,
    "sealing": SealingPublic,
    "chain": Address,
    "client": ClientKey,
}


@with_config(STRICT)
class Replaced(TypedDict):
    """The key that the change ends: the last one of its kind."""

    kind: Kind
    key_id: Text


@with_config(STRICT)
class KeyChangeDocument(TypedDict):
    """`key` is the successor's public half as an enrolment carries it; null revokes without a successor.

    `possession` is a JWS by the successor over the digest of all the rest, for the kinds in `PROVEN`, and else null.
    """

    institution: Slug
    sequence: Annotated[int, Field(ge=1)]
    replaces: Replaced
    key: str | ClientKey | None
    ground: Ground
    effective: Time
    issued: Time
    previous: Digest
    possession: str | None


@with_config(STRICT)
class KeyPossessionDocument(TypedDict):
    """What the successor signs."""

    key_change: Digest


@dataclass(frozen=True)
class KeyChange:
    """A verified change, and its place: the index of its log entry, or its number where there is no log."""

    token: str
    document: KeyChangeDocument
    place: int

    @property
    def kind(self) -> Kind:
        return self.document["replaces"]["kind"]

    @property
    def issued(self) -> datetime:
        return clock.parse(self.document["issued"])

    @property
    def effective(self) -> datetime:
        return clock.parse(self.document["effective"])

    @property
    def compromise(self) -> bool:
        return self.document["ground"] == "compromise"


@dataclass(frozen=True)
class Key:
    """One public key and its life: `place` and `since` say when it came in, `ended` which change ended it."""

    kind: Kind
    public: Any
    place: int
    since: datetime
    ended: KeyChange | None = None

    @property
    def key_id(self) -> str:
        return public_key_id(self.kind, self.public)

    @property
    def believed(self) -> bool:
        """Live, or ended without a suspicion: what it signed while it was live stays valid."""
        return self.ended is None or not self.ended.compromise


@dataclass(frozen=True)
class KeyHistory:
    """An institution's enrolment and its verified changes: extended by `after`, never altered.

    `place` is the enrolment's: every document recorded behind it may be signed by its keys.
    """

    enrolment: Enrolment
    changes: tuple[KeyChange, ...] = ()
    place: int = 0

    @classmethod
    def read(cls, enrolment: Enrolment, tokens: Iterable[str]) -> "KeyHistory":
        """The history that these changes make, in their order. Raises Refused as `after` does."""
        history = cls(enrolment)
        for token in tokens:
            history = history.after(token)
        return history

    @property
    def institution(self) -> str:
        return self.enrolment.institution

    @property
    def tokens(self) -> tuple[str, ...]:
        return tuple(change.token for change in self.changes)

    @property
    def sequence(self) -> int:
        """The number of the last change; 0 before the first."""
        return len(self.changes)

    @property
    def head(self) -> str:
        """What the next change names as `previous`."""
        return digest((self.changes[-1].token if self.changes else self.enrolment.token).encode())

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """Every key that the institution ever had, in the order of their coming."""
        since = clock.parse(self.enrolment.document["issued"])
        first: dict[str, Any] = dict(plain(self.enrolment.document["keys"]))
        keys = [Key(kind, first[kind], self.place, since) for kind in KINDS]
        for change in self.changes:
            last = max(number for number, key in enumerate(keys) if key.kind == change.kind)
            if keys[last].ended is None:
                keys[last] = replace(keys[last], ended=change)
            if change.document["key"] is not None:
                keys.append(Key(change.kind, change.document["key"], change.place, change.issued))
        return tuple(keys)

    def last(self, kind: Kind) -> Key:
        """The newest key of a kind, live or not."""
        return [key for key in self.keys if key.kind == kind][-1]

    def live(self, kind: Kind) -> Key | None:
        """The key of a kind that counts now; None after a revocation without a successor."""
        last = self.last(kind)
        return last if last.ended is None else None

    def need(self, kind: Kind) -> Key:
        """The live key of a kind. Raises Refused(KEY_REVOKED)."""
        live = self.live(kind)
        if live is None:
            detail = f"{self.institution} has revoked its {kind} key and has no other."
            raise Refused(Reason.KEY_REVOKED, detail=detail, field=self.institution)
        return live

    def believed(self, kind: Kind) -> tuple[Key, ...]:
        """The live key, and those before it whose earlier signatures stay valid whenever they were made."""
        return tuple(key for key in self.keys if key.kind == kind and key.believed)

    def at(self, kind: Kind, time: datetime) -> Key | None:
        """The key of a kind that was valid at a time, by what the documents say of themselves.

        None between the `effective` of a compromise and the coming of a successor.
        """
        for key in self.keys:
            if key.kind == kind and key.since <= time and (key.ended is None or time < key.ended.effective):
                return key
        return None

    def placed(self, kind: Kind, place: int) -> Key | None:
        """The key of a kind that the log showed as the institution's when the entry at `place` was recorded."""
        for key in self.keys:
            if key.kind == kind and key.place < place and (key.ended is None or place < key.ended.place):
                return key
        return None

    def recorded(self, kind: Kind, place: int, time: datetime) -> Key | None:
        """The key of a kind whose signature counts in the log entry at `place`, which was recorded at `time`: what is
        known of a compromise today is applied to that entry, too."""
        key = self.placed(kind, place)
        doubted = key is not None and key.ended is not None and key.ended.compromise and time >= key.ended.effective
        return None if doubted else key

    def after(self, token: str, *, place: int | None = None) -> "KeyHistory":
        """The history with one more change, verified.

        Args:
            place: the index of the log entry that holds it; its own number if there is no log to look at.

        Raises:
            Refused: KEY_UNKNOWN or SIGNATURE_INVALID unless the live offline key signed it, and a new identity or
                offline key itself; KEY_REVOKED; WRONG_INSTITUTION; KEY_CHANGE_OUT_OF_ORDER for a gap, a fork or a
                repetition; DIGEST_MISMATCH, FIELD_INVALID, or what :func:`concordat.fields.read` refuses.
        """
        offline = VerifyKey.from_b64(self.need("offline").public)
        document = documents.verify(token, KeyChangeDocument, kind="key-change", keys=keyring(offline))
        if document["institution"] != self.institution:
            raise Refused(Reason.WRONG_INSTITUTION, detail="The change is another institution's.", field="institution")
        self._check_order(document)
        self._check_replaced(document)
        self._check_times(document)
        if document["key"] is not None:
            self._check_key(document["replaces"]["kind"], document["key"], document["ground"])
        _check_possession(document)
        change = KeyChange(token, document, document["sequence"] if place is None else place)
        return replace(self, changes=(*self.changes, change))

    def _check_order(self, document: KeyChangeDocument) -> None:
        if document["sequence"] != self.sequence + 1:
            detail = f"This is change {document['sequence']}; change {self.sequence + 1} comes next."
            raise Refused(Reason.KEY_CHANGE_OUT_OF_ORDER, detail=detail, field="sequence")
        if document["previous"] != self.head:
            detail = "The change follows another one than the last that is known."
            raise Refused(Reason.KEY_CHANGE_OUT_OF_ORDER, detail=detail, field="previous")

    def _check_replaced(self, document: KeyChangeDocument) -> None:
        kind, key_id = document["replaces"]["kind"], document["replaces"]["key_id"]
        last = self.last(kind)
        if key_id != last.key_id:
            known = any(key.kind == kind and key.key_id == key_id for key in self.keys)
            reason = Reason.KEY_REVOKED if known else Reason.KEY_UNKNOWN
            detail = f"The last {kind} key of {self.institution} is another one."
            raise Refused(reason, detail=detail, field="replaces.key_id")
        if last.ended is not None and (document["key"] is None or document["ground"] != "rotation"):
            detail = f"The {kind} key was revoked before; what may follow is a successor, by ground rotation."
            raise Refused(Reason.KEY_REVOKED, detail=detail, field="replaces.key_id")

    def _check_times(self, document: KeyChangeDocument) -> None:
        issued, effective = clock.parse(document["issued"]), clock.parse(document["effective"])
        earlier = self.changes[-1].document if self.changes else self.enrolment.document
        if issued < clock.parse(earlier["issued"]):
            detail = "The change says that it was issued before the one that it follows."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="issued")
        if effective > issued or (effective != issued and document["ground"] != "compromise"):
            detail = "`effective` is the time of issue; only for a compromise may it lie before."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="effective")

    def _check_key(self, kind: Kind, public: Any, ground: Ground) -> None:
        try:
            read(public, _SHAPES[kind])
        except Refused as refused:
            raise Refused(Reason.FIELD_INVALID, detail=refused.detail, field="key") from None
        had = public_key_id(kind, public) in {key.key_id for key in self.keys}
        if kind == "client":
            check_client_key(public, field="key")
            had = had or bool(thumbprints(public) & self._given_up())
            doubted = thumbprints(self.last(kind).public) if ground == "compromise" else frozenset()
            if doubted and doubted <= thumbprints(public):
                detail = "The compromised key would still sign in: leave out every key that somebody else may have."
                raise Refused(Reason.FIELD_INVALID, detail=detail, field="key")
        if had:
            raise Refused(Reason.FIELD_INVALID, detail="The institution has had this key before.", field="key")

    def _given_up(self) -> frozenset[str]:
        """Thumbprints of the keys that once signed in and do no more: a set may keep keys of the one before it."""
        past = frozenset[str]().union(*(thumbprints(key.public) for key in self.keys if key.kind == "client"))
        live = self.live("client")
        return past - thumbprints(live.public) if live else past


def build_change(
    history: KeyHistory,
    *,
    kind: Kind,
    key: Any,
    ground: Ground,
    issued: datetime,
    offline: SigningKey,
    effective: datetime | None = None,
    successor: SigningKey | None = None,
) -> str:
    """The signed change that comes next in a history, checked as everybody else will check it.

    Args:
        key: the successor's public half, or None to revoke without one.
        effective: for a compromise, the time from which the old key is not believed; the time of issue if not given.
        successor: the new private key, for the kinds in `PROVEN`, to prove that it is held.

    Raises Refused as `KeyHistory.after` does.
    """
    claim: dict[str, Json] = {
        "institution": history.institution,
        "sequence": history.sequence + 1,
        "replaces": {"kind": kind, "key_id": history.last(kind).key_id},
        "key": key,
        "ground": ground,
        "effective": clock.rfc3339(effective or issued),
        "issued": clock.rfc3339(issued),
        "previous": history.head,
    }
    proof = signatures.sign({"key_change": digest(claim)}, kind="key-possession", key=successor) if successor else None
    token = documents.sign({**claim, "possession": proof}, KeyChangeDocument, kind="key-change", key=offline)
    history.after(token)
    return token


def check_issued(token: str, now: datetime) -> None:
    """Raises Refused(FIELD_INVALID) for a change from the future, which would keep every later one out."""
    issued = clock.parse(read(signatures.peek(token)[1], KeyChangeDocument)["issued"])
    if issued - now > documents.CLOCK_SKEW:
        detail = "The change comes from the future; compare the clocks."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="issued")


def _check_possession(document: KeyChangeDocument) -> None:
    needed = document["replaces"]["kind"] in PROVEN and document["key"] is not None
    proof = document["possession"]
    if (proof is not None) is not needed:
        detail = "A new identity or offline key signs for itself, and no other does."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="possession")
    if proof is None:
        return
    keys = keyring(VerifyKey.from_b64(str(document["key"])))
    proven = documents.verify(proof, KeyPossessionDocument, kind="key-possession", keys=keys)
    claim = {field: value for field, value in plain(document).items() if field != "possession"}
    if proven["key_change"] != digest(claim):
        raise Refused(Reason.DIGEST_MISMATCH, detail="The new key signed for another change.", field="possession")
