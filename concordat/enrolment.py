"""Who an institution is, in keys: its enrolment, and the roster of officers whose passkeys count.

The enrolment is signed by the identity key that it carries, and carries a proof that the same institution holds the
offline key. It proves possession of keys, not a name: others pin it after checking it with the institution by other
means. The roster is signed by the offline key alone, so that whoever takes over a running node cannot appoint officers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, with_config
from typing_extensions import TypedDict

from concordat import clock, documents, passkeys, signatures
from concordat.canonical import Json, digest
from concordat.client_keys import ClientKey, check_client_key, client_key_id
from concordat.fields import STRICT, Digest, Jurisdiction, Slug, Text, Time, checked, plain, read
from concordat.keystore import Keystore, Kind
from concordat.reasons import Reason, Refused
from concordat.sealing import sealing_key_id
from concordat.signatures import SigningKey, VerifyKey, key_id, keyring
from concordat.votes import Address

Role = Literal["party", "dealer", "requester", "owner"]
ROLES: tuple[Role, ...] = get_args(Role)


Ed25519Public = Annotated[str, checked(key_id, "ed25519", "an Ed25519 public key is 32 bytes in base64url")]
SealingPublic = Annotated[str, checked(sealing_key_id, "sealing", "a public sealing key is 1216 bytes in base64url")]
PasskeyPublic = Annotated[
    str, checked(passkeys.public_key, "passkey", "a passkey is ES256, EdDSA or RS256, as COSE in base64url")
]


@with_config(STRICT)
class PublicKeys(TypedDict):
    """The public halves of an institution's keys."""

    identity: Ed25519Public
    offline: Ed25519Public
    sealing: SealingPublic
    chain: Address
    client: ClientKey


@with_config(STRICT)
class EnrolmentDocument(TypedDict):
    """`possession` is a JWS by the offline key over the digest of all the rest."""

    institution: Slug
    name: Text
    jurisdiction: Jurisdiction
    roles: Annotated[list[Role], Field(min_length=1)]
    keys: PublicKeys
    issued: Time
    possession: str


@with_config(STRICT)
class PossessionDocument(TypedDict):
    """What the offline key signs to show that the enrolling institution holds it."""

    enrolment: Digest


@with_config(STRICT)
class Officer(TypedDict):
    """An officer and the passkey that signs for them; `officer` is the institution's own stable handle."""

    officer: Slug
    name: Text
    role: Text
    credential: Text
    key: PasskeyPublic


@with_config(STRICT)
class RosterDocument(TypedDict):
    """Every officer whose passkey counts from `issued` on; a higher version replaces a lower one."""

    institution: Slug
    version: Annotated[int, Field(ge=1)]
    officers: list[Officer]
    issued: Time


@dataclass(frozen=True)
class Enrolment:
    """A verified enrolment: the signed document and the keys that the institution began with.

    Which of them still count is for `concordat.key_change.KeyHistory` to say.
    """

    token: str
    document: EnrolmentDocument

    @property
    def institution(self) -> str:
        return self.document["institution"]

    @property
    def identity(self) -> VerifyKey:
        return VerifyKey.from_b64(self.document["keys"]["identity"])

    @property
    def offline(self) -> VerifyKey:
        return VerifyKey.from_b64(self.document["keys"]["offline"])

    @property
    def sealing(self) -> str:
        return self.document["keys"]["sealing"]

    @property
    def chain(self) -> str:
        return self.document["keys"]["chain"]


@dataclass(frozen=True)
class Roster:
    """A verified roster."""

    token: str
    document: RosterDocument

    def officer(self, credential: str) -> Officer:
        """The officer whose passkey has this credential id. Raises Refused(ROSTER_MISSING)."""
        for officer in self.document["officers"]:
            if officer["credential"] == credential:
                return officer
        raise Refused(Reason.ROSTER_MISSING)


