"""Sealing to one recipient in one context: HPKE, RFC 9180, base mode, single shot.

    KEM   ML-KEM-768 + X25519, hybrid: safe while either of the two holds (draft-ietf-hpke-pq, number 0x647a)
    KDF   HKDF-SHA256
    AEAD  AES-256-GCM

The recipient's context (which request, which party) enters as HPKE `info`, so a sealed share opens only where it
belongs. A wrong key, a wrong context and altered bytes give one and the same error: nobody learns which it was.
Sealing hides; it does not say who sealed. That is what the signatures over the commitments are for.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from concordat import canonical
from concordat.canonical import Json
from concordat.reasons import Reason, Refused

_LABEL = b"concordat/seal/v1"
_SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_MLKEM_BYTES, _X25519_BYTES = 1184, 32
_SEED_BYTES = 64

RAW_BYTES = _SEED_BYTES + _X25519_BYTES
"""How long the private half is."""


@dataclass(frozen=True, repr=False)
class SealingKey:
    """The private half: an ML-KEM-768 key and an X25519 key, used together only."""

    mlkem: MLKEM768PrivateKey
    x25519: X25519PrivateKey

    @classmethod
    def generate(cls) -> "SealingKey":
        return cls(MLKEM768PrivateKey.generate(), X25519PrivateKey.generate())

    @classmethod
    def from_raw(cls, raw: bytes) -> "SealingKey":
        """The key that `raw` wrote. Raises Refused(MALFORMED) for another length."""
        if len(raw) != RAW_BYTES:
            raise Refused(Reason.MALFORMED, detail=f"A private sealing key is {RAW_BYTES} bytes long.")
        seed, scalar = raw[:_SEED_BYTES], raw[_SEED_BYTES:]
        return cls(MLKEM768PrivateKey.from_seed_bytes(seed), X25519PrivateKey.from_private_bytes(scalar))

    @property
    def raw(self) -> bytes:
        """96 secret bytes: the seed of the ML-KEM-768 key, then the X25519 key."""
        return self.mlkem.private_bytes_raw() + self.x25519.private_bytes_raw()

    @property
    def public(self) -> str:
        """base64url of the 1216 bytes of the public half: ML-KEM-768 encapsulation key, then X25519 key."""
        return canonical.b64(self.mlkem.public_key().public_bytes_raw() + self.x25519.public_key().public_bytes_raw())

    @property
    def kid(self) -> str:
        return sealing_key_id(self.public)


def sealing_key_id(public: str) -> str:
    """base64url of the SHA-256 of a public sealing key. Raises Refused(MALFORMED) if it is none."""
    _public_key(public)
    return canonical.b64(hashlib.sha256(canonical.unb64(public)).digest())


def seal(public: str, plaintext: bytes, *, context: Mapping[str, Json]) -> str:
    """`plaintext` for the holder of `public`, to be opened in this `context` only; 1136 bytes longer, base64url.

    Raises Refused(MALFORMED) when `public` is no sealing key or the context has no canonical form.
    """
    key = _public_key(public)
    try:
        return canonical.b64(_SUITE.encrypt(plaintext, key, info=_info(context)))
    except ValueError as error:  # an X25519 point of small order
        raise Refused(Reason.MALFORMED, detail="This is not a usable sealing key.") from error


def open(key: SealingKey, sealed: str, *, context: Mapping[str, Json]) -> bytes:
    """The plaintext. Raises Refused(SEAL_BROKEN), the same for a wrong key, a wrong context and altered bytes."""
    info = _info(context)
    private = hpke.MLKEM768X25519PrivateKey(key.mlkem, key.x25519)
    try:
        return _SUITE.decrypt(canonical.unb64(sealed), private, info=info)
    except (InvalidTag, ValueError, Refused) as error:
        raise Refused(Reason.SEAL_BROKEN) from error


def _info(context: Mapping[str, Json]) -> bytes:
    return _LABEL + hashlib.sha256(canonical.encode(context)).digest()


def _public_key(public: str) -> hpke.MLKEM768X25519PublicKey:
    raw = canonical.unb64(public)
    if len(raw) != _MLKEM_BYTES + _X25519_BYTES:
        raise Refused(Reason.MALFORMED, detail="A public sealing key is 1216 bytes long.")
    try:
        return hpke.MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(raw[:_MLKEM_BYTES]),
            X25519PublicKey.from_public_bytes(raw[_MLKEM_BYTES:]),
        )
    except ValueError as error:
        raise Refused(Reason.MALFORMED, detail="This is not a public sealing key.") from error
