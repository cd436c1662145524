"""Signed documents: compact JWS (RFC 7515) over canonical JSON, with Ed25519 (RFC 8032) and nothing else.

The header holds exactly three members: `alg` is the fully specified `Ed25519` of RFC 9864, `kid` the RFC 7638
thumbprint of the signing key, and `typ` says which kind of document this is, so that a receipt can never pass for a
request. A payload that is not in its one canonical form is refused: a document's digest must not depend on its writer.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from concordat import canonical
from concordat.canonical import Json
from concordat.extent import check_extent
from concordat.reasons import Reason, Refused

_ALGORITHM = "Ed25519"


@dataclass(frozen=True)
class VerifyKey:
    """The public half of an Ed25519 key: 32 bytes."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != 32:
            raise Refused(Reason.MALFORMED, detail="An Ed25519 public key is 32 bytes long.")

    @classmethod
    def from_b64(cls, text: str) -> "VerifyKey":
        """The key that `b64` wrote. Raises Refused(MALFORMED)."""
        return cls(canonical.unb64(text))

    @property
    def b64(self) -> str:
        return canonical.b64(self.raw)

    @property
    def kid(self) -> str:
        return key_id(self)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` (64 bytes) is this key's over `message`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, repr=False)
class SigningKey:
    """The private half of an Ed25519 key."""

    private: Ed25519PrivateKey

    @classmethod
    def generate(cls) -> "SigningKey":
        return cls(Ed25519PrivateKey.generate())

    @property
    def public(self) -> VerifyKey:
        return VerifyKey(self.private.public_key().public_bytes_raw())

    @property
    def kid(self) -> str:
        return key_id(self.public)

    def sign(self, message: bytes) -> bytes:
        """64 bytes: the signature over `message` as it is."""
        return self.private.sign(message)


def key_id(public: VerifyKey | str) -> str:
    """The key's RFC 7638 thumbprint: 43 characters, the same for ever. `public` is a key or its base64url."""
    key = VerifyKey.from_b64(public) if isinstance(public, str) else public
    members = {"crv": "Ed25519", "kty": "OKP", "x": key.b64}
    return canonical.b64(hashlib.sha256(canonical.encode(members)).digest())


def keyring(*keys: VerifyKey) -> dict[str, VerifyKey]:
    """The keys by key id, as `verify` takes them."""
    return {key.kid: key for key in keys}


def sign(payload: Mapping[str, Json], *, kind: str, key: SigningKey) -> str:
    """A compact JWS of type `concordat.<kind>+jws` over the canonical bytes of `payload`.

    Raises Refused(MALFORMED) when the payload has no canonical form.
    """
    header = {"alg": _ALGORITHM, "kid": key.kid, "typ": _typ(kind)}
    private = OKPKey.import_key(
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": key.public.b64,
            "d": canonical.b64(key.private.private_bytes_raw()),
        }
    )
    return jws.serialize_compact(header, canonical.encode(payload), private, algorithms=[_ALGORITHM])


def verify(token: str, *, kind: str, keys: Mapping[str, VerifyKey]) -> dict[str, Any]:
    """The payload of a JWS of this kind, signed by one of `keys` (by key id).

    Raises Refused: KEY_UNKNOWN when the header names no key of `keys`; SIGNATURE_INVALID when the type, the algorithm
    or the signature is wrong; MALFORMED when the token or its payload is not in canonical form.
    """
    header, payload = peek(token)
    if set(header) != {"alg", "kid", "typ"} or header["alg"] != _ALGORITHM:
        raise Refused(Reason.SIGNATURE_INVALID, detail="The signature's header is not one that is used here.")
    if header["typ"] != _typ(kind):
        raise Refused(Reason.SIGNATURE_INVALID, detail=f"This is not a signed document of the kind “{kind}”.")
    key = keys.get(header["kid"]) if isinstance(header["kid"], str) else None
    if key is None:
        raise Refused(Reason.KEY_UNKNOWN)
    try:
        public = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": key.b64})
        signed = jws.deserialize_compact(token, public, algorithms=[_ALGORITHM])
    except (JoseError, ValueError) as error:
        raise Refused(Reason.SIGNATURE_INVALID) from error
    if canonical.encode(payload) != signed.payload:
        raise Refused(Reason.MALFORMED, detail="The signed payload is not in canonical form.")
    return payload


def peek(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and payload, NOT verified: good for choosing the key to verify with, and for nothing else.

    Raises Refused: MALFORMED, and what `check_extent` refuses, since anybody may have written it.
    """
    parts = token.split(".") if isinstance(token, str) else []
    if len(parts) != 3:
        raise Refused(Reason.MALFORMED, detail="A signed document has three parts separated by full stops.")
    header_part, payload_part, signature_part = parts
    canonical.unb64(signature_part)
    header, payload = _decode(header_part), _decode(payload_part)
    if not isinstance(header, dict) or not isinstance(payload, dict):
        raise Refused(Reason.MALFORMED, detail="Header and payload of a signed document are JSON objects.")
    return header, payload


def _decode(part: str) -> Any:
    data = canonical.unb64(part)
    check_extent(data)
    return canonical.decode(data)


def _typ(kind: str) -> str:
    return f"concordat.{kind}+jws"
