"""Starts operating-system processes in order, waits until each is ready, and ends them all: also if it dies itself.

A process that outlives its supervisor would hold ports, keys and a database, so every child asks the kernel to be
killed with its parent (Linux, PR_SET_PDEATHSIG) and leads a process group of its own, which is signalled as a whole.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from concordat.reasons import Reason, Refused
from config.processes import die_with_parent

_POLL_SECONDS = 0.05


def inherited() -> dict[str, str]:
    """This process's environment without the settings in it: whoever starts a program says all of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CONCORDAT_")}


@dataclass(frozen=True)
class Program:
    """What to run. `ready` is asked again and again until it answers True; its logs go to `<logs>/<name>.log`."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] = lambda: True
    ready_seconds: float = 60.0
    stop_seconds: float = 10.0


class Supervisor:
    """A context: processes started inside it are gone when it is left."""

    def __init__(self, logs: Path, *, environment: Mapping[str, str] | None = None) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self.logs = logs
        self._environment = dict(environment or {})
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._programs: dict[str, Program] = {}

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all()

    def start(self, program: Program, *, wait: bool = True) -> None:
        """Starts one program; with `wait`, returns when it is ready. Raises Refused(INTERNAL) naming it and its log."""
        with open(self.logs / f"{program.name}.log", "ab", opener=_private) as log:
            process = subprocess.Popen(  # noqa: S603  (the command is ours)
                list(program.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**inherited(), **self._environment, **program.environment},
                umask=0o077,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self._running[program.name] = process
        self._programs[program.name] = program
        if wait:
            self.wait_ready(program.name)

    def wait_ready(self, name: str) -> None:
        """Returns when the program says it is ready."""
        program, process = self._programs[name], self._running[name]
        deadline = time.monotonic() + program.ready_seconds
        while not program.ready():
            if process.poll() is not None:
                raise self._failed(name, f"ended with status {process.returncode} before it was ready")
            if time.monotonic() > deadline:
                raise self._failed(name, f"was not ready after {program.ready_seconds:.0f} seconds")
            time.sleep(_POLL_SECONDS)

    def dead(self) -> list[str]:
        """The names of programs that ended by themselves."""
        return [name for name, process in self._running.items() if process.poll() is not None]

    def pid(self, name: str) -> int:
        return self._running[name].pid

    def names(self) -> list[str]:
        return list(self._running)

    def kill(self, name: str) -> None:
        """Ends one program and its children at once, as a power cut would."""
        process = self._running.pop(name)
        _signal_group(process, signal.SIGKILL)
        process.wait()

    def stop(self, name: str) -> None:
        """Asks one program to end, and kills it if it takes too long."""
        _signal_group(self._running[name], signal.SIGTERM)
        self._bury(name)

    def restart(self, name: str) -> None:
        if name in self._running:
            self.stop(name)
        self.start(self._programs[name])

    def stop_all(self) -> None:
        """Ends everything, the last started first."""
        names = list(reversed(self._running))
        for name in names:
            _signal_group(self._running[name], signal.SIGTERM)
        for name in names:
            self._bury(name)

    def _bury(self, name: str) -> None:
        process, program = self._running.pop(name), self._programs[name]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(program.stop_seconds)
        _signal_group(process, signal.SIGKILL)
        process.wait()

    def _failed(self, name: str, what: str) -> Refused:
        return Refused(Reason.INTERNAL, detail=f"The process {name} {what}. Its log: {self.logs / name}.log")


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
