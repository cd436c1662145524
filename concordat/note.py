"""Signed notes (https://c2sp.org/signed-note): a text and signature lines that anyone's tool can check.

    <text, ending in a newline>\\n\\n— <key name> <base64(key id || signature)>\\n…

The key id is SHA-256(key name || 0x0A || type || public key), its first four bytes; the type keeps one key's different
kinds of signature apart. What is signed, and how, is the type's business: see `checkpoint` and `cosignature`.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from enum import IntEnum

from concordat.reasons import Reason, Refused
from concordat.signatures import VerifyKey

LARGEST = 256 * 1024
"""Characters: room for the sixteen post-quantum signatures that a verifier must accept."""

_ID_BYTES = 4


class SignatureType(IntEnum):
    """The identifier bytes that signed-note assigns, of those that are used here."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


@dataclass(frozen=True)
class Signature:
    """One signature line: who claims to have signed, the 4-byte id of the key, and the type's own bytes."""

    name: str
    key_id: bytes
    value: bytes

    def is_by(self, name: str, key_id: bytes) -> bool:
        """Whether the line claims to be this key's: name and id together say so."""
        return (self.name, self.key_id) == (name, key_id)


@dataclass(frozen=True)
class Note:
    """A note's text, with its final newline, and its signatures in their order. Nothing is verified yet."""

    text: str
    signatures: tuple[Signature, ...]


def key_id(name: str, kind: SignatureType, key: VerifyKey) -> bytes:
    """The 4-byte key id."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + key.raw).digest()[:_ID_BYTES]


def vkey(name: str, kind: SignatureType, key: VerifyKey) -> str:
    """The verifier key as other tools are configured with it: `<name>+<hex id>+<base64(type || public key)>`."""
    return f"{name}+{key_id(name, kind, key).hex()}+{base64.b64encode(bytes([kind]) + key.raw).decode()}"


def line(name: str, key_id: bytes, value: bytes) -> str:
    """A signature line. Raises Refused(CHECKPOINT_INVALID) for an empty name or one with a space or a plus sign."""
    if not name or not _is_key_name(name):
        raise invalid("A note's key name is not empty and holds neither spaces nor plus signs.")
    return f"— {name} {base64.b64encode(key_id + value).decode()}\n"


def parse(text: str) -> Note:
    """The note that this text is. Raises Refused(CHECKPOINT_INVALID)."""
    if len(text) > LARGEST or not is_text(text):
        raise invalid("A checkpoint is short text without control characters.")
    body, separator, lines = text.rpartition("\n\n")
    if not separator:
        raise invalid("A checkpoint is a text, an empty line and signature lines.")
    return Note(body + "\n", parse_lines(lines))


def parse_lines(lines: str) -> tuple[Signature, ...]:
    """Signature lines, at least one. Raises Refused(CHECKPOINT_INVALID)."""
    if len(lines) > LARGEST or not lines.endswith("\n"):
        raise invalid("Signatures are lines of their own, each with a newline.")
    return tuple(_signature(each) for each in lines[:-1].split("\n"))


def _signature(text: str) -> Signature:
    dash, _, rest = text.partition(" ")
    name, separator, encoded = rest.partition(" ")
    if dash != "—" or not separator or not name or not _is_key_name(name):
        raise invalid("A signature line reads: em dash, key name, signature.")
    blob = unb64(encoded)
    if len(blob) <= _ID_BYTES:
        raise invalid("A note's signature is longer than its key id.")
    return Signature(name, blob[:_ID_BYTES], blob[_ID_BYTES:])


def is_text(text: str) -> bool:
    """Whether a note may hold it: UTF-8, without control characters but the newline."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return all(character >= " " or character == "\n" for character in text)


def unb64(text: str) -> bytes:
    """The bytes behind standard base64 (RFC 4648, section 4). Raises Refused(CHECKPOINT_INVALID)."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("A checkpoint's base64 cannot be read.") from error
    if base64.b64encode(data).decode() != text:
        raise invalid("A checkpoint's base64 is not in its one canonical form.")
    return data


def invalid(detail: str) -> Refused:
    """The refusal of a note that is none, or of a checkpoint that is not the log's."""
    return Refused(Reason.CHECKPOINT_INVALID, detail=detail)


def _is_key_name(name: str) -> bool:
    return is_text(name) and not any(character.isspace() or character == "+" for character in name)
