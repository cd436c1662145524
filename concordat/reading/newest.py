"""Of several values of one feature, the one that is certainly the newest; and whether it is too old."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Protocol, Self, TypeVar

from concordat.reading.record import Item
from concordat.reading.times import Span
from concordat.reading.values import invalid
from concordat.reasons import Reason, Refused
from concordat.schema import Feature

SKEW = timedelta(minutes=10)
"""How far clocks may go wrong before a time lies in the future."""


class Candidate(Protocol):
    """What may give a feature's value."""

    @property
    def when(self) -> Span | None:
        """When it was so; None if that is not said."""

    @property
    def speaks(self) -> bool:
        """Whether it has a value, or a reason why there is none."""

    def same(self, other: Self, /) -> bool:
        """Whether the other is the same again, word by word."""


C = TypeVar("C", bound=Candidate)


def newest(feature: Feature, candidates: Sequence[C]) -> tuple[C, list[C]]:
    """The one that is certainly the newest, and those that are the same again. Linear in their number.

    Raises:
        Refused: FIELD_INVALID, naming the feature, if there is none.
    """
    if len(candidates) == 1:
        return candidates[0], []
    speaking = [each for each in candidates if each.speaks] or [candidates[0]]
    dated = [(each.when.first, each) for each in speaking if each.when is not None]
    if len(speaking) > 1 and len(dated) < len(speaking):
        raise invalid(feature, "There are several values, and not all say when they were taken. Send the one to use.")
    best = max(dated, key=lambda pair: pair[0])[1] if dated else speaking[0]
    again: list[C] = []
    for other in speaking:
        if other is best or (best.when and other.when and best.when.after(other.when)):
            continue
        if not best.same(other):
            raise invalid(feature, "There are several values, and none is certainly the newest. Send the one to use.")
        again.append(other)
    return best, again


def check_taken(feature: Feature, when: Span | None, *, now: Span) -> None:
    """Raises Refused(FIELD_INVALID) for a value that was certainly taken in the future."""
    if when is not None and when.lead(now) > SKEW:
        raise invalid(feature, "It was taken in the future. Check the record at its source.")


def young(item: Item, feature: Feature) -> Item:
    """The item; without its value if it may be older than the feature's `max_age`.

    Raises:
        Refused: VALUE_TOO_OLD, naming the feature, if it may not be missing.
    """
    if feature.oldest is None or item.value is None or (item.age is not None and item.age <= feature.oldest):
        return item
    if feature.missing == "refuse":
        detail = f"{feature.label} is used if it is certainly not older than {feature.max_age}."
        raise Refused(Reason.VALUE_TOO_OLD, detail=detail, field=feature.name)
    why = f"older than {feature.max_age}" if item.age is not None else "undated, where an age is asked for"
    return replace(item, value=None, state="too old", why=why, converted=False)
