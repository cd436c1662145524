"""Records packages: what rebuilds a decision, sealed so that it opens without the goodwill of whoever asked for it.

    keys       the institution's signed statement of its *records key* and its escrow (JWS by its offline key)
    package    the content under a fresh AES-256-GCM key, which is sealed twice: to the records key, to the escrow's key
    statement  the requester's signature over the package's digest: what the log names

There are two of a decision. At the request: the signed request and the openings of the person's input shares. When the
result was opened: the disclosure with the record, from which a verifier rebuilds everything. Whoever keeps a package
learns its size and which keys open it. Nobody can see from outside that the content is what it should be: who opens it
compares it with the commitments in the log.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from annotated_types import Ge
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical, clock, escrow, sealing
from concordat.canonical import Json, b64, unb64
from concordat.commitments import Share
from concordat.documents import Keyring, sign, verify, verify_from
from concordat.enrolment import SealingPublic
from concordat.escrow import Escrow
from concordat.fields import STRICT, Digest, Slug, Time, Uuid, plain, read
from concordat.reasons import Reason, Refused
from concordat.sealing import SealingKey, sealing_key_id
from concordat.signatures import SigningKey, VerifyKey, peek

LARGEST = 2 * 2**20
"""Bytes of a package as it is handed in."""

_NONCE = 12

Stage = Literal["request", "result"]
Lock = Literal["records", "escrow"]


@with_config(STRICT)
class RecordsKeys(TypedDict):
    """The signed "records-keys" document: to whom an institution's decisions are sealed. A later one replaces it."""

    v: Literal[1]
    institution: Slug
    records: SealingPublic
    escrow: Escrow
    issued: Time


@with_config(STRICT)
class Wrapped(TypedDict):
    """The content's key, sealed to each of the two."""

    records: str
    escrow: str


@with_config(STRICT)
class Package(TypedDict):
    """`keys` is the records-keys document (JWS) that it was sealed by; `sealed` is nonce || ciphertext, base64url."""

    v: Literal[1]
    institution: Slug
    request: Uuid
    stage: Stage
    keys: str
    wrapped: Wrapped
    sealed: str


@with_config(STRICT)
class Asked(TypedDict):
    """The content of a package at the request: the signed request, and the openings, by party, of the record at
    `place`. That of a package of the result is a `concordat.verifier.disclosure.Disclosure`."""

    v: Literal[1]
    request: str
    place: Annotated[int, Ge(0)]
    inputs: dict[Slug, Share]


@with_config(STRICT)
class PackageStatement(TypedDict):
    """The signed "records-package" document, by the requester's identity key."""

    v: Literal[1]
    institution: Slug
    request: Uuid
    stage: Stage
    package: Digest
    issued: Time


@dataclass(frozen=True)
class Signed:
    """A package (JSON text) and the statement (JWS) about it."""

    package: str
    statement: str


def sign_keys(*, institution: str, records: str, terms: Escrow, issued: datetime, offline: SigningKey) -> str:
    """The institution's statement of its records key (its public half) and of its escrow's terms."""
    escrow.check_terms(terms)
    document = {
        "v": 1,
        "institution": institution,
        "records": records,
        "escrow": dict(plain(terms)),
        "issued": clock.rfc3339(issued),
    }
    return sign(document, RecordsKeys, kind="records-keys", key=offline)


def read_keys(token: str, institution: str, offline: Mapping[str, VerifyKey]) -> RecordsKeys:
    """The document, signed by one of the institution's `offline` keys. Raises Refused: WRONG_INSTITUTION,
    FIELD_INVALID, and what `verify` refuses."""
    found = verify(token, RecordsKeys, kind="records-keys", keys=offline)
    if found["institution"] != institution:
        detail = "These are another institution's records keys."
        raise Refused(Reason.WRONG_INSTITUTION, detail=detail, field="institution")
    escrow.check_terms(found["escrow"])
    return found


def terms_of(package: Package) -> RecordsKeys:
    """The keys that the package names. Who signed them is not verified here: whoever opens it has held its key."""
    return read(peek(package["keys"])[1], RecordsKeys)


def seal(
    content: Mapping[str, Json], *, request: str, stage: Stage, keys: str, now: datetime, key: SigningKey
) -> Signed:
    """The content sealed by a records-keys document that was verified before, and signed for.

    Args:
        key: the requester's identity key.

    Raises:
        Refused: TOO_LARGE; what a malformed field is refused for.
    """
    terms = read(peek(keys)[1], RecordsKeys)
    institution = terms["institution"]
    data_key, nonce = AESGCM.generate_key(256), os.urandom(_NONCE)
    about = _about(institution, request, stage, keys)
    package: Package = {
        "v": 1,
        "institution": institution,
        "request": request,
        "stage": stage,
        "keys": keys,
        "wrapped": {
            "records": sealing.seal(terms["records"], data_key, context=about | {"to": "records"}),
            "escrow": sealing.seal(terms["escrow"]["key"], data_key, context=about | {"to": "escrow"}),
        },
        "sealed": b64(nonce + AESGCM(data_key).encrypt(nonce, canonical.encode(content), canonical.encode(about))),
    }
    return state(canonical.encode(plain(package)).decode(), now=now, key=key)


def state(package: str, *, now: datetime, key: SigningKey) -> Signed:
    """A package with the requester's statement about it: anew, if the key of the one before does not count any more."""
    content = package.encode()
    about = read_package(content)
    statement: dict[str, Json] = {
        "v": 1,
        "institution": about["institution"],
        "request": about["request"],
        "stage": about["stage"],
        "package": canonical.digest(content),
        "issued": clock.rfc3339(now),
    }
    return Signed(package, sign(statement, PackageStatement, kind="records-package", key=key))


def read_package(content: bytes) -> Package:
    """Raises Refused: TOO_LARGE, MALFORMED unless it is in its one canonical form, or naming a malformed field."""
    if len(content) > LARGEST:
        detail = f"A records package has at most {LARGEST:,} bytes."
        raise Refused(Reason.TOO_LARGE, detail=detail, field="package")
    package = read(canonical.decode(content), Package)
    if canonical.encode(plain(package)) != content:
        raise Refused(Reason.MALFORMED, detail="The package is not in canonical form.", field="package")
    return package


def read_statement(token: str, keyring: Keyring) -> PackageStatement:
    """The statement, signed by the very institution that it names."""
    return verify_from(token, PackageStatement, kind="records-package", signer="institution", keyring=keyring)


def key_ids(package: Package) -> dict[Lock, str]:
    """The ids of the records key and of the escrow's key."""
    terms = terms_of(package)
    return {"records": sealing_key_id(terms["records"]), "escrow": sealing_key_id(terms["escrow"]["key"])}


def open_package(package: Package, key: SealingKey, lock: Lock) -> bytes:
    """The content, canonical JSON. Raises Refused(SEAL_BROKEN) for another key and for altered bytes."""
    about = _about(package["institution"], package["request"], package["stage"], package["keys"])
    data_key = sealing.open(key, package["wrapped"][lock], context=about | {"to": lock})
    sealed = unb64(package["sealed"])
    try:
        return AESGCM(data_key).decrypt(sealed[:_NONCE], sealed[_NONCE:], canonical.encode(about))
    except (InvalidTag, ValueError) as error:
        raise Refused(Reason.SEAL_BROKEN) from error


def _about(institution: str, request: str, stage: Stage, keys: str) -> dict[str, Json]:
    return {
        "label": "records-package",
        "institution": institution,
        "request": request,
        "stage": stage,
        "keys": canonical.digest(keys.encode()),
    }
