"""A job is followed by what is new: its states, and how far its computation is."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from concordat.client import follow
from concordat.client.answers import JobStatus
from concordat.client.cli.common import App, following
from concordat.client.follow import check_not_ended, follow_job, once_there
from concordat.client.session import Newer
from concordat.reasons import Reason, Refused
from concordat.states import JobState


def at(state: JobState, done: int = 0) -> JobStatus:
    progress = {"done": done, "rounds": 90} if done else None
    status: Any = {"request": "", "state": state, "reason": "", "detail": "", "record": "", "progress": progress}
    return status


STORY = [
    at(JobState.RESERVED),
    at(JobState.COMPUTING),
    at(JobState.COMPUTING, 30),
    at(JobState.COMPUTING, 60),
    at(JobState.RECORDED),
]


def test_all_news_is_heard_once_in_order() -> None:
    answers = iter([STORY[0], None, STORY[1], STORY[2], None, STORY[3], STORY[4]])
    heard: list[JobStatus] = []
    asked: list[str] = []

    def newer(known: str, *, seconds: int) -> tuple[JobStatus | None, Newer]:
        asked.append(known)
        return next(answers), Newer(None, f"after {len(asked)}", waited=True)

    last = follow_job(newer, seconds=60, on_change=heard.append, sleep=lambda seconds: None)
    assert heard == STORY
    assert last == STORY[-1]
    assert asked == ["", *(f"after {number}" for number in range(1, 7))]


def test_why_a_job_ended_names_no_field_but_its_state_where_that_is_all() -> None:
    withdrawn: Any = at(JobState.REFUSED) | {"reason": Reason.CONSENT_WITHDRAWN, "detail": "Refused by zurich."}
    with pytest.raises(Refused) as refused:
        check_not_ended(withdrawn)
    assert (refused.value.reason, refused.value.detail, refused.value.field) == (
        Reason.CONSENT_WITHDRAWN,
        "Refused by zurich.",
        "",
    )
    with pytest.raises(Refused, match="The job is cancelled") as refused:
        check_not_ended(at(JobState.CANCELLED))
    assert (refused.value.reason, refused.value.field) == (Reason.WRONG_STATE, "state")
    for state in (JobState.COMPUTING, JobState.RECORDED):
        check_not_ended(at(state))


def test_one_that_says_it_has_waited_and_has_not_is_not_asked_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follow, "_SHORTEST_PAUSE", 10.0)  # longer than this machine may be busy with something else
    answers = iter([STORY[0], *[None] * 3, STORY[1], STORY[4]])
    pauses: list[float] = []

    def newer(known: str, *, seconds: int) -> tuple[JobStatus | None, Newer]:
        return next(answers), Newer(None, "known", waited=True)

    follow_job(newer, seconds=60, on_change=lambda status: None, sleep=pauses.append)
    assert pauses == [10, 5, 5, 5, 10]


@pytest.mark.parametrize("terminal", [True, False])
def test_states_are_lines_and_a_computation_is_a_bar_in_a_terminal(terminal: bool) -> None:
    written = StringIO()
    app = App("nowhere", machine=False)
    app.__dict__["progress"] = Console(file=written, force_terminal=terminal, width=60, highlight=False)
    with following(app) as told:
        for status in STORY:
            told(status)
    said = written.getvalue()
    assert [said.count(f"  {state}") for state in ("reserved", "computing", "recorded")] == [1, 1, 1]
    assert ("30/90" in said, "60/90" in said) == (terminal, terminal)
    assert ("rounds" in said) == terminal


def test_what_is_not_there_yet_is_looked_for_again_and_any_other_refusal_ends_it() -> None:
    answers = iter([Reason.RESULT_NOT_READY, Reason.WITNESSES_TOO_FEW, Reason.VOTE_PENDING, Reason.CONSISTENCY_INVALID])
    paused: list[float] = []

    def look() -> None:
        raise Refused(next(answers))

    with pytest.raises(Refused) as refused:
        once_there(look, seconds=60, sleep=paused.append)
    assert (refused.value.reason, len(paused)) == (Reason.CONSISTENCY_INVALID, 3)
