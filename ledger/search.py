"""Finding entries of the log by what stands in them in the open: record number, study, institution, event, period.

Page by page, the latest entry first, in bounded time however long the log is. Each thing asked for has an index in the
order of the log; the search follows the one with the fewest entries, looks at most `REACH` of them up in the others,
and then says where it stopped, so that whoever asked can have it go on from there.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from concordat import clock, record_number
from concordat.events import Event
from concordat.reasons import Reason, Refused
from ledger.models import LogEntry, LogHead, Reference

FIELDS = ("record", "study", "institution", "event", "since", "until")
PAGE, REACH = 50, 20_000

_AT_ONCE = 1_000
"""How many entries are looked up in one query."""

_SET_BACK = timedelta(hours=1)
"""By how much the operator's clock may have been set back: entries stand in the order in which they were recorded."""

_NAME = re.compile(r"[a-z0-9-]{1,63}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is looked for; all of it must be true of an entry. `until` is the first moment that is too late."""

    record: int | None = None
    study: str = ""
    institution: str = ""
    event: Event | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Found:
    """A page of entries, the latest first. `further` is the record behind which the search goes on, if it does:
    it may have stopped there without having found anything."""

    entries: list[LogEntry]
    further: int | None


def read(given: Mapping[str, str]) -> Wanted:
    """What a person or a system typed, by the names of `FIELDS`; a field may be empty or not there. Days and times are
    UTC: a day counts as a whole, a time as `2026-01-31T12:00:00Z`.

    Raises:
        Refused: naming the field: RECORD_NUMBER_INVALID; NOT_FOUND for a study or institution that the log does not
            know; FIELD_INVALID for another event, for what is no time, and for an end before its beginning.
    """
    texts = {name: given.get(name, "").strip() for name in FIELDS}
    wanted = Wanted(
        record=parse_record(texts["record"], "record") if texts["record"] else None,
        study=_known("study", texts["study"]),
        institution=_known("institution", texts["institution"]),
        event=_event(texts["event"]),
        since=_moment(texts["since"], "since"),
        until=_moment(texts["until"], "until", whole=True),
    )
    if wanted.since and wanted.until and wanted.until <= wanted.since:
        raise Refused(Reason.FIELD_INVALID, detail="The period ends before it begins.", field="until")
    return wanted


def parse_record(text: str, field: str) -> int:
    """The index of a record number. Raises Refused(RECORD_NUMBER_INVALID), naming the field."""
    try:
        return record_number.parse(text)
    except Refused as refused:
        raise Refused(refused.reason, detail=refused.detail, field=field) from None


def search(*, wanted: Wanted, before: int | None = None, most: int = PAGE) -> Found:
    """The latest entries that are wanted, of those before the one with the index `before` if that is given."""
    low, high = _range(wanted, before)
    if low >= high:
        return Found([], None)
    lead, *others = _lists(wanted, low, high)
    sought = bool(others) or wanted.since is not None or wanted.until is not None
    hits: list[int] = []
    looked, place = 0, high
    while looked < REACH and len(hits) <= most:
        near = lead.near(low, place, min(_AT_ONCE, REACH - looked) if sought else most + 1)
        hits += _matching(near, others, wanted) if sought else near
        if not near:
            break
        looked, place = looked + len(near), near[-1]
    ended = not lead.near(low, place, 1)
    further = hits[most - 1] if len(hits) > most else None if ended else place
    return Found(list(LogEntry.objects.filter(index__in=hits[:most]).order_by("-index")), further)


def decisions(of: Iterable[LogEntry]) -> dict[int, LogEntry]:
    """The decision that each of these entries is about, by the entry's index: the one made for the same request."""
    requests = {entry.index: str(entry.public["request"]) for entry in of if "request" in entry.public}
    recorded = LogEntry.objects.filter(
        event=Event.PREDICTION_RECORDED, references__name="request", references__value__in=set(requests.values())
    )
    made = {str(entry.public["request"]): entry for entry in recorded}
    return {index: made[request] for index, request in requests.items() if request in made}


@dataclass(frozen=True)
class _Listed:
    """The entries that have one thing in common. `place` is the field in which a row has its entry's index."""

    rows: QuerySet[Any]
    place: str

    def within(self, low: int, high: int) -> QuerySet[Any]:
        """Their indexes from `low` on and before `high`, the latest first."""
        found = self.rows.filter(**{f"{self.place}__gte": low, f"{self.place}__lt": high})
        return found.order_by(f"-{self.place}").values_list(self.place, flat=True)

    def near(self, low: int, high: int, most: int) -> list[int]:
        return list(self.within(low, high)[:most])

    def among(self, indexes: list[int]) -> set[int]:
        """Those of these indexes that are theirs."""
        return set(self.rows.filter(**{f"{self.place}__in": indexes}).values_list(self.place, flat=True))


def _lists(wanted: Wanted, low: int, high: int) -> list[_Listed]:
    """One for each thing that is wanted, the shortest first, as far as it makes a difference; else all entries."""
    found = [
        _Listed(Reference.objects.filter(name=name, value=value), "entry_id")
        for name, value in (("study", wanted.study), ("institution", wanted.institution))
        if value
    ]
    if wanted.event is not None:
        found.append(_Listed(LogEntry.objects.filter(event=wanted.event.value), "index"))
    if len(found) > 1:
        found.sort(key=lambda each: each.within(low, high)[: REACH + 1].count())
    return found or [_Listed(LogEntry.objects.all(), "index")]


def _matching(indexes: list[int], others: list[_Listed], wanted: Wanted) -> list[int]:
    for other in others:
        # An event is read from the entry by its index: by its own index the database might go through all its entries.
        if other.place != "index":
            among = other.among(indexes)
            indexes = [index for index in indexes if index in among]
    entries = LogEntry.objects.filter(index__in=indexes).values_list("index", "event", "time")
    right = {index for index, event, time in entries if _fits(event, time, wanted)}
    return [index for index in indexes if index in right]


def _fits(event: str, time: datetime, wanted: Wanted) -> bool:
    return (
        (wanted.event is None or event == wanted.event)
        and (wanted.since is None or time >= wanted.since)
        and (wanted.until is None or time < wanted.until)
    )


def _range(wanted: Wanted, before: int | None) -> tuple[int, int]:
    """Between which indexes, the second one excluded, everything that is wanted stands."""
    size = LogHead.objects.values_list("size", flat=True).filter(pk=1).first() or 0
    low, high = 0, size if before is None else min(size, before)
    if wanted.record is not None:
        low, high = wanted.record, min(high, wanted.record + 1)
    if wanted.since is not None:
        low = max(low, _first(wanted.since - _SET_BACK, size))
    if wanted.until is not None:
        high = min(high, _first(wanted.until + _SET_BACK, size))
    return low, high


def _first(moment: datetime, size: int) -> int:
    """About where the entries from this moment on begin, in a query for each doubling of the log."""

    def recorded(index: int) -> datetime:
        return LogEntry.objects.values_list("time", flat=True).get(index=index)

    return bisect_left(range(size), moment, key=recorded)


def _known(name: str, value: str) -> str:
    if value and not (_NAME.fullmatch(value) and Reference.objects.filter(name=name, value=value).exists()):
        raise Refused(Reason.NOT_FOUND, detail=f"The log knows no {name} of this short name.", field=name)
    return value


def _event(text: str) -> Event | None:
    if not text:
        return None
    try:
        return Event(text)
    except ValueError:
        raise Refused(Reason.FIELD_INVALID, detail="The log has no such event.", field="event") from None


def _moment(text: str, field: str, *, whole: bool = False) -> datetime | None:
    """A day's beginning, or the next one's where the `whole` day is meant; or the very time."""
    if not text:
        return None
    try:
        moment = clock.parse(text) if "T" in text else _day(text) + timedelta(days=int(whole))
        if not 1970 <= moment.year < 9999:  # beyond, there is no earlier or later moment to compare with
            raise ValueError(text)
        return moment
    except (Refused, ValueError, OverflowError):
        detail = "A day reads like 2026-01-31, a time like 2026-01-31T12:00:00Z (UTC)."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field=field) from None


def _day(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
