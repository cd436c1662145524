"""Waiting for something that another process does."""

import time
from collections.abc import Callable
from typing import TypeVar

from concordat.reasons import Reason, Refused

T = TypeVar("T")
_PAUSE_SECONDS = 0.2


def until(ask: Callable[[], T], *, seconds: float) -> T:
    """The first answer of `ask` that is true. Raises Refused(NODE_SILENT) after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise Refused(Reason.NODE_SILENT, detail=f"Nothing happened within {seconds:.0f} seconds.")
        time.sleep(_PAUSE_SECONDS)
    return answer
