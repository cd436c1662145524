"""How far a computation is: the first party's node says it to the coordinator, so that people see something move.

Parties compute in lock-step, so one of them speaks for all. Nothing rests on it: a report that is lost, or that the
coordinator does not take, is not repeated, and no computation waits for one.
"""

import threading
from contextlib import suppress
from typing import Self

from compute.node.coordinator import Coordinator
from concordat.reasons import Refused

SECONDS = 1.0


class Progress:
    """Reports the newest number every `SECONDS` on a thread of its own while the context lasts: nothing of what is over
    sooner. A report that is on its way at the end is not waited for."""

    def __init__(self, coordinator: Coordinator, job: str) -> None:
        self._coordinator, self._job = coordinator, job
        self._ended = threading.Event()
        self._newest: tuple[int, int] | None = None

    def tell(self, done: int, rounds: int) -> None:
        """Report it soon, in place of what was not reported yet. Returns at once."""
        self._newest = done, rounds

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, name="progress", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(SECONDS):
            newest, self._newest = self._newest, None
            if newest is not None:
                with suppress(Refused):  # it is over there, or cannot be reached: nobody waits for it
                    self._coordinator.progress(self._job, *newest)