def build_enrolment(
    keystore: Keystore,
    *,
    institution: str,
    name: str,
    jurisdiction: str,
    roles: Sequence[Role],
    issued: datetime,
) -> str:
    """The signed enrolment of the institution that holds all five keys of `keystore`.

    Raises Refused: KEYSTORE_UNSAFE, or FIELD_INVALID with the name of the field.
    """
    claim: dict[str, Json] = {
        "institution": institution,
        "name": name,
        "jurisdiction": jurisdiction,
        "roles": list(roles),
        "keys": {str(kind): half for kind, half in keystore.public().items()},
        "issued": clock.rfc3339(issued),
    }
    possession = signatures.sign({"enrolment": digest(claim)}, kind="possession", key=keystore.offline)
    document = {**claim, "possession": possession}
    _check_keys(read(document, EnrolmentDocument))
    return signatures.sign(document, kind="enrolment", key=keystore.identity)


def verify_enrolment(token: str) -> Enrolment:
    """The enrolment, signed by its own identity key and endorsed by its own offline key.

    Raises Refused: SIGNATURE_INVALID, KEY_UNKNOWN, DIGEST_MISMATCH, or what :func:`concordat.fields.read` refuses.
    """
    _, payload = signatures.peek(token)
    claimed = read(payload, EnrolmentDocument)
    identity = VerifyKey.from_b64(claimed["keys"]["identity"])
    offline = VerifyKey.from_b64(claimed["keys"]["offline"])
    document = documents.verify(token, EnrolmentDocument, kind="enrolment", keys=keyring(identity))
    _check_keys(document)
    endorsed = documents.verify(document["possession"], PossessionDocument, kind="possession", keys=keyring(offline))
    claim = {field: value for field, value in plain(document).items() if field != "possession"}
    if endorsed["enrolment"] != digest(claim):
        raise Refused(Reason.DIGEST_MISMATCH, detail="The offline key endorsed another enrolment.", field="possession")
    return Enrolment(token, document)


def build_roster(
    offline: SigningKey, *, institution: str, version: int, officers: Sequence[Officer], issued: datetime
) -> str:
    """The signed roster. Raises Refused(FIELD_INVALID) when two officers share a passkey or a handle."""
    document: RosterDocument = {
        "institution": institution,
        "version": version,
        "officers": list(officers),
        "issued": clock.rfc3339(issued),
    }
    _check_officers(read(document, RosterDocument))
    return documents.sign(document, RosterDocument, kind="roster", key=offline)


def verify_roster(token: str, *, institution: str, offline: VerifyKey) -> Roster:
    """The roster of an institution whose offline key, at the time that matters, is `offline`.

    Raises Refused: SIGNATURE_INVALID, KEY_UNKNOWN, WRONG_INSTITUTION, or what :func:`concordat.fields.read` refuses.
    """
    document = documents.verify(token, RosterDocument, kind="roster", keys=keyring(offline))
    if document["institution"] != institution:
        raise Refused(Reason.WRONG_INSTITUTION, detail="The roster is another institution's.", field="institution")
    _check_officers(document)
    return Roster(token, document)


def _check_keys(document: EnrolmentDocument) -> None:
    keys = document["keys"]
    if keys["identity"] == keys["offline"]:
        raise Refused(Reason.FIELD_INVALID, detail="Identity and offline key must differ.", field="keys.offline")
    if len(set(document["roles"])) != len(document["roles"]):
        raise Refused(Reason.FIELD_INVALID, detail="A role is named twice.", field="roles")
    check_client_key(keys["client"], field="keys.client")


def public_key_id(kind: Kind, public: Any) -> str:
    """How a public half, in the form in which an enrolment carries it, is named: the same for ever."""
    match kind:
        case "identity" | "offline":
            return key_id(public)
        case "sealing":
            return sealing_key_id(public)
        case "chain":
            return str(public)
        case "client":
            return client_key_id(public)


def _check_officers(document: RosterDocument) -> None:
    for field in ("officer", "credential"):
        values = [officer[field] for officer in document["officers"]]
        if len(set(values)) != len(values):
            raise Refused(Reason.FIELD_INVALID, detail=f"Two officers share one {field}.", field="officers")
