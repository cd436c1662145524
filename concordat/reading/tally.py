"""What went no further than this machine's memory, and why."""

from collections import Counter
from collections.abc import Iterable

from concordat.reading.record import LeftOut

NOT_ASKED = "the feature schema does not ask for it"
NOT_FINAL = "not final, cancelled or entered in error"
OLDER = "a newer one was used, or it was not needed"
AGAIN = "the same again"
FOCUS = "about something else than the patient (focus)"
UNCERTAIN = "neither confirmed nor refuted, or not certain to be current"


class Tally:
    """Counts resources or rows by kind and reason; one that was used for any feature is not left out."""

    def __init__(self) -> None:
        self._why: dict[str, tuple[str, str]] = {}
        self._used: set[str] = set()

    def leave(self, kind: str, place: str, why: str) -> None:
        """What stands at a place was not used; the last reason counts."""
        self._why[place] = kind if kind.replace("_", "").isalpha() and len(kind) < 65 else "unknown", why

    def use(self, place: str) -> None:
        """It gave a value, or said that there is none."""
        self._used.add(place)

    @property
    def left_out(self) -> Iterable[LeftOut]:
        """In the order of kind and reason."""
        counted = Counter(said for place, said in self._why.items() if place not in self._used)
        return (LeftOut(kind, why, count) for (kind, why), count in sorted(counted.items()))
