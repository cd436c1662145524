"""Who witnesses the log, and how many of them are enough: a pure function of the institutions' enrolments and keys.

Every enrolled institution with a node (a party or a dealer) is a witness, with its identity key. The log itself holds
the enrolments and the key changes, so a head says who its witnesses are: those of the tree under it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from concordat.enrolment import Role
from concordat.key_change import Key, KeyHistory
from concordat.reasons import Reason, Refused
from concordat.signatures import VerifyKey

ROLES: frozenset[Role] = frozenset({"party", "dealer"})
"""The roles that come with a node."""


@dataclass(frozen=True)
class Witnesses:
    """The witnesses of one head, in order, and the keys (by witness) whose cosignatures of it count.

    A witness without such a key is one of the n all the same: a key that somebody stole must not make k smaller.
    """

    of: tuple[str, ...]
    keys: Mapping[str, VerifyKey]

    def __post_init__(self) -> None:
        """Raises Refused(CONFLICT) for a key that is two witnesses': it would count twice."""
        if len(set(self.keys.values())) < len(self.keys):
            raise Refused(Reason.CONFLICT, detail="Two witnesses of the log have the same identity key.")


@dataclass(frozen=True)
class Witnessed:
    """Of the witnesses of one head, in order, those whose cosignatures count, and how many are enough."""

    cosigned: tuple[str, ...]
    of: tuple[str, ...]

    @property
    def needed(self) -> int:
        return needed(len(self.of))

    @property
    def enough(self) -> bool:
        return len(self.cosigned) >= self.needed

    def __str__(self) -> str:
        return f"{len(self.cosigned)} of {len(self.of)} ({self.needed} needed)"


def faults(witnesses: int) -> int:
    """f, how many of n witnesses may sign anything at all: the most for which the other n - f still reach `needed`."""
    return max(0, witnesses - 1) // 3


def needed(witnesses: int) -> int:
    """The least k with k > (n + f) / 2: two sets of k witnesses have more than f in common, hence an honest one.

    So no two heads that contradict each other both get k cosignatures while at most f witnesses are dishonest.
    """
    return (witnesses + faults(witnesses)) // 2 + 1


def live(histories: Mapping[str, KeyHistory]) -> Witnesses:
    """The witnesses with the identity keys that count now: for pins, which have no log.

    Raises Refused(CONFLICT) for a key that is two witnesses'.
    """
    found = {slug: history.live("identity") for slug, history in _with_nodes(histories).items()}
    return _counted({slug: key for slug, key in found.items() if key is not None})


def at(histories: Mapping[str, KeyHistory], size: int) -> Witnesses:
    """The witnesses of the head over `size` entries, with the identity keys that its tree shows as theirs.

    The histories' places are indexes in the log. A key that is known today to have been compromised counts for no head:
    a cosignature is in no log that could show when it was made, and whoever has the key writes the time in it.
    Raises Refused(CONFLICT) for a key that is two witnesses'.
    """
    found: dict[str, Key | None] = {}
    for slug, history in _with_nodes(histories).items():
        for key in history.keys:
            if key.kind == "identity" and key.place < size and (key.ended is None or key.ended.place >= size):
                found[slug] = key
    return _counted(found)


def trusted(histories: Mapping[str, KeyHistory], kids: Mapping[str, str]) -> Witnesses:
    """The witnesses among the institutions whose identity keys a reader trusts (key ids by institution).

    Each is one of the n wherever these histories place it, and with that very key: so nothing rests on the histories
    being all that there are. Raises Refused(CONFLICT) for a key that is two witnesses'.
    """
    found: dict[str, Key | None] = {}
    for slug, history in _with_nodes(histories).items():
        if slug in kids:
            own = (key for key in history.keys if key.kind == "identity" and key.key_id == kids[slug])
            found[slug] = next(own, None)
    return _counted(found)


def _counted(witnesses: Mapping[str, Key | None]) -> Witnesses:
    believed = {slug: key for slug, key in witnesses.items() if key is not None and key.believed}
    keys = {slug: VerifyKey.from_b64(key.public) for slug, key in believed.items()}
    return Witnesses(tuple(sorted(witnesses)), keys)


def _with_nodes(histories: Mapping[str, KeyHistory]) -> dict[str, KeyHistory]:
    return {slug: history for slug, history in histories.items() if ROLES & set(history.enrolment.document["roles"])}
