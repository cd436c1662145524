"""The log's head as a note that anyone's tool can check: https://c2sp.org/tlog-checkpoint.

    <origin>\\n<size>\\n<base64 root>\\n\\n— <key name> <base64(key id || signature)>\\n…

Signatures of keys that are not known here are passed over, as the specification asks, so that witnesses may add theirs;
one bad signature of a known key refuses the note.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass

from concordat import note
from concordat.merkle import HASH_BYTES
from concordat.note import SignatureType
from concordat.signatures import SigningKey, VerifyKey

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class Checkpoint:
    """What a log had committed to: `size` leaves under `root` (32 bytes), in the log named `origin`."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not self.origin or not note.is_text(self.origin) or "\n" in self.origin:
            raise note.invalid("A checkpoint's origin is one line of printable text.")
        if not 0 <= self.size < 2**63 or len(self.root) != HASH_BYTES:
            raise note.invalid("A checkpoint has a size from 0 and a root of 32 bytes.")

    @property
    def body(self) -> str:
        """The signed text, with its final newline."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign(checkpoint: Checkpoint, key: SigningKey, name: str) -> str:
    """The note: the checkpoint's body and one Ed25519 signature line under the key name `name`.

    Raises Refused(CHECKPOINT_INVALID) for an empty name or one with a space or a plus sign.
    """
    key_id = note.key_id(name, SignatureType.ED25519, key.public)
    return f"{checkpoint.body}\n" + note.line(name, key_id, key.sign(checkpoint.body.encode()))


def verify(text: str, keys: Mapping[str, VerifyKey]) -> Checkpoint:
    """The checkpoint in a note that at least one of `keys` (by key name) has signed, and none of them wrongly.

    Give only keys that may speak for the log, not those of witnesses.
    Raises Refused(CHECKPOINT_INVALID).
    """
    parsed = note.parse(text)
    ids = {name: note.key_id(name, SignatureType.ED25519, key) for name, key in keys.items()}
    verified = False
    for signature in parsed.signatures:
        if signature.name not in keys or not signature.is_by(signature.name, ids[signature.name]):
            continue
        if not keys[signature.name].verify(parsed.text.encode(), signature.value):
            raise note.invalid("A signature on the checkpoint does not belong to it.")
        verified = True
    if not verified:
        raise note.invalid("No known key has signed the checkpoint.")
    return _read(parsed.text)


def _read(body: str) -> Checkpoint:
    lines = body[:-1].split("\n")
    if len(lines) < 3 or "" in lines or not _SIZE.fullmatch(lines[1]):
        raise note.invalid("A checkpoint names an origin, a size without leading zeros and a root.")
    origin, size, root = lines[:3]
    return Checkpoint(origin, int(size), note.unb64(root))
