"""An officer's signature with a passkey (W3C WebAuthn Level 3), verified off line and years later.

The passkey signs a challenge that is the hash of the statement the officer saw, so the assertion is a signature over
that statement. Nothing is asked of a server: the credential's public key comes from the institution's signed roster.
"""

import hashlib
import json
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.cose import ES256, RS256, CoseKey, EdDSA
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical
from concordat.canonical import Json, b64, unb64
from concordat.fields import STRICT, read
from concordat.reasons import Reason, Refused

_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError, struct.error)
"""What fido2's parsers raise for bytes that are not CBOR, or not what WebAuthn puts into it."""

_KEY_TYPES = {ES256.ALGORITHM: 2, EdDSA.ALGORITHM: 1, RS256.ALGORITHM: 3}  # COSE kty (RFC 9053, section 7)


@with_config(STRICT)
class Assertion(TypedDict):
    """A WebAuthn assertion; every field is base64url."""

    credential: str
    client_data: str
    authenticator_data: str
    signature: str


@with_config(STRICT)
class Registration(TypedDict):
    """What `navigator.credentials.create` answers; both fields are base64url."""

    client_data: str
    attestation_object: str


def challenge(statement: Mapping[str, Json]) -> bytes:
    """The 32 bytes that a passkey signs for `statement`: SHA-256 of its canonical form."""
    return hashlib.sha256(canonical.encode(statement)).digest()


def public_key(text: str) -> CoseKey:
    """The COSE key in base64url `text`. Raises Refused(PASSKEY_INVALID) unless ES256, EdDSA or RS256."""
    try:
        members: Any = cbor.decode(unb64(text))
        algorithm = members[3]
        if algorithm not in _KEY_TYPES or members[1] != _KEY_TYPES[algorithm]:
            raise _invalid("The passkey's algorithm is not ES256, EdDSA or RS256.")
        return CoseKey.parse(members)
    except _UNREADABLE as error:
        raise _invalid("The passkey's public key cannot be read.") from error


def verify_assertion(
    assertion: Mapping[str, Any], *, credential: str, key: str, challenge: bytes, rp_id: str, origin: str
) -> int:
    """Check that the holder of a passkey signed `challenge` for this site, present and verified (PIN or biometric).

    `credential` and `key` (COSE, base64url) are the roster's; `origin` is the page's (`https://concordat.example`),
    `rp_id` its domain. WebAuthn Level 3, section 7.2.

    Returns the authenticator's signature counter, 0 if it keeps none. Raises Refused(PASSKEY_INVALID), or what
    :func:`concordat.fields.read` refuses.
    """
    document = read(assertion, Assertion)
    if document["credential"] != credential:
        raise _invalid("The assertion comes from another passkey.")
    client_data = unb64(document["client_data"])
    _check_client_data(client_data, CollectedClientData.TYPE.GET, challenge, origin)
    raw = unb64(document["authenticator_data"])
    authenticator = _authenticator_data(raw)
    _check_authenticator(authenticator, rp_id)
    cose = public_key(key)
    try:
        cose.verify(raw + hashlib.sha256(client_data).digest(), unb64(document["signature"]))
    except (InvalidSignature, *_UNREADABLE) as error:
        raise _invalid("The passkey's signature does not belong to this statement.") from error
    return authenticator.counter


def verify_registration(
    registration: Mapping[str, Any], *, challenge: bytes, rp_id: str, origin: str
) -> tuple[str, str]:
    """Check that a passkey was made for this site in answer to `challenge`, by someone present and verified.

    WebAuthn Level 3, section 7.1, without attestation: which authenticator it is does not matter, since a passkey signs
    nothing until the institution's roster lists it.

    Returns the credential's id and its public COSE key, both base64url. Raises Refused(PASSKEY_INVALID), or what
    :func:`concordat.fields.read` refuses.
    """
    document = read(registration, Registration)
    _check_client_data(unb64(document["client_data"]), CollectedClientData.TYPE.CREATE, challenge, origin)
    try:
        authenticator = AttestationObject(unb64(document["attestation_object"])).auth_data
    except _UNREADABLE as error:
        raise _invalid("The browser's answer cannot be read.") from error
    _check_authenticator(authenticator, rp_id)
    made = authenticator.credential_data
    if made is None:
        raise _invalid("The answer holds no passkey.")
    key = b64(cbor.encode(dict(made.public_key)))
    public_key(key)
    return b64(made.credential_id), key


