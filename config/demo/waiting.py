"""Waiting for something that another process does."""

import time
from collections.abc import Callable
from typing import TypeVar

from concordat.reasons import Reason, Refused

T = TypeVar("T")
_PAUSE_SECONDS = 0.2


def until(ask: Callable[[], T], *, seconds: float, retry: Reason | None = None) -> T:
    """The first answer of `ask` that is true; a refusal for the reason `retry` counts as not yet.

    Raises Refused(NODE_SILENT) after `seconds`, or the refusal that was the last answer.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            if answer := ask():
                return answer
        except Refused as refused:
            if refused.reason is not retry or time.monotonic() > deadline:
                raise
        if time.monotonic() > deadline:
            raise Refused(Reason.NODE_SILENT, detail=f"Nothing happened within {seconds:.0f} seconds.")
        time.sleep(_PAUSE_SECONDS)
