"""The node's one engine: held for one job at a time, and gone when the job is done, released or too late."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from compute.engine.runner import EngineProcess
from concordat.answers import Role
from concordat.reasons import Reason, Refused

ENGINE_START_SECONDS = 45

StartEngine = Callable[[Role, int], EngineProcess]


@dataclass
class _Hold:
    job: str
    timer: threading.Timer
    engine: EngineProcess | None = None
    talking: bool = False


class EngineSlot:
    """Safe for several threads: a release comes while a computation runs."""

    def __init__(self, start_engine: StartEngine = EngineProcess.start) -> None:
        self._start_engine = start_engine
        self._lock = threading.Lock()
        self._hold: _Hold | None = None

    @property
    def engine(self) -> EngineProcess | None:
        """The engine that is held, if there is one."""
        hold = self._hold
        return hold.engine if hold else None

    def take(self, job: str, role: Role, rank: int, *, now: datetime, until: datetime) -> str | None:
        """Hold the slot for `job` until a moment, with an engine that is ready; its address if it is rank 0.

        Raises:
            Refused: NODE_BUSY; ENGINE_FAILED if the engine does not get ready; EXPIRED if the hold ended before it did.
        """
        hold = self._hold_for(job, (until - now).total_seconds())
        engine = self._start_engine(role, rank)
        try:
            address = engine.ready(ENGINE_START_SECONDS)
            with self._lock:
                self._check(hold)
                hold.engine = engine
        except Refused:
            engine.kill()
            raise
        return address

    @contextmanager
    def conversation(self, job: str) -> Iterator[EngineProcess]:
        """The engine that is held for `job`, to be given its work, once. The hold no longer lapses meanwhile: engines
        have time-outs of their own, and after `run` the process is gone. Raises Refused(EXPIRED)."""
        with self._lock:
            hold = self._hold
            if hold is None or hold.job != job or hold.engine is None:
                raise Refused(Reason.EXPIRED, detail="The reservation has lapsed.")
            hold.talking = True
            hold.timer.cancel()
        try:
            yield hold.engine
        finally:
            with self._lock:
                hold.engine = None

    def free(self, job: str) -> None:
        """Let go of the slot and end the engine, if it is held for `job`. Repeatable."""
        with self._lock:
            hold = self._hold
            if hold is None or hold.job != job:
                return
            self._hold = None
            hold.timer.cancel()
            if hold.engine is None:
                return
            if hold.talking:  # the thread that talks to it sees it end, and cleans up after it
                with suppress(ProcessLookupError):
                    os.kill(hold.engine.pid, signal.SIGKILL)
            else:
                hold.engine.kill()

    def close(self) -> None:
        """Leave no engine and no timer behind."""
        hold = self._hold
        if hold is not None:
            self.free(hold.job)

    def _hold_for(self, job: str, seconds: float) -> _Hold:
        timer = threading.Timer(seconds, self.free, (job,))
        timer.daemon = True
        with self._lock:
            if self._hold is not None:
                raise Refused(Reason.NODE_BUSY)
            hold = self._hold = _Hold(job, timer)
        timer.start()
        return hold

    def _check(self, hold: _Hold) -> None:
        if self._hold is not hold:
            raise Refused(Reason.EXPIRED, detail="The reservation lapsed before the engine was ready.")
