"""An escrow: a private sealing key that exists only as n officers' shares. Any k of them open; k - 1 learn nothing.

    sharing    A. Shamir, "How to share a secret", CACM 22 (1979), over GF(2^128): pycryptodome's, which takes 16 bytes;
               the key's 96 are shared in six independent sharings. Perfectly secret against k - 1.
    integrity  a salted commitment to each share stands in the escrow's public terms, so a share that was altered or is
               another escrow's is found before it is used, and whose it is. Whoever deals the shares is trusted: it is
               the institution itself, which also makes the key. That they fit together a drill shows.

The key is whole in one process at the ceremony that makes it, and again, in memory alone, where k officers open
something. Python cannot promise to wipe memory: do both on a machine without a network, and switch it off.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from annotated_types import Ge, Len
from Crypto.Protocol.SecretSharing import Shamir
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical
from concordat.canonical import b64, unb64
from concordat.commitments import ESCROW_SHARE, commit, new_salt, open_commitment
from concordat.enrolment import SealingPublic
from concordat.fields import STRICT, Digest, Slug, Text, plain, read
from concordat.reasons import Reason, Refused
from concordat.sealing import RAW_BYTES, SealingKey, sealing_key_id

MOST_OFFICERS = 16
SHORTEST_PASSPHRASE = 12
_BLOCK = 16


@with_config(STRICT)
class Holder(TypedDict):
    """An officer, by a short name of the institution's own, and the commitment to the share."""

    officer: Slug
    commitment: Digest


@with_config(STRICT)
class Escrow(TypedDict):
    """What is public of an escrow: its key, how many officers open, and who they are, in the order of their shares."""

    key: SealingPublic
    threshold: Annotated[int, Ge(2)]
    officers: Annotated[list[Holder], Len(2, MOST_OFFICERS)]


@with_config(STRICT)
class OfficerShare(TypedDict):
    """One officer's secret. `escrow` is the id of the shared key; `salt` (32 bytes) opens the commitment; `share` is 96
    bytes; both base64url."""

    v: Literal[1]
    escrow: Text
    officer: Slug
    salt: str
    share: str


@with_config(STRICT)
class ShareFile(TypedDict):
    """A share under its officer's passphrase: AES-256-GCM (nonce || ciphertext) under a key by scrypt (RFC 7914:
    N 2^15, r 8, p 3) from the passphrase and `salt`, 16 bytes; both base64url."""

    v: Literal[1]
    escrow: Text
    officer: Slug
    salt: str
    sealed: str


def create(officers: Sequence[str], threshold: int) -> tuple[Escrow, list[OfficerShare]]:
    """A new key, shared. Nothing else of the private half is left when this returns.

    Args:
        officers: 2 to 16 different short names.
        threshold: k, how many of them open; from 2 to all of them.

    Raises:
        Refused: FIELD_INVALID, naming `officers` or `threshold`.
    """
    check_wanted(officers, threshold)
    key = SealingKey.generate()
    secrets = _split(key.raw, threshold, len(officers))
    shares: list[OfficerShare] = [
        {"v": 1, "escrow": key.kid, "officer": officer, "salt": b64(new_salt()), "share": b64(secret)}
        for officer, secret in zip(officers, secrets, strict=True)
    ]
    holders = [
        {"officer": each["officer"], "commitment": _commitment(each, place)} for place, each in enumerate(shares)
    ]
    return read({"key": key.public, "threshold": threshold, "officers": holders}, Escrow), shares


def check_wanted(officers: Sequence[str], threshold: int) -> None:
    """Raises Refused(FIELD_INVALID), naming `officers` or `threshold`, for an escrow that cannot be made."""
    if not 2 <= len(officers) <= MOST_OFFICERS or len(set(officers)) != len(officers):
        detail = f"An escrow has 2 to {MOST_OFFICERS} officers, each named once."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="officers")
    for officer in officers:
        try:
            read(officer, Slug)
        except Refused:
            detail = f"“{officer}” is no short name: lower-case letters, digits and hyphens."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="officers") from None
    if not 2 <= threshold <= len(officers):
        detail = "At least two officers open together, and at most all of them."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="threshold")


def check_terms(escrow: Escrow) -> None:
    """Raises Refused(FIELD_INVALID) for terms that `create` does not make."""
    names = [each["officer"] for each in escrow["officers"]]
    if len(set(names)) != len(names):
        raise Refused(Reason.FIELD_INVALID, detail="An officer is named twice.", field="escrow.officers")
    if escrow["threshold"] > len(names):
        raise Refused(Reason.FIELD_INVALID, detail="More would open than there are.", field="escrow.threshold")


