"""Rows that institutions bring to a computation over many people: each its own, read and encoded on its own machine.

What is computed says in a plan, by name: the outcome, the groups if there are any, and how many rows each institution
brings at most. Rows are padded to as many, so that nobody learns how many an institution has.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le, Len
from numpy.typing import NDArray
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import ring
from concordat.fields import STRICT, Slug, Text
from concordat.reasons import Reason, Refused
from concordat.ring import Ring
from concordat.schema import Code, FeatureSchema, Value

MOST_ROWS = 1 << 13
"""Of one institution. What all of them bring together, the engines take in blocks."""

_ROUNDING = 2.0 ** -(ring.BITS + 1)


@with_config(STRICT)
class OutcomeDocument(TypedDict):
    """What answers are held against, or learnt from: one of the `codes` is recorded within so many `days`."""

    name: Slug
    label: Text
    codes: Annotated[list[Code], Len(1, 1000)]
    days: Annotated[int, Ge(1), Le(36525)]


@dataclass(frozen=True)
class Row:
    """One person of a cohort: measured values by feature, None or left out where there is none, and the outcome."""

    values: Mapping[str, Value]
    outcome: bool


@dataclass(frozen=True)
class Encoded:
    """What an institution brings, padded with zeros to the plan's `rows`.

    Attributes:
        records: (rows, k) the encoded features at 2^16.
        members: (rows, 2G) whole numbers: 1 in column 2g + y for who is in group g and has the outcome y.
        left_out: how many people are not counted, by the code of the reason for it.
        counted: how many are.
    """

    records: Ring
    members: Ring
    left_out: Mapping[str, int]
    counted: int


def encode(
    schema: FeatureSchema,
    rows: Iterable[Row | Reason],
    *,
    most: int,
    groups: int,
    members: Callable[[Mapping[str, Value]], list[bool]],
    longest: float = math.inf,
) -> Encoded:
    """What an institution brings of these people. Whose record the schema refuses is left out, and so is everybody
    beyond the `most`, and whom the source itself left out for a reason: they are counted by its code, and nothing of
    them is said.

    Args:
        members: in which of the `groups` a person with these measured values is.
        longest: how long an encoded row may be (Euclidean norm); a longer one is shortened.
    """
    records = np.zeros((most, len(schema.columns)), dtype=np.int64)
    inside = np.zeros((most, 2 * groups), dtype=np.int64)
    left_out: dict[str, int] = {}
    counted = 0
    for row in rows:
        try:
            if isinstance(row, Reason):
                raise Refused(row)
            if counted == most:
                raise Refused(Reason.TOO_LARGE)
            records[counted] = _shortened(schema.encode_row(row.values).vector, longest)
        except Refused as refused:
            left_out[refused.reason] = left_out.get(refused.reason, 0) + 1
            continue
        inside[counted, int(row.outcome) :: 2] = members(row.values)
        counted += 1
    return Encoded(records, inside, left_out, counted)


def _shortened(vector: NDArray[np.float64], longest: float) -> Ring:
    """Encoded, and no longer than that: what is shortened is rounded towards zero."""
    length = float(np.linalg.norm(vector))
    if length <= longest - _ROUNDING * math.sqrt(len(vector)):
        return ring.encode(vector)
    units = np.trunc(vector * (longest / length) * (1 << ring.BITS))
    return units.astype(np.int64)
