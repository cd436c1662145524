"""Who witnesses the log, and how many of them are enough: a pure function of the institutions' enrolments and keys.

Every enrolled institution with a node (a party or a dealer) is a witness, with its identity key. The log itself holds
the enrolments and the key changes, so a head says who its witnesses are: those of the tree under it.
"""

from collections.abc import Mapping

from concordat.enrolment import Role
from concordat.key_change import KeyHistory
from concordat.signatures import VerifyKey

ROLES: frozenset[Role] = frozenset({"party", "dealer"})
"""The roles that come with a node."""


def faults(witnesses: int) -> int:
    """f, how many of n witnesses may sign anything at all: the most for which the other n - f still reach `needed`."""
    return max(0, witnesses - 1) // 3


def needed(witnesses: int) -> int:
    """The least k with k > (n + f) / 2: two sets of k witnesses have more than f in common, hence an honest one.

    So no two heads that contradict each other both get k cosignatures while at most f witnesses are dishonest.
    """
    return (witnesses + faults(witnesses)) // 2 + 1


def live(histories: Mapping[str, KeyHistory]) -> dict[str, VerifyKey]:
    """The witnesses by institution, each with the identity key that counts now: for pins, which have no log."""
    keys = {slug: history.live("identity") for slug, history in _with_nodes(histories).items()}
    return {slug: VerifyKey.from_b64(key.public) for slug, key in keys.items() if key is not None}


def at(histories: Mapping[str, KeyHistory], size: int) -> dict[str, VerifyKey]:
    """The witnesses of the head over `size` entries, each with the identity key that its tree shows as theirs.

    The histories' places are indexes in the log. A key that is known today to have been compromised counts for no head:
    a cosignature is in no log that could show when it was made, and whoever has the key writes the time in it.
    """
    found: dict[str, VerifyKey] = {}
    for slug, history in _with_nodes(histories).items():
        for key in history.keys:
            stands = key.ended is None or (key.ended.place >= size and not key.ended.compromise)
            if key.kind == "identity" and key.place < size and stands:
                found[slug] = VerifyKey.from_b64(key.public)
    return found


def _with_nodes(histories: Mapping[str, KeyHistory]) -> dict[str, KeyHistory]:
    return {slug: history for slug, history in histories.items() if ROLES & set(history.enrolment.document["roles"])}