def recombine(escrow: Escrow, shares: Iterable[OfficerShare]) -> SealingKey:
    """The private key, in memory.

    Raises:
        Refused: KEY_UNKNOWN for a share of another escrow or officer; COMMITMENT_MISMATCH for one that was altered,
            naming the officer; SHARES_TOO_FEW; SEAL_BROKEN if genuine shares do not make the key, because whoever dealt
            them dealt false ones.
    """
    places = {each["officer"]: place for place, each in enumerate(escrow["officers"])}
    found: dict[int, bytes] = {}
    for share in shares:
        officer = share["officer"]
        if share["escrow"] != sealing_key_id(escrow["key"]) or officer not in places:
            raise Refused(Reason.KEY_UNKNOWN, detail="This share is of another escrow.", field=officer)
        check_share(escrow, share)
        found[places[officer]] = unb64(share["share"])
    needed = escrow["threshold"]
    if len(found) < needed:
        detail = f"{needed} of {len(places)} officers open together; {len(found)} are here."
        raise Refused(Reason.SHARES_TOO_FEW, detail=detail, field="share")
    key = interpolate(dict(list(found.items())[:needed]))
    if key.public != escrow["key"]:
        raise Refused(Reason.SEAL_BROKEN, detail="The shares are those that were dealt, and do not make the key.")
    return key


def check_share(escrow: Escrow, share: OfficerShare) -> None:
    """Raises Refused(COMMITMENT_MISMATCH), naming the officer, unless it is the share that was dealt."""
    for place, holder in enumerate(escrow["officers"]):
        if holder["officer"] == share["officer"]:
            about = share["escrow"], share["officer"], place, unb64(share["share"])
            if open_commitment(holder["commitment"], ESCROW_SHARE, unb64(share["salt"]), *about):
                return
    raise Refused(Reason.COMMITMENT_MISMATCH, detail="This is not the share that was dealt.", field=share["officer"])


def interpolate(shares: dict[int, bytes]) -> SealingKey:
    """The key that these shares, by place from 0, make, whether they are enough or not: a wrong one if they are not."""
    blocks = (
        Shamir.combine([(place + 1, share[start : start + _BLOCK]) for place, share in shares.items()], ssss=False)
        for start in range(0, RAW_BYTES, _BLOCK)
    )
    return SealingKey.from_raw(b"".join(blocks))


def lock(share: OfficerShare, passphrase: str) -> bytes:
    """The officer's file. Raises Refused(FIELD_INVALID) for a short passphrase."""
    if len(passphrase) < SHORTEST_PASSPHRASE:
        detail = f"A passphrase has at least {SHORTEST_PASSPHRASE} characters."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field=share["officer"])
    salt, nonce = new_salt()[:16], new_salt()[:12]
    sealed = AESGCM(_stretch(passphrase, salt)).encrypt(nonce, canonical.encode(plain(share)), b"")
    escrow, officer = share["escrow"], share["officer"]
    return canonical.encode(
        {"v": 1, "escrow": escrow, "officer": officer, "salt": b64(salt), "sealed": b64(nonce + sealed)}
    )


def read_share(content: bytes) -> ShareFile:
    """An officer's file, still locked. Raises Refused, naming a malformed field."""
    return read(canonical.decode(content), ShareFile)


def unlock(file: ShareFile, passphrase: str) -> OfficerShare:
    """The share. Raises Refused(SEAL_BROKEN) for another passphrase or altered bytes; MALFORMED."""
    sealed = unb64(file["sealed"])
    try:
        opened = AESGCM(_stretch(passphrase, unb64(file["salt"]))).decrypt(sealed[:12], sealed[12:], b"")
    except (InvalidTag, ValueError) as error:
        detail = "The share does not open with this passphrase, or is damaged."
        raise Refused(Reason.SEAL_BROKEN, detail=detail, field=file["officer"]) from error
    return read(canonical.decode(opened), OfficerShare)


def _split(secret: bytes, threshold: int, count: int) -> list[bytes]:
    """`count` shares of 96 bytes, by place."""
    starts = range(0, len(secret), _BLOCK)
    dealt = [Shamir.split(threshold, count, secret[start : start + _BLOCK], ssss=False) for start in starts]
    return [b"".join(block[place][1] for block in dealt) for place in range(count)]


def _commitment(share: OfficerShare, place: int) -> str:
    about = share["escrow"], share["officer"], place, unb64(share["share"])
    return commit(ESCROW_SHARE, unb64(share["salt"]), *about)


def _stretch(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=2**15, r=8, p=3).derive(passphrase.encode())
