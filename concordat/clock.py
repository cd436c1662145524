"""Time, always UTC, always written as RFC 3339 with whole seconds and a `Z`."""

import calendar
import re
from datetime import UTC, datetime, timedelta

from concordat.reasons import Reason, Refused

_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_DURATION = re.compile(r"P(?=\d)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?", re.ASCII)


def now() -> datetime:
    """The present, UTC, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def rfc3339(moment: datetime) -> str:
    """`2026-01-31T12:00:00Z`. Raises ValueError for a time without a zone."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone has no place in a document")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse(text: str) -> datetime:
    """The moment that `rfc3339` wrote. Raises Refused(MALFORMED)."""
    try:
        if not _FORM.fullmatch(text):
            raise ValueError(text)
        return datetime.fromisoformat(text)
    except (ValueError, TypeError) as error:
        raise Refused(Reason.MALFORMED, detail="A time reads like 2026-01-31T12:00:00Z.") from error


def after(duration: str, start: datetime) -> datetime:
    """So long after `start` as an ISO 8601 duration of years, months, weeks and days says, such as `P1Y` or `P90D`.

    In a month that is too short it is that month's last day. Raises Refused(MALFORMED).
    """
    try:
        found = _DURATION.fullmatch(duration)
        if found is None:
            raise ValueError(duration)
        years, months, weeks, days = (int(part or 0) for part in found.groups())
        year, month = divmod(12 * (start.year + years) + start.month - 1 + months, 12)
        day = min(start.day, calendar.monthrange(year, month + 1)[1])
        return start.replace(year=year, month=month + 1, day=day) + timedelta(weeks=weeks, days=days)
    except (ValueError, OverflowError) as error:
        raise Refused(Reason.MALFORMED, detail="A duration reads like P1Y, P6M or P90D (ISO 8601).") from error


def ahead(text: str) -> datetime:
    """A time, as `parse` reads it, or so long from now as a duration says. Raises Refused(MALFORMED)."""
    return after(text, now()) if text.startswith("P") else parse(text)
