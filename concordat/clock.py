"""Time, always UTC, always written as RFC 3339 with whole seconds and a `Z`."""

import re
from datetime import UTC, datetime

from concordat.reasons import Reason, Refused

_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


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
