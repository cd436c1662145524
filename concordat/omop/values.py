"""A row of `measurement` or `observation` as a value of a feature; what is not certain is refused."""

from dataclasses import dataclass
from decimal import Decimal

from concordat.omop.codes import ABSENT, Codes
from concordat.omop.rows import ValueRow
from concordat.reading.times import Span
from concordat.reading.units import convert
from concordat.reading.values import (
    Found,
    compared,
    contradictory,
    finite,
    invalid,
    level,
    truth,
    without_unit,
)
from concordat.schema import Feature

EQUALS = 4172703
"""The operator that is none: `=`. Any other one, but 0 and nothing, makes a value uncertain."""

_COMPARATORS = ("<", ">", "≤", "≥", "~")


@dataclass(frozen=True)
class ValueCandidate:
    """A row that may give a feature's value."""

    row: ValueRow
    when: Span | None
    speaks: bool

    def same(self, other: "ValueCandidate") -> bool:
        """Whether the other row says the same again."""
        return self.row.content == other.row.content


def speaks(row: ValueRow) -> bool:
    """Whether there is a value, or an answer or a text in place of one."""
    return row.amount is not None or bool(row.answer) or bool(row.text) or bool((row.value_text or "").strip())


def value_of(row: ValueRow, feature: Feature, codes: Codes) -> Found:
    """The row's value; None if it has none, or one that nobody could make a number or a code of.

    Raises:
        Refused: FIELD_INVALID, UNIT_WRONG or CODE_UNKNOWN, naming the feature.
    """
    if row.qualifier:
        raise invalid(feature, "A qualifier changes what the observation means, in a way that is not known here.")
    answers = codes.values.get(row.answer or 0, frozenset())
    if answers & ABSENT:
        if row.amount is not None:
            raise contradictory(feature)
        return Found(None)
    if feature.kind == "number":
        return _number(row, feature, codes)
    if not row.answer:
        if row.amount is None and not row.text:
            return Found(None)
        raise invalid(feature, "A code is expected (value_as_concept_id).")
    return Found(truth(answers, feature) if feature.kind == "boolean" else level(answers, feature))


def _number(row: ValueRow, feature: Feature, codes: Codes) -> Found:
    if row.operator not in (None, 0, EQUALS) or (row.value_text or "").lstrip().startswith(_COMPARATORS):
        raise compared(feature)
    if row.amount is None:
        if row.answer or row.text:
            raise invalid(feature, "A number is expected (value_as_number).")
        return Found(None)
    amount = finite(float(row.amount) if isinstance(row.amount, Decimal) else row.amount, feature)
    if row.unit:
        code = codes.units.get(row.unit, "")
    else:
        code = (row.unit_text or "").strip()
        if feature.unit == "1" and not code:
            return Found(amount)
    if not code:
        raise without_unit(feature)
    return Found(finite(convert(amount, code, feature), feature), code)
