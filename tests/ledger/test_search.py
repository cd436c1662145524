"""Searching the log: each condition, all of them together, page by page, and never without a bound."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from concordat import clock, record_number
from concordat.events import Event
from concordat.reasons import Reason, Refused
from ledger import search
from ledger.models import LogEntry
from ledger.search import read
from ledger.services.record import Draft, record_all

pytestmark = pytest.mark.django_db

DAY = datetime(2026, 3, 1, tzinfo=UTC)


def withdrawn(study: str = "heart", institution: str = "zurich", event: Event = Event.CONSENT_WITHDRAWN) -> Draft:
    return Draft(event=event, public={"study": study, "institution": institution, "consent": str(uuid4())})


@pytest.fixture
def at(monkeypatch):
    """Record entries at a time of one's own."""

    def write(moment: datetime, *drafts: Draft) -> list[int]:
        monkeypatch.setattr(clock, "now", lambda: moment)
        with transaction.atomic():
            return [entry.index for entry in record_all(drafts)]

    return write


def found(before: int | None = None, **given: str) -> list[int]:
    return [entry.index for entry in search.search(wanted=read(given), before=before).entries]


@pytest.fixture
def log(at) -> list[int]:
    """Six entries on three days."""
    return [
        *at(DAY, withdrawn("heart", "zurich"), withdrawn("heart", "mayo")),
        *at(DAY + timedelta(days=1), withdrawn("lung", "zurich"), withdrawn("lung", "mayo", Event.CONSENT_GIVEN)),
        *at(DAY + timedelta(days=2), withdrawn("heart", "zurich", Event.CONSENT_GIVEN), withdrawn("heart", "zurich")),
    ]


@pytest.mark.parametrize(
    ("given", "places"),
    [
        ({}, [5, 4, 3, 2, 1, 0]),
        ({"record": " c-0000003-" + record_number.format(3)[-1]}, [3]),
        ({"study": "lung"}, [3, 2]),
        ({"institution": "mayo"}, [3, 1]),
        ({"event": "consent.given"}, [4, 3]),
        ({"since": "2026-03-02"}, [5, 4, 3, 2]),
        ({"until": "2026-03-02"}, [3, 2, 1, 0]),
        ({"since": "2026-03-02", "until": "2026-03-02"}, [3, 2]),
        ({"since": "2026-03-02T00:00:00Z", "until": "2026-03-03T00:00:00Z"}, [3, 2]),
        ({"since": "2026-03-02T00:00:01Z"}, [5, 4]),
        ({"study": "heart", "institution": "zurich"}, [5, 4, 0]),
        ({"study": "heart", "institution": "zurich", "event": "consent.withdrawn"}, [5, 0]),
        ({"study": "heart", "event": "consent.withdrawn", "since": "2026-03-02"}, [5]),
        ({"study": "heart", "institution": "mayo", "until": "2026-03-01", "record": record_number.format(1)}, [1]),
        ({"study": "lung", "record": record_number.format(1)}, []),
        ({"study": "heart", "since": "2026-03-02", "until": "2026-03-02"}, []),
        ({"since": "2027-01-01"}, []),
    ],
)
def test_all_that_is_asked_for_is_true_of_what_is_found(log, given, places):
    assert found(**given) == [log[place] for place in places]


def test_a_record_that_is_not_there_yet_is_not_found(log):
    for index in (len(log), 10**19 - 1):
        assert found(record=record_number.format(index)) == []


@pytest.mark.parametrize(
    ("given", "reason", "field"),
    [
        ({"record": "C-0000003-0"}, Reason.RECORD_NUMBER_INVALID, "record"),
        ({"record": "three"}, Reason.RECORD_NUMBER_INVALID, "record"),
        ({"study": "atlantis"}, Reason.NOT_FOUND, "study"),
        ({"study": "zurich"}, Reason.NOT_FOUND, "study"),
        ({"study": "h\0"}, Reason.NOT_FOUND, "study"),
        ({"institution": "heart"}, Reason.NOT_FOUND, "institution"),
        ({"event": "consent"}, Reason.FIELD_INVALID, "event"),
        ({"since": "yesterday"}, Reason.FIELD_INVALID, "since"),
        ({"since": "2026-02-30"}, Reason.FIELD_INVALID, "since"),
        ({"until": "9999-12-31"}, Reason.FIELD_INVALID, "until"),
        ({"since": "0001-01-01"}, Reason.FIELD_INVALID, "since"),
        ({"until": "2026-03-01T12:00:00"}, Reason.FIELD_INVALID, "until"),
        ({"until": "2026-03-01 12:00"}, Reason.FIELD_INVALID, "until"),
        ({"since": "2026-03-02", "until": "2026-03-01"}, Reason.FIELD_INVALID, "until"),
    ],
)
def test_bad_input_is_refused_by_the_name_of_its_field(log, given, reason, field):
    with pytest.raises(Refused) as caught:
        read(given)
    assert (caught.value.reason, caught.value.field) == (reason, field)


