"""Whether a patient has, or takes, something, when several statements say so or not."""

from collections.abc import Container
from typing import Literal

from concordat.reading.values import invalid
from concordat.schema import Feature

Says = Literal["yes", "no", "refuted", "uncertain", "error"]

_ORDER: tuple[Says, ...] = ("yes", "uncertain", "no", "refuted")


def counts(kind: str, feature: Feature, told: Container[Says]) -> Says | None:
    """Which of the things that were said counts; None if none was.

    An uncertain one counts more than a no: somebody suspects it, and then the value is missing.

    Raises:
        Refused: FIELD_INVALID, naming the feature, if they contradict each other.
    """
    if "yes" in told and "refuted" in told:
        raise invalid(feature, f"One {kind} is active and another one is refuted. Check the record at its source.")
    return next((each for each in _ORDER if each in told), None)
