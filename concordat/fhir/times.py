"""When what a resource says was so: `effective[x]`, and Periods."""

from datetime import UTC, datetime

from concordat.fhir.elements import Element, element
from concordat.reading.times import Span, span

_END = datetime(9999, 12, 30, tzinfo=UTC)


def effective(resource: Element) -> Span | None:
    """When what a resource says was so (`effective[x]`); None if it does not say from when on."""
    for name in ("effectiveDateTime", "effectiveInstant"):
        if name in resource:
            return span(resource[name])
    events = element(resource.get("effectiveTiming")).get("event")
    if isinstance(events, list) and len(events) == 1:
        return span(events[0])
    return period(element(resource.get("effectivePeriod")))


def period(written: Element) -> Span | None:
    """What a Period stands for; without an end it goes on. None without a start."""
    start, end = span(written.get("start")), span(written.get("end"))
    if start is None or (end is None and "end" in written):
        return None
    words = f"{start.words}/{end.words}" if end else f"{start.words}/"
    if end is None:
        return Span(start.earliest, _END, True, words)
    if start.zoned == end.zoned:
        return Span(start.first, end.last, start.zoned, words)
    return Span(start.earliest, end.latest, True, words)