def test_pages_follow_one_another_without_gap_or_double(at):
    made = at(DAY, *(withdrawn("heart" if i % 2 else "lung", "zurich") for i in range(25)))
    wanted, before, pages = read({"study": "heart", "institution": "zurich", "since": "2026-03-01"}), None, []
    while before is not None or not pages:
        page = search.search(wanted=wanted, before=before, most=5)
        pages.append([entry.index for entry in page.entries])
        before = page.further
    assert [len(page) for page in pages] == [5, 5, 2]
    assert [index for page in pages for index in page] == [index for index in reversed(made) if index % 2]


def test_a_search_that_finds_nothing_for_long_says_where_it_goes_on(at, monkeypatch):
    monkeypatch.setattr(search, "REACH", 20)
    monkeypatch.setattr(search, "_AT_ONCE", 7)
    (first,) = at(DAY, withdrawn("heart", "mayo"))
    at(DAY, *(withdrawn("heart", "zurich") for _ in range(30)), *(withdrawn("lung", "mayo") for _ in range(30)))
    wanted = read({"study": "heart", "institution": "mayo"})
    stopped = search.search(wanted=wanted)
    assert stopped.entries == []
    assert stopped.further is not None
    assert stopped.further > first
    pages = 1
    while stopped.further is not None and not stopped.entries:
        stopped = search.search(wanted=wanted, before=stopped.further)
        pages += 1
    assert [entry.index for entry in stopped.entries] == [first]
    assert stopped.further is None
    assert pages <= 3


def test_a_clock_that_was_set_back_hides_nothing(at):
    late = at(DAY + timedelta(minutes=30), withdrawn())
    early = at(DAY, withdrawn())
    assert found(since="2026-03-01T00:20:00Z") == late
    assert found(until="2026-03-01T00:20:00Z") == early


GIVEN = {"study": "heart", "institution": "zurich", "event": "consent.given", "since": "2026-02-01"}


@pytest.mark.parametrize("given", [GIVEN, {"event": "consent.given"}, {"study": "heart"}, {}])
def test_a_longer_log_needs_no_more_queries_than_its_doublings(at, given):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            search.search(wanted=wanted, most=10)
        return len(captured)

    at(DAY, *(withdrawn("heart", "zurich", Event.CONSENT_GIVEN) for _ in range(20)))
    wanted = read(given)
    few = queries()
    at(DAY, *(withdrawn("heart", "zurich", Event.CONSENT_GIVEN) for _ in range(3000)))
    assert queries() <= few + 12


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the plan of SQLite")
def test_no_index_is_left_out(at):
    """The latest of a common thing come from an index in the log's order, and none of them are sorted."""
    at(DAY, withdrawn())
    for listed in search._lists(read({"study": "heart", "institution": "zurich", "event": "consent.withdrawn"}), 0, 1):
        plan = listed.within(0, 10)[:5].explain()
        assert "USING COVERING INDEX ledger_entry" in plan
        assert "TEMP B-TREE" not in plan


def test_the_decision_of_an_entry_is_the_one_of_its_request(at):
    request = str(uuid4())
    reading, decision, other, _ = at(
        DAY,
        Draft(event=Event.DOSSIER_READ, public={"request": request, "role": "regulator"}),
        Draft(event=Event.PREDICTION_RECORDED, public={"request": request, "study": "heart"}),
        Draft(event=Event.DOSSIER_READ, public={"request": str(uuid4()), "role": "regulator"}),
        withdrawn(),
    )
    entries = list(LogEntry.objects.all())
    assert {index: entry.index for index, entry in search.decisions(entries).items()} == {
        reading: decision,
        decision: decision,
    }
    assert other not in search.decisions(entries)
