"""The supervisor leaves nothing running, however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from concordat.reasons import Reason, Refused
from config.local.supervisor import Program, Supervisor

SLEEP = [sys.executable, "-c", "import time; time.sleep(300)"]
# A parent that starts a child of its own and prints the child's number: both have to go.
FAMILY = [
    sys.executable,
    "-c",
    "import subprocess, sys, time; c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)']);"
    "print(c.pid, flush=True); time.sleep(300)",
]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pid: int, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_leaving_the_context_ends_every_process_and_its_children(tmp_path: Path) -> None:
    log = tmp_path / "family.log"
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(Program("family", FAMILY, ready=lambda: log.exists() and log.read_text().strip() != ""))
        parent, child = supervisor.pid("family"), int(log.read_text())
        assert alive(parent)
        assert alive(child)
    assert gone(parent)
    assert gone(child)


def test_a_process_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(300)"
    )
    log = tmp_path / "stubborn.log"
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(
            Program(
                "stubborn", [sys.executable, "-c", stubborn], ready=lambda: "up" in log.read_text(), stop_seconds=0.3
            )
        )
        pid = supervisor.pid("stubborn")
    assert gone(pid)


def test_a_process_that_dies_before_it_is_ready_is_named_with_its_log(tmp_path: Path) -> None:
    with (
        Supervisor(tmp_path) as supervisor,
        pytest.raises(Refused, match=r"broken ended with status 3.*broken\.log") as no,
    ):
        supervisor.start(Program("broken", [sys.executable, "-c", "raise SystemExit(3)"], ready=lambda: False))
    assert no.value.reason is Reason.INTERNAL


def test_a_process_that_never_gets_ready_is_named(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor, pytest.raises(Refused, match="slow was not ready"):
        supervisor.start(Program("slow", SLEEP, ready=lambda: False, ready_seconds=0.2))


def test_killing_the_supervisor_kills_its_processes(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from config.local.supervisor import Program, Supervisor\n"
        "sleep = Program('sleep', [sys.executable, '-c', 'import time; time.sleep(300)'])\n"
        "s = Supervisor(Path(sys.argv[1])); s.start(sleep)\n"
        "print(s.pid('sleep'), flush=True); time.sleep(300)"
    )
    outer = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert outer.stdout is not None
    inner = int(outer.stdout.readline())
    assert alive(inner)
    os.kill(outer.pid, signal.SIGKILL)
    outer.wait()
    assert gone(inner)
