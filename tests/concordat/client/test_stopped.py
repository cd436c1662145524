"""A command that is stopped from outside, as a process of its own."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from concordat.client.home import ClientHome
from concordat.keystore import Keystore


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Who takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


def _heed_interrupts() -> None:
    """As a command in a terminal does, and one that a shell has begun in the background does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [
        (signal.SIGINT, 130, "Stopped. What was handed in before stays handed in."),
        (signal.SIGTERM, 143, ""),
    ],
)
def test_it_says_so_and_ends_as_nothing_else_does(
    silent: socket.socket, tmp_path: Path, sent: signal.Signals, code: int, said: str
) -> None:
    Keystore(tmp_path / "keys").create()
    address = f"http://127.0.0.1:{silent.getsockname()[1]}"
    ClientHome.create(tmp_path, {"institution": "long-beach", "coordinator": address})
    command = [sys.executable, "-m", "concordat.client", "--home", str(tmp_path), "login"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, preexec_fn=_heed_interrupts) as process:
        silent.accept()
        process.send_signal(sent)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (code, "", said)
