from datetime import UTC, datetime

import pytest
import time_machine

from concordat import clock
from concordat.reasons import Reason, Refused


@pytest.mark.parametrize(
    ("start", "duration", "expected"),
    [
        ("2026-11-28", "P1Y", "2027-11-28"),
        ("2024-02-29", "P1Y", "2025-02-28"),
        ("2024-02-29", "P4Y", "2028-02-29"),
        ("2026-01-31", "P1M", "2026-02-28"),
        ("2026-11-28", "P1Y2M", "2028-01-28"),
        ("2026-12-31", "P12M", "2027-12-31"),
        ("2026-11-28", "P2W", "2026-12-12"),
        ("2026-11-28", "P90D", "2027-02-26"),
        ("2026-01-31", "P1M1D", "2026-03-01"),
        ("2026-11-28", "P0D", "2026-11-28"),
    ],
)
def test_a_duration_counts_by_the_calendar(start: str, duration: str, expected: str) -> None:
    found = clock.after(duration, clock.parse(f"{start}T12:30:00Z"))
    assert clock.rfc3339(found) == f"{expected}T12:30:00Z"


@pytest.mark.parametrize(
    "text", ["", "P", "1Y", "PT1H", "P1DT1H", "P-1Y", "P1.5Y", "P1Y ", "p1y", "P1D1Y", "P9999Y", f"P{10**20}D", "P١Y"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        clock.after(text, clock.now())
    assert refused.value.reason is Reason.MALFORMED


def test_what_lies_ahead_is_a_time_or_so_long_from_now() -> None:
    with time_machine.travel(datetime(2090, 5, 1, 12, tzinfo=UTC), tick=False):
        assert clock.rfc3339(clock.ahead("P30D")) == "2090-05-31T12:00:00Z"
        assert clock.rfc3339(clock.ahead("2031-01-31T00:00:00Z")) == "2031-01-31T00:00:00Z"
    with pytest.raises(Refused):
        clock.ahead("2031-01-31")
