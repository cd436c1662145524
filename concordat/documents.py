"""Signed documents: shape and signature checked together, and who may have signed which."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from concordat import clock, signatures
from concordat.fields import plain, read
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey, VerifyKey

Keyring = Mapping[str, Mapping[str, VerifyKey]]
"""Identity keys by institution, then by key id. A key vouches for its own institution only."""

CLOCK_SKEW = timedelta(minutes=2)
"""How far the clocks of two institutions may differ."""

T = TypeVar("T")


def sign(document: object, shape: type[T], *, kind: str, key: SigningKey) -> str:
    """Check a document against its shape, then sign it: nothing malformed leaves this machine."""
    read(document, shape)
    return signatures.sign(dict(plain(document)), kind=kind, key=key)


def verify(token: str, shape: type[T], *, kind: str, keys: Mapping[str, VerifyKey]) -> T:
    """The document in a JWS signed by one of `keys`.

    Raises:
        Refused: SIGNATURE_INVALID, KEY_UNKNOWN, or what :func:`read` refuses.
    """
    return read(signatures.verify(token, kind=kind, keys=keys), shape)


def verify_from(token: str, shape: type[T], *, kind: str, signer: str, keyring: Keyring) -> T:
    """The document in a JWS signed by the very institution that its field `signer` names.

    The institution is read before the signature is checked, but only to choose whose keys are tried.

    Raises:
        Refused: KEY_UNKNOWN if that institution is not in the keyring, and what :func:`verify` refuses.
    """
    _, payload = signatures.peek(token)
    institution: Any = payload.get(signer)
    if not isinstance(institution, str) or institution not in keyring:
        raise Refused(Reason.KEY_UNKNOWN, detail="No key of the institution named here is known.", field=signer)
    return verify(token, shape, kind=kind, keys=keyring[institution])


def check_period(
    start: str, end: str, now: datetime, *, longest: timedelta | None = None, expired: Reason = Reason.EXPIRED
) -> None:
    """Refuse a document whose time has not come or has passed.

    Raises:
        Refused: `expired` at or after `end`; FIELD_INVALID before `start`, if the period ends before it starts, or if
            it is longer than the `longest` that such a document may be valid.
    """
    begins, ends = clock.parse(start), clock.parse(end)
    if ends <= begins:
        raise Refused(Reason.FIELD_INVALID, detail="The document ends before it begins.")
    if longest is not None and ends - begins > longest:
        raise Refused(Reason.FIELD_INVALID, detail="The document would be valid for too long.", field="expires")
    if begins - now > CLOCK_SKEW:
        raise Refused(Reason.FIELD_INVALID, detail="The document comes from the future; compare the clocks.")
    if now >= ends:
        raise Refused(expired)
