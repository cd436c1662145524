"""What a witness signs: https://c2sp.org/tlog-cosignature, the Ed25519 form, `cosignature/v1`.

A cosignature says that at the time in it this checkpoint was the largest that the witness had seen of the log, and
consistent with every one before. Its message begins with a line of its own, so no signature over anything else (a JWS,
a checkpoint) can pass for one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from concordat import note
from concordat.note import Signature, SignatureType
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey, VerifyKey

_TIME_BYTES, _SIGNATURE_BYTES = 8, 64
_LATEST = 253_402_300_799  # the last second of the year 9999; the specification allows 2^63 - 1


@dataclass(frozen=True)
class Cosignature:
    """A verified cosignature: whose it is, by the name it is known under here, and when it was made."""

    witness: str
    time: datetime
    signature: Signature

    @property
    def line(self) -> str:
        """The note's line that holds it."""
        return note.line(self.signature.name, self.signature.key_id, self.signature.value)


def name_of(origin: str, witness: str) -> str:
    """The key name under which an institution's node cosigns the log of this origin."""
    return f"{origin}/witnesses/{witness}"


def key_id(name: str, key: VerifyKey) -> bytes:
    """The 4-byte id of a cosigning key."""
    return note.key_id(name, SignatureType.COSIGNATURE, key)


def message(body: str, time: int) -> bytes:
    """What is signed over a checkpoint's note text, at a POSIX time."""
    return f"cosignature/v1\ntime {time}\n{body}".encode()


def cosign(body: str, key: SigningKey, name: str, time: datetime) -> str:
    """The signature line over a checkpoint's note text `body`, extension lines and final newline included.

    Raises Refused(CHECKPOINT_INVALID) for a name that no key may have.
    """
    seconds = int(time.timestamp())
    value = seconds.to_bytes(_TIME_BYTES, "big") + key.sign(message(body, seconds))
    return note.line(name, key_id(name, key.public), value)


def verify(text: str, witnesses: Mapping[str, VerifyKey], *, origin: str) -> dict[str, Cosignature]:
    """The latest cosignature of each of these witnesses (keys by institution) that the note `text` carries.

    Lines of other keys are passed over. Raises Refused: CHECKPOINT_INVALID for what is no note; COSIGNATURE_INVALID,
    naming the witness, when a line claims to be one of theirs and is not.
    """
    parsed = note.parse(text)
    return check(parsed.text, parsed.signatures, witnesses, origin=origin)


def check(
    body: str, signatures: tuple[Signature, ...], witnesses: Mapping[str, VerifyKey], *, origin: str
) -> dict[str, Cosignature]:
    """The same for signature lines that came apart from the text that they are over."""
    found: dict[str, Cosignature] = {}
    for witness, key in witnesses.items():
        name = name_of(origin, witness)
        own = key_id(name, key)
        for signature in signatures:
            if signature.is_by(name, own):
                cosigned = _verified(body, signature, witness, key)
                if witness not in found or found[witness].time < cosigned.time:
                    found[witness] = cosigned
    return found


def _verified(body: str, signature: Signature, witness: str, key: VerifyKey) -> Cosignature:
    time = int.from_bytes(signature.value[:_TIME_BYTES], "big")
    whole = len(signature.value) == _TIME_BYTES + _SIGNATURE_BYTES and 0 < time <= _LATEST
    if not whole or not key.verify(message(body, time), signature.value[_TIME_BYTES:]):
        raise Refused(Reason.COSIGNATURE_INVALID, field=witness)
    return Cosignature(witness, datetime.fromtimestamp(time, UTC), signature)
