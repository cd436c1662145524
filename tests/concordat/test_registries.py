"""The registries are total, and what they say to people is a sentence."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat import clock
from concordat.events import EVENTS, Event
from concordat.reasons import REASONS, Reason, Refused
from concordat.states import TRANSITIONS, JobState, check_transition, ended


def test_every_reason_event_and_state_has_its_line() -> None:
    assert set(REASONS) == set(Reason)
    assert set(EVENTS) == set(Event)
    assert set(TRANSITIONS) == set(JobState)


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_says_what_is_wrong_and_what_to_do(reason: Reason) -> None:
    info = REASONS[reason]
    for sentence in (info.sentence, info.remedy):
        assert sentence[0].isupper() or sentence.startswith("`")
        assert sentence.endswith(".")
    assert 200 <= info.status < 600


@pytest.mark.parametrize("event", Event)
def test_no_field_is_both_public_and_committed(event: Event) -> None:
    info = EVENTS[event]
    assert not set(info.public) & set(info.private)
    assert not {"subject", "officer", "reader", "checks", "statement"} & set(info.public)


def test_every_state_can_be_reached_and_every_job_can_end() -> None:
    reached, ways = {JobState.REQUESTED}, [JobState.REQUESTED]
    while ways:
        fresh = TRANSITIONS[ways.pop()] - reached
        reached |= fresh
        ways += fresh
    assert reached == set(JobState)
    # Even what is final may be withheld: when its requester opens it, and a canary is false.
    assert {state for state in JobState if ended(state)} >= {JobState.REFUSED, JobState.WITHHELD}
    assert TRANSITIONS[JobState.FINAL] == {JobState.WITHHELD}


@given(st.sampled_from(JobState), st.sampled_from(JobState))
def test_a_transition_is_checked_against_the_table(before: JobState, after: JobState) -> None:
    if after in TRANSITIONS[before]:
        check_transition(before, after)
    else:
        with pytest.raises(Refused, match=f"{before} cannot become {after}"):
            check_transition(before, after)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_time_reads_back_as_it_was_written(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    assert clock.parse(clock.rfc3339(moment)) == moment
    elsewhere = moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert clock.rfc3339(elsewhere) == clock.rfc3339(moment)


@pytest.mark.parametrize(
    "text", ["2026-01-31T12:00:00", "2026-01-31T12:00:00+00:00", "2026-02-30T12:00:00Z", "２０２６-01-31T12:00:00Z", ""]
)
def test_other_spellings_of_time_are_refused(text: str) -> None:
    with pytest.raises(Refused):
        clock.parse(text)
