"""A date or a time of FHIR stands for a span, which is never narrower than what was written."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat.fhir.times import effective
from concordat.reading.times import ends, span, years

moments = st.datetimes(
    datetime(1900, 1, 2),  # noqa: DTZ001
    datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.timezones(),
)


@given(moments)
def test_a_moment_stands_for_itself_in_every_zone(moment):
    moment = moment.replace(microsecond=0)
    offset = moment.utcoffset() or timedelta()
    moment = moment if offset % timedelta(minutes=1) == timedelta() else moment.astimezone(UTC)
    found = span(moment.isoformat().replace("+00:00", "Z"))
    assert found is not None
    assert found.first == found.last == moment.astimezone(UTC)


@given(moments)
def test_a_day_holds_every_moment_that_was_on_it_anywhere(moment):
    for form in ("%Y-%m-%d", "%Y-%m", "%Y"):
        found = span(moment.strftime(form))
        assert found is not None
        assert found.earliest <= moment <= found.latest


@given(moments, moments)
def test_after_is_certain(one, other):
    day, moment = span(one.strftime("%Y-%m-%d")), span(other.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert day is not None
    assert moment is not None
    if day.after(moment):
        assert one > other.replace(microsecond=0)
    if moment.after(day):
        assert other > one
    assert not (day.after(moment) and moment.after(day))


@pytest.mark.parametrize(
    "written", ["", "2026-13", "2026-02-30", "2026-03-02T08:00:00", "2026-03-02T25:00:00Z", "02.03.2026", None, 2026]
)
def test_what_is_no_date_stands_for_nothing(written):
    assert span(written) is None


@pytest.mark.parametrize("written", ["2026-03-02T08:00:60Z", "2026-03-02T08:00:59.1234567Z"])
def test_leap_seconds_and_long_fractions_are_times(written):
    found = span(written)
    assert found is not None
    assert found.first.replace(microsecond=0) == datetime(2026, 3, 2, 8, 0, 59, tzinfo=UTC)


@given(st.dates(date(1900, 1, 1), date(2020, 12, 31)), st.dates(date(2021, 1, 1), date(2100, 1, 1)))
def test_an_age_by_a_partial_date_is_that_by_every_day_of_it(born, day):
    exact = years(born.isoformat(), day)
    assert exact is not None
    for partial in (born.strftime("%Y-%m"), born.strftime("%Y")):
        first, last = ends(partial)
        possible = {years(each.isoformat(), day) for each in (first, last)}
        assert years(partial, day) == (exact if len(possible) == 1 else None)
        assert exact in possible


@pytest.mark.parametrize(
    "resource",
    [
        {},
        {"effectiveDateTime": 3},
        {"effectivePeriod": {"end": "2026-01-01"}},
        {"effectivePeriod": {"start": "2026-01-01", "end": "soon"}},
        {"effectiveTiming": {"event": ["2026-01-01", "2026-01-02"]}},
        {"effectiveTiming": {"repeat": {"frequency": 1}}},
    ],
)
def test_what_does_not_say_from_when_on_has_no_time(resource):
    assert effective(resource) is None


def test_a_timing_with_one_event_has_its_time():
    found = effective({"effectiveTiming": {"event": ["2026-01-01T00:00:00Z"]}})
    assert found is not None
    assert found.words == "2026-01-01T00:00:00Z"