@dataclass
class SoftwarePasskey:
    """A passkey in software, for demonstrations and tests: real ES256 assertions, but no protected hardware and no
    person behind the claims of presence and verification. Never enrol one for an officer who decides about people.
    """

    rp_id: str
    origin: str
    private: ec.EllipticCurvePrivateKey
    credential: str
    counter: int = 0

    @classmethod
    def create(cls, rp_id: str, origin: str) -> "SoftwarePasskey":
        """A new credential for the site `rp_id`, used from the page `origin`."""
        return cls(rp_id, origin, ec.generate_private_key(ec.SECP256R1()), b64(secrets.token_bytes(32)))

    @property
    def key(self) -> str:
        """The public COSE key, base64url, as a roster lists it."""
        cose: CoseKey = ES256.from_cryptography_key(self.private.public_key())  # type: ignore[no-untyped-call]
        return b64(cbor.encode(dict(cose)))

    def registration(self, challenge: bytes) -> Registration:
        """Answer the challenge of a registration, without attestation."""
        flags = AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.UV | AuthenticatorData.FLAG.AT
        cose: CoseKey = ES256.from_cryptography_key(self.private.public_key())  # type: ignore[no-untyped-call]
        made = AttestedCredentialData.create(bytes(16), unb64(self.credential), cose)
        data = AuthenticatorData.create(hashlib.sha256(self.rp_id.encode()).digest(), flags, self.counter, made)
        client_data = CollectedClientData.create(CollectedClientData.TYPE.CREATE, challenge, self.origin)
        attestation = AttestationObject.create("none", data, {})
        return {"client_data": b64(client_data), "attestation_object": b64(attestation)}

    def assertion(self, challenge: bytes) -> Assertion:
        """Sign `challenge`, as a browser and an authenticator together would."""
        self.counter += 1
        flags = AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.UV
        data = AuthenticatorData.create(hashlib.sha256(self.rp_id.encode()).digest(), flags, self.counter)
        client_data = CollectedClientData.create(CollectedClientData.TYPE.GET, challenge, self.origin)
        signature = self.private.sign(data + client_data.hash, ec.ECDSA(hashes.SHA256()))
        return {
            "credential": self.credential,
            "client_data": b64(client_data),
            "authenticator_data": b64(data),
            "signature": b64(signature),
        }


def _check_client_data(data: bytes, kind: str, challenge: bytes, origin: str) -> None:
    try:
        client = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _invalid("The browser's statement cannot be read.") from error
    if not isinstance(client, dict) or client.get("type") != kind:
        making, using = "the making of a passkey", "a signature made with a passkey"
        raise _invalid(f"This is not {making if kind == CollectedClientData.TYPE.CREATE else using}.")
    if client.get("challenge") != b64(challenge):
        raise _invalid("The passkey answered another challenge, or signed another statement.")
    if client.get("origin") != origin or client.get("crossOrigin", False) is not False:
        raise _invalid("The passkey was used on another page.")


def _check_authenticator(authenticator: AuthenticatorData, rp_id: str) -> None:
    if authenticator.rp_id_hash != hashlib.sha256(rp_id.encode()).digest():
        raise _invalid("The passkey answered for another site.")
    if not authenticator.is_user_present() or not authenticator.is_user_verified():
        raise _invalid("The passkey did not confirm that its holder was present and verified.")


def _authenticator_data(raw: bytes) -> AuthenticatorData:
    # Section 6.1: hash, flags and counter; a new credential's key is attested at registration only.
    if len(raw) < 37 or raw[32] & AuthenticatorData.FLAG.AT:
        raise _invalid("The authenticator's statement cannot be read.")
    try:
        return AuthenticatorData(raw)
    except _UNREADABLE as error:
        raise _invalid("The authenticator's statement cannot be read.") from error


def _invalid(detail: str) -> Refused:
    return Refused(Reason.PASSKEY_INVALID, detail=detail)
