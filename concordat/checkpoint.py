"""The log's head as a note that anyone's tool can check: C2SP signed-note and tlog-checkpoint.

    <origin>\\n<size>\\n<base64 root>\\n\\n— <key name> <base64(key id || signature)>\\n…

https://c2sp.org/signed-note and https://c2sp.org/tlog-checkpoint. Signatures of keys that are not known here are passed
over, as the specification asks, so that witnesses may add theirs; one bad signature of a known key refuses the note.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from concordat.merkle import HASH_BYTES
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey, VerifyKey

_ED25519 = b"\x01"
_LARGEST_NOTE = 256 * 1024  # room for the sixteen post-quantum signatures that a verifier must accept
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class Checkpoint:
    """What a log had committed to: `size` leaves under `root` (32 bytes), in the log named `origin`."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not self.origin or not _is_note_text(self.origin) or "\n" in self.origin:
            raise _invalid("A checkpoint's origin is one line of printable text.")
        if not 0 <= self.size < 2**63 or len(self.root) != HASH_BYTES:
            raise _invalid("A checkpoint has a size from 0 and a root of 32 bytes.")

    @property
    def body(self) -> str:
        """The signed text, with its final newline."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def key_hash(name: str, key: VerifyKey) -> bytes:
    """The 4-byte key id: SHA-256(name || 0x0A || 0x01 || public key), its first bytes."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + key.raw).digest()[:4]


def sign(checkpoint: Checkpoint, key: SigningKey, name: str) -> str:
    """The note: the checkpoint's body and one Ed25519 signature line under the key name `name`.

    Raises Refused(CHECKPOINT_INVALID) for an empty name or one with a space or a plus sign.
    """
    if not name or not _is_key_name(name):
        raise _invalid("A note's key name is not empty and holds neither spaces nor plus signs.")
    signature = key_hash(name, key.public) + key.sign(checkpoint.body.encode())
    return f"{checkpoint.body}\n— {name} {base64.b64encode(signature).decode()}\n"


def verify(text: str, keys: Mapping[str, VerifyKey]) -> Checkpoint:
    """The checkpoint in a note that at least one of `keys` (by key name) has signed, and none of them wrongly.

    Give only keys that may speak for the log, not those of witnesses.
    Raises Refused(CHECKPOINT_INVALID).
    """
    body, signatures = _split(text)
    verified = False
    for name, blob in _signatures(signatures):
        key = keys.get(name)
        if key is None or blob[:4] != key_hash(name, key):
            continue
        if not key.verify(body.encode(), blob[4:]):
            raise _invalid("A signature on the checkpoint does not belong to it.")
        verified = True
    if not verified:
        raise _invalid("No known key has signed the checkpoint.")
    return _parse(body)


def _split(text: str) -> tuple[str, str]:
    if len(text) > _LARGEST_NOTE or not _is_note_text(text):
        raise _invalid("A checkpoint is short text without control characters.")
    body, separator, signatures = text.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise _invalid("A checkpoint is a text, an empty line and signature lines.")
    return body + "\n", signatures


def _signatures(lines: str) -> Iterator[tuple[str, bytes]]:
    for line in lines[:-1].split("\n"):
        dash, _, rest = line.partition(" ")
        name, separator, encoded = rest.partition(" ")
        if dash != "—" or not separator or not name or not _is_key_name(name):
            raise _invalid("A signature line reads: em dash, key name, signature.")
        blob = _unb64(encoded)
        if len(blob) < 5:
            raise _invalid("A note's signature is longer than its key id.")
        yield name, blob


def _parse(body: str) -> Checkpoint:
    lines = body[:-1].split("\n")
    if len(lines) < 3 or "" in lines or not _SIZE.fullmatch(lines[1]):
        raise _invalid("A checkpoint names an origin, a size without leading zeros and a root.")
    origin, size, root = lines[:3]
    return Checkpoint(origin, int(size), _unb64(root))


def _is_note_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return all(character >= " " or character == "\n" for character in text)


def _is_key_name(name: str) -> bool:
    return _is_note_text(name) and not any(character.isspace() or character == "+" for character in name)


def _unb64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid("A checkpoint's base64 cannot be read.") from error
    if base64.b64encode(data).decode() != text:
        raise _invalid("A checkpoint's base64 is not in its one canonical form.")
    return data


def _invalid(detail: str) -> Refused:
    return Refused(Reason.CHECKPOINT_INVALID, detail=detail)
