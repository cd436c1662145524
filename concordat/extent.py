"""How much one JSON text may hold, found out before anything is built of it."""

import re
from itertools import accumulate

from concordat.canonical import DEEPEST
from concordat.reasons import Reason, Refused

MOST_VALUES = 300_000
"""In one text, keys of objects and items of lists together: a design of 5,000 rows with 50 columns, and some more."""

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NOT_A_BRACKET = re.compile(rb"[^][{}]++")
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def check_extent(data: bytes) -> None:
    """Raises Refused for a JSON text that would cost much to read: TOO_LARGE for more than `MOST_VALUES` values,
    MALFORMED for a nesting beyond `DEEPEST` levels. Looks at commas and brackets only, before anything is
    built: a few megabytes of `[],[],` become some hundred as Python's objects."""
    if _brackets(data) <= DEEPEST and _values(data) <= MOST_VALUES:
        return
    bare = _STRING.sub(b"", data)
    if _values(bare) > MOST_VALUES:
        raise Refused(Reason.TOO_LARGE, detail=f"A document has at most {MOST_VALUES:,} keys and items of lists.")
    depths = accumulate(map(_STEP.__getitem__, _NOT_A_BRACKET.sub(b"", bare)))
    if max(depths, default=0) > DEEPEST:
        raise Refused(Reason.MALFORMED, detail=f"A document here is at most {DEEPEST} levels deep.")


def _brackets(data: bytes) -> int:
    return data.count(b"[") + data.count(b"{")


def _values(data: bytes) -> int:
    """At least as many as there are: each list or object has one more than commas, or none."""
    return data.count(b",") + _brackets(data)
