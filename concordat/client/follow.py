"""Follow a job of ours, a prediction or an audit, until its result is there and the log shows it."""

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from concordat.client.answers import JobStatus
from concordat.client.session import Newer
from concordat.reasons import Reason, Refused
from concordat.states import AVAILABLE, ended

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0
_LONGEST_WAIT = 20
"""Seconds for which the coordinator is asked to hold an answer back until there is news."""
PUBLICATION = 30
"""Seconds within which the log's next head, with its cosignatures, can be expected."""
_HEAD_PAUSE = 1.0
_NOT_YET = frozenset({Reason.RESULT_NOT_READY, Reason.WITNESSES_TOO_FEW, Reason.VOTE_PENDING})

S = TypeVar("S", bound=JobStatus)
S_co = TypeVar("S_co", bound=JobStatus, covariant=True)
T = TypeVar("T")


class AskForNews(Protocol[S_co]):
    """Where the job stands, if that has changed since the answer with the ETag `known`, or does within the seconds."""

    def __call__(self, known: str, *, seconds: int) -> tuple[S_co | None, Newer]: ...


def check_not_ended(status: JobStatus) -> None:
    """Raises Refused: the reason for which a job ended without a result, which says itself what it is about; or
    WRONG_STATE for one that was taken back."""
    if not ended(status["state"]) or status["state"] in AVAILABLE:
        return
    if status["reason"]:
        raise Refused(status["reason"], detail=status["detail"])
    raise Refused(Reason.WRONG_STATE, detail=f"The job is {status['state']}.", field="state")


def follow_job(
    newer: AskForNews[S], *, seconds: float, on_change: Callable[[S], None], sleep: Callable[[float], None]
) -> S:
    """Ask for news until the result can be opened, and answer where the job stands then.

    Args:
        on_change: hears all news: of another state, or that the computation has gone on.

    Raises:
        Refused: the reason for which it ended early; RESULT_NOT_READY after `seconds`.
    """
    pause, known, until = _SHORTEST_PAUSE, "", time.monotonic() + seconds
    status: S | None = None
    while True:
        asked = time.monotonic()
        left = min(max(int(until - asked), 1), _LONGEST_WAIT)
        news, answer = newer(known, seconds=left)
        known = answer.etag
        if news is not None:
            pause = _SHORTEST_PAUSE
            on_change(news)
        status = news or status
        assert status is not None  # the first answer is news
        state = status["state"]
        if state in AVAILABLE:
            return status
        check_not_ended(status)
        if time.monotonic() + pause > until:
            raise Refused(Reason.RESULT_NOT_READY, detail=f"The job is {state}.")
        if not answer.waited or time.monotonic() - asked < pause:  # it may say so, and have waited for nothing
            sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def once_there(
    look: Callable[[], T], *, seconds: float = PUBLICATION, sleep: Callable[[float], None] = time.sleep
) -> T:
    """What `look` answers, called for as often as it takes within so many seconds until the log shows what it looks
    for, cosigned by as many as the home asks for, or a block holds it: both are there some moments after the deed.

    Raises Refused as `look` does.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            return look()
        except Refused as refused:
            if refused.reason not in _NOT_YET or time.monotonic() + _HEAD_PAUSE > until:
                raise
        sleep(_HEAD_PAUSE)
