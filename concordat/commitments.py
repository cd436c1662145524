"""Salted commitments: a value can be fixed in public today and shown, or made meaningless for ever, later.

    SHA-256( len(label) || label || len(salt) || salt || len(part) || part … )        lengths: 8 bytes, big-endian

The length prefixes make the concatenation readable in one way only. The label keeps commitments of different kinds
apart. Without its 32-byte salt a commitment to a guessable value (a date, a risk of 0.73) can neither be opened nor
guessed, which is why destroying the salt erases the value. Hiding and binding rest on SHA-256 alone (Halevi and Micali,
CRYPTO 1996, for the general construction).
"""

import hashlib
import hmac
import secrets

from pydantic import with_config
from typing_extensions import TypedDict

from concordat.canonical import b64, digest_text, unb64
from concordat.fields import STRICT
from concordat.reasons import Reason, Refused

SALT_BYTES = 32

MODEL_SHARE = "concordat/model-share/v1"  # model, version, party, share
INPUT_SHARE = "concordat/input-share/v2"  # request, party, index, which record, share
OUTPUT_SHARE = "concordat/output-share/v2"  # job, party, part, which record, share
ESCROW_SHARE = "concordat/escrow-share/v1"  # escrow key id, officer, place, share
FIELD = "concordat/field/v1"  # canonical value; the salt is the entry's and the field's own


@with_config(STRICT)
class Share(TypedDict):
    """A share of a secret and the salt under which it was committed to, both base64url."""

    salt: str
    share: str


def new_salt() -> bytes:
    """32 bytes from the operating system's random source."""
    return secrets.token_bytes(SALT_BYTES)


def commit(label: str, salt: bytes, *parts: bytes | str | int) -> str:
    """`sha256:<hex>` over label, salt and parts, in this order.

    Text is committed to as UTF-8, a whole number (0 … 2^64 - 1) as 8 bytes, big-endian.
    Raises Refused(MALFORMED) for a salt that is not 32 bytes long, a number out of range, or no part at all.
    """
    if len(salt) != SALT_BYTES:
        raise Refused(Reason.MALFORMED, detail="A commitment's salt is 32 bytes long.")
    if not parts:
        raise Refused(Reason.MALFORMED, detail="A commitment commits to at least one part.")
    state = hashlib.sha256()
    for part in (label, salt, *parts):
        data = _bytes(part)
        state.update(len(data).to_bytes(8, "big") + data)
    return digest_text(state.digest())


def open_commitment(commitment: str, label: str, salt: bytes, *parts: bytes | str | int) -> bool:
    """Whether `commitment` is the one that `commit(label, salt, *parts)` makes."""
    if len(salt) != SALT_BYTES:
        return False
    return hmac.compare_digest(commit(label, salt, *parts).encode(), commitment.encode())


def opening(salt: bytes, share: bytes) -> Share:
    """What opens the commitment to a share."""
    return {"salt": b64(salt), "share": b64(share)}


def open_share(commitment: str, label: str, opened: Share, *about: bytes | str | int) -> bytes:
    """The share, if `commitment` is to it and to what it is `about`. Raises Refused: OPENING_MISMATCH, MALFORMED."""
    share = unb64(opened["share"])
    if not open_commitment(commitment, label, unb64(opened["salt"]), *about, share):
        raise Refused(Reason.OPENING_MISMATCH)
    return share


def _bytes(part: bytes | str | int) -> bytes:
    if isinstance(part, bytes):
        return part
    if isinstance(part, str):
        return part.encode()
    try:
        return part.to_bytes(8, "big")
    except OverflowError as error:
        raise Refused(Reason.MALFORMED, detail="A committed number lies between 0 and 2^64 - 1.") from error
