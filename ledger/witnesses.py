"""Who witnesses the log, read from the log itself, and how many of them have cosigned a head."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings

from concordat import cosignature, witnesses
from concordat.enrolment import verify_enrolment
from concordat.events import Event
from concordat.key_change import KeyHistory
from concordat.signatures import VerifyKey
from ledger import selectors
from ledger.models import Cosignature, SignedCheckpoint


@dataclass(frozen=True)
class Witnessed:
    """Of the witnesses of one head, in order, those whose cosignatures count, and how many are enough."""

    cosigned: tuple[str, ...]
    of: tuple[str, ...]

    @property
    def needed(self) -> int:
        return witnesses.needed(len(self.of))

    @property
    def enough(self) -> bool:
        return len(self.cosigned) >= self.needed

    def __str__(self) -> str:
        return f"{len(self.cosigned)} of {len(self.of)} ({self.needed} needed)"


def of(size: int) -> dict[str, VerifyKey]:
    """The witnesses of the head over `size` entries, each with its key."""
    return witnesses.at(_histories(size), size)


def witnessed(checkpoint: SignedCheckpoint) -> Witnessed:
    """Who has cosigned this head."""
    keys = of(checkpoint.size)
    return Witnessed(tuple(line.witness for line in _counted(checkpoint, keys)), tuple(sorted(keys)))


def note(checkpoint: SignedCheckpoint) -> str:
    """The head's signed note with every cosignature that counts."""
    return checkpoint.note + "".join(line.line for line in _counted(checkpoint, of(checkpoint.size)))


def _counted(checkpoint: SignedCheckpoint, keys: Mapping[str, VerifyKey]) -> list[Cosignature]:
    ids = {slug: cosignature.key_id(cosignature.name_of(settings.LOG_ORIGIN, slug), key) for slug, key in keys.items()}
    return [line for line in checkpoint.cosignatures.all() if ids.get(line.witness) == bytes(line.key_id)]


def _histories(size: int) -> dict[str, KeyHistory]:
    """Each institution's keys as the first `size` entries show them, and what the log says of compromises since."""
    found: dict[str, KeyHistory] = {}
    for entry in selectors.entries(event=Event.INSTITUTION_ENROLLED).filter(index__lt=size):
        enrolment = verify_enrolment(selectors.document(entry.documents["enrolment"]).decode())
        found.setdefault(enrolment.institution, KeyHistory(enrolment, place=entry.index))
    for entry in selectors.entries(event=Event.KEY_CHANGED):
        institution = str(entry.public["institution"])
        if institution in found:
            change = selectors.document(entry.documents["change"]).decode()
            found[institution] = found[institution].after(change, place=entry.index)
    return found
