"""Engines that are forked from one process which has imported what they need, where a test is not about their start.

Each is a process of its own with its own pipes, as `EngineProcess.start` makes it, but two seconds of imports sooner.
Whatever is started with a folder on PYTHONPATH is started as ever: such a folder changes what is imported.
"""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from compute.engine.runner import LOOPBACK, EngineProcess

_HOST = 64


class Forked:
    """As much of `subprocess.Popen` as an `EngineProcess` uses, for a process that is another one's child."""

    def __init__(self, pid: int, stdin: int, stdout: int) -> None:
        self.pid = pid
        self.stdin, self.stdout = os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb")
        self._handle = os.pidfd_open(pid)

    def poll(self) -> int | None:
        return 0 if select.select([self._handle], [], [], 0)[0] else None

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def wait(self, seconds: float | None = None) -> None:
        select.select([self._handle], [], [], seconds)

    def __del__(self) -> None:
        os.close(self._handle)


class Nursery:
    """The process that forks. It ends with this one."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.nursery", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            )
        assert self._line.recv(_HOST) == b"ready"

    def start(self, host: str = LOOPBACK) -> EngineProcess:
        """One more engine."""
        their_input, our_output = os.pipe()
        our_input, their_output = os.pipe()
        socket.send_fds(self._line, [host.encode()], [their_input, their_output])
        os.close(their_input)
        os.close(their_output)
        pid = int.from_bytes(self._line.recv(_HOST))
        made: Any = Forked(pid, our_output, our_input)
        return EngineProcess(made)

    def close(self) -> None:
        self._line.close()
        self._process.wait(30)

    @contextmanager
    def forking(self) -> Iterator[None]:
        """Inside, `EngineProcess.start` forks."""
        start = EngineProcess.start

        def quickly(host: str = LOOPBACK) -> EngineProcess:
            return start(host) if "PYTHONPATH" in os.environ else self.start(host)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(EngineProcess, "start", staticmethod(quickly))
            yield


def _fork(line: socket.socket) -> None:
    from compute.engine import execution, process, warming  # noqa: F401

    warming.warm_up()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them here
    line.send(b"ready")
    while True:
        host, handles, _, _ = socket.recv_fds(line, _HOST, 2)
        if not host:
            return
        pid = os.fork()
        if pid == 0:
            os.dup2(handles[0], 0)
            os.dup2(handles[1], 1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            os.closerange(3, 256)
            os._exit(process.main(["--host", host.decode()]))
        for handle in handles:
            os.close(handle)
        line.send(pid.to_bytes(8))


if __name__ == "__main__":
    _fork(socket.socket(fileno=int(sys.argv[1])))
