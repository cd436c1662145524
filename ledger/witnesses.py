"""Who witnesses the log, read from the log itself, and how many of them have cosigned a head."""

from collections.abc import Mapping
from functools import lru_cache

from django.conf import settings
from django.db.models import Count

from concordat import cosignature, witnesses
from concordat.enrolment import verify_enrolment
from concordat.events import Event
from concordat.key_change import KeyHistory
from concordat.signatures import VerifyKey
from concordat.witnesses import Witnessed, Witnesses
from ledger import selectors
from ledger.models import Cosignature, LogEntry, SignedCheckpoint

_TELLING = (Event.INSTITUTION_ENROLLED, Event.KEY_CHANGED)
"""The events that say who the witnesses are."""

_HEADS = 100
"""How many heads are looked at, from the latest, for one with enough cosignatures."""


def of(size: int) -> Witnesses:
    """The witnesses of the head over `size` entries."""
    return witnesses.at(_known(), size)


def witnessed(checkpoint: SignedCheckpoint) -> Witnessed:
    """Who has cosigned this head."""
    return _witnessed(checkpoint, _known())


def best(index: int, most: int | None = None) -> SignedCheckpoint | None:
    """The latest head that covers the entry, of at most so many entries, and has enough cosignatures, or else the one
    with the most; None if no head that covers it has any. In a number of queries that depends on nothing."""
    lines = Cosignature.objects.filter(checkpoint_id__gt=index)
    lines = lines if most is None else lines.filter(checkpoint_id__lte=most)
    # Asked of the lines alone: a log has many more heads, and joining all of them takes seconds.
    latest = lines.order_by("-checkpoint_id").values_list("checkpoint_id", flat=True).distinct()[:_HEADS]
    heads = SignedCheckpoint.objects.filter(size__in=list(latest)).order_by("-size").prefetch_related("cosignatures")
    known = _known()
    found = next((each for each in heads if _witnessed(each, known).enough), None)
    if found is not None or not heads:
        return found
    counted = lines.order_by().values("checkpoint_id").annotate(lines=Count("pk")).order_by("-lines", "-checkpoint_id")
    return SignedCheckpoint.objects.get(size=counted[0]["checkpoint_id"])


def note(checkpoint: SignedCheckpoint) -> str:
    """The head's signed note with every cosignature that counts."""
    return checkpoint.note + "".join(line.line for line in _counted(checkpoint, of(checkpoint.size).keys))


def _witnessed(checkpoint: SignedCheckpoint, known: Mapping[str, KeyHistory]) -> Witnessed:
    found = witnesses.at(known, checkpoint.size)
    return Witnessed(tuple(line.witness for line in _counted(checkpoint, found.keys)), found.of)


def _known() -> dict[str, KeyHistory]:
    telling = LogEntry.objects.filter(event__in=_TELLING).order_by("index").values_list("index", "leaf_hash")
    return _histories(tuple((index, bytes(leaf_hash)) for index, leaf_hash in telling))


def _counted(checkpoint: SignedCheckpoint, keys: Mapping[str, VerifyKey]) -> list[Cosignature]:
    ids = {slug: cosignature.key_id(cosignature.name_of(settings.LOG_ORIGIN, slug), key) for slug, key in keys.items()}
    return [line for line in checkpoint.cosignatures.all() if ids.get(line.witness) == bytes(line.key_id)]


@lru_cache(maxsize=4)
def _histories(entries: tuple[tuple[int, bytes], ...]) -> dict[str, KeyHistory]:
    """Each institution's keys as these entries (index, leaf hash) show them. Verified once: they never change."""
    found: dict[str, KeyHistory] = {}
    for entry in LogEntry.objects.filter(index__in=[index for index, _ in entries]).order_by("index"):
        if entry.event == Event.INSTITUTION_ENROLLED:
            enrolment = verify_enrolment(selectors.document(entry.documents["enrolment"]).decode())
            found.setdefault(enrolment.institution, KeyHistory(enrolment, place=entry.index))
        else:
            change, institution = selectors.document(entry.documents["change"]), str(entry.public["institution"])
            found[institution] = found[institution].after(change.decode(), place=entry.index)
    return found
