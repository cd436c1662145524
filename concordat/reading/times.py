"""Dates and times, which may be partial: each stands for a span, and nothing is read into it.

A date without a time has no zone either. Two such dates are compared as the calendar has them; against a moment with a
zone, a date may begin 14 hours earlier and end 12 hours later than it does in UTC (the ends of the world's zones). They
are written as FHIR writes them, https://hl7.org/fhir/R4/datatypes.html#dateTime
"""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from concordat import clock

_FORM = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d:\d\d:(?:[0-5]\d|60))(\.\d{1,12})?(Z|[+-]\d\d:\d\d))?)?)?", re.ASCII
)
_EAST, _WEST = timedelta(hours=14), timedelta(hours=12)
_TICK = timedelta(microseconds=1)
_FIRST, _LAST = date(1, 1, 3), date(9999, 12, 29)


@dataclass(frozen=True)
class Span:
    """From when to when, both in UTC and included; `zoned`: whether the zone was said; `words`: what was written."""

    first: datetime
    last: datetime
    zoned: bool
    words: str

    def after(self, other: "Span") -> bool:
        """Whether all of it lies after all of the other."""
        if self.zoned == other.zoned:
            return self.first > other.last
        return self.earliest > other.latest

    def lead(self, now: "Span") -> timedelta:
        """How long after all of `now` it begins at least; negative where it does not."""
        if self.zoned == now.zoned:
            return self.first - now.last
        return self.earliest - now.latest

    def age(self, now: "Span") -> timedelta:
        """The longest time that may have passed since then."""
        begun = (now.last - self.first) if self.zoned == now.zoned else (now.latest - self.earliest)
        return max(begun, timedelta())

    @property
    def earliest(self) -> datetime:
        """The earliest moment that may be meant, wherever it was written."""
        return self.first if self.zoned else self.first - _EAST

    @property
    def latest(self) -> datetime:
        """The latest moment that may be meant."""
        return self.last if self.zoned else self.last + _WEST


def at(moment: datetime) -> Span:
    """A moment (aware)."""
    return Span(moment, moment, True, clock.rfc3339(moment))


def on(day: date) -> Span:
    """A day, wherever it was: from its first to its last microsecond. One at an end of the calendar, which stands for
    always in some databases, is moved away from it by two days, so that it can be reckoned with."""
    near = min(max(day, _FIRST), _LAST)
    begin = datetime(near.year, near.month, near.day, tzinfo=UTC)
    return Span(begin, begin + timedelta(days=1) - _TICK, False, day.isoformat())


def always(day: date) -> bool:
    """Whether a day is at an end of the calendar. A moment there is reckoned with as that day is (:func:`on`)."""
    return not _FIRST <= day <= _LAST


def span(written: object) -> Span | None:
    """What a FHIR date, dateTime or instant stands for; None if it is none of them.

    https://hl7.org/fhir/R4/datatypes.html#dateTime
    """
    match = _FORM.fullmatch(written) if isinstance(written, str) else None
    if match is None or not isinstance(written, str):
        return None
    year, month, day, clock, fraction, zone = match.groups()
    try:
        if clock is not None:
            # A leap second is the last one of its minute; a fraction has six places here.
            whole = f"{year}-{month}-{day}T{clock.replace(':60', ':59')}{(fraction or '')[:7]}{zone}"
            moment = datetime.fromisoformat(whole).astimezone(UTC)
            return Span(moment, moment, True, written)
        first, last = ends(written)
        begin = datetime(first.year, first.month, first.day, tzinfo=UTC)
        end = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1) - _TICK
        _ = begin - _EAST, end + _WEST  # or there is no such moment
    except (ValueError, OverflowError):
        return None
    return Span(begin, end, False, written)


def ends(written: str) -> tuple[date, date]:
    """The first and the last day that a FHIR date, maybe partial, can mean. Raises ValueError."""
    match = _FORM.fullmatch(written)
    if match is None:
        raise ValueError("no FHIR date")
    year, month, day = int(match[1]), match[2], match[3]
    if month is None:
        return date(year, 1, 1), date(year, 12, 31)
    if day is None:
        return date(year, int(month), 1), date(year, int(month), calendar.monthrange(year, int(month))[1])
    exact = date(year, int(month), int(day))
    return exact, exact


def years(born: str, day: date) -> int | None:
    """Completed years on a day, of somebody born on a date that may be partial; None where it is ambiguous.

    Raises ValueError for what is no date, or lies after `day`.
    """
    first, last = ends(born)
    if first > day:
        raise ValueError("born later")
    found = {day.year - each.year - ((day.month, day.day) < (each.month, each.day)) for each in (first, min(last, day))}
    return found.pop() if len(found) == 1 else None
