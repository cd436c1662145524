"""The node's one engine: held for one batch at a time, and gone when its jobs are done, released or too late.

Beside it at most one spare, which has imported everything and has no job yet, so that the next ticket finds it warm. It
is started when the slot is free and never while a job computes: its imports would take a processor from the job.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from compute.engine.job import Endpoint
from compute.engine.runner import EngineProcess
from concordat.definition import Role
from concordat.reasons import Reason, Refused

ENGINE_START_SECONDS = 45

StartEngine = Callable[[], EngineProcess]


@dataclass
class _Hold:
    """`talking`: whether a thread waits for the engine's answer, so that no other may talk to it."""

    batch: str
    timer: threading.Timer
    engine: EngineProcess | None = None
    talking: bool = False


class EngineSlot:
    """Safe for several threads: a release comes while a computation runs."""

    def __init__(self, start_engine: StartEngine = EngineProcess.start) -> None:
        self._start_engine = start_engine
        self._lock = threading.Lock()
        self._hold: _Hold | None = None
        self._spare: EngineProcess | None = None
        self._keeps_spare = False

    @property
    def engine(self) -> EngineProcess | None:
        """The engine that is held, if there is one."""
        hold = self._hold
        return hold.engine if hold else None

    @property
    def spare(self) -> EngineProcess | None:
        """The engine that waits for the next ticket, if there is one; it may have died."""
        return self._spare

    @property
    def taken(self) -> bool:
        """Whether a batch holds the slot."""
        return self._hold is not None

    def warm(self) -> None:
        """Keep a spare from now on, until `close`. Returns at once: its imports take some seconds."""
        with self._lock:
            self._keeps_spare = True
            self._refill()

    def take(self, batch: str, role: Role, rank: int, *, now: datetime, until: datetime) -> Endpoint:
        """Hold the slot for a batch until a moment, with an engine that is ready: where it listens, and as whom.

        Raises:
            Refused: NODE_BUSY; ENGINE_FAILED if the engine does not get ready; EXPIRED if the hold ended before it did.
        """
        hold = self._hold_for(batch, (until - now).total_seconds())
        with self._lock:
            self._check(hold)
            engine = hold.engine = self._spare_or_new()
            hold.talking = True
        try:
            endpoint = engine.reserve(role, rank, ENGINE_START_SECONDS)
        except Refused:
            engine.kill()
            with self._lock:
                self._check(hold)  # whoever let go of it has ended the engine, which did not fail
                hold.engine = None
            raise
        with self._lock:
            self._check(hold)
            hold.talking = False
        return endpoint

    @contextmanager
    def conversation(self, batch: str) -> Iterator[EngineProcess]:
        """The engine that is held for `batch`, to be given its work, once; afterwards its process is gone. The hold no
        longer lapses meanwhile: engines have time-outs of their own. Raises Refused(EXPIRED)."""
        with self._lock:
            hold = self._hold
            if hold is None or hold.batch != batch or hold.engine is None or hold.talking:
                raise Refused(Reason.EXPIRED, detail="The reservation has lapsed.")
            engine, hold.talking = hold.engine, True
            hold.timer.cancel()
        try:
            yield engine
        finally:
            engine.kill()
            with self._lock:
                hold.engine = None

    def free(self, batch: str) -> None:
        """Let go of the slot and end the engine, if it is held for `batch`. Repeatable."""
        self._let_go(lambda hold: hold.batch == batch)

    def close(self) -> None:
        """Leave no engine and no timer behind."""
        with self._lock:
            self._keeps_spare = False
            spare, self._spare = self._spare, None
            if spare is not None:
                spare.kill()
        self._let_go(lambda hold: True)

    def _let_go(self, of: Callable[[_Hold], bool]) -> None:
        with self._lock:
            hold = self._hold
            if hold is None or not of(hold):
                return
            self._hold = None
            hold.timer.cancel()
            if hold.engine is not None:
                hold.engine.kill()  # a thread that talks to it sees it end
            self._refill()

    def _refill(self) -> None:
        if self._keeps_spare and self._hold is None:
            with suppress(Refused):  # the next ticket will try again, and say so
                self._spare = self._spare_or_new()

    def _spare_or_new(self) -> EngineProcess:
        spare, self._spare = self._spare, None
        if spare is not None:
            if spare.alive:
                return spare
            spare.kill()  # it has died; this buries it
        return self._start_engine()

    def _hold_for(self, batch: str, seconds: float) -> _Hold:
        timer = threading.Timer(seconds, self.free, (batch,))
        timer.daemon = True
        with self._lock:
            if self._hold is not None:
                raise Refused(Reason.NODE_BUSY)
            hold = self._hold = _Hold(batch, timer)
        timer.start()
        return hold

    def _check(self, hold: _Hold) -> None:
        if self._hold is not hold:
            raise Refused(Reason.EXPIRED, detail="The reservation lapsed before the engine was ready.")
