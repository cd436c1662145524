"""A shell in which a page's commands are typed as they stand, with a terminal that answers what they ask."""

import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMANDS = {"concordat": "-m concordat.client", "python": ""}

SECONDS = 500
"""For a busy machine: a page takes some thirty of them."""


def typed(
    folder: Path,
    *lines: str,
    answers: Sequence[tuple[str, str]] = (),
    serve: Callable[[], None] = lambda: None,
    environment: Mapping[str, str] = {},
) -> str:
    """What a shell in `folder` prints when all of it is typed; the first command that fails ends it.

    Args:
        answers: what is typed when the terminal shows a prompt that ends so, in this order.
        serve: is called again and again meanwhile, and returns within a moment.
    """
    script, said = folder / "told.sh", folder / "told.out"
    script.write_text("\n".join(["set -euo pipefail", *lines]) + "\n")
    known = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "160",
        "PATH": f"{_commands(folder)}:{os.environ['PATH']}",
    }
    ours, theirs = pty.openpty()
    with said.open("wb") as out:
        shell = subprocess.Popen(
            ["bash", str(script)],
            cwd=folder,
            env={**known, **environment},
            stdin=theirs,
            stdout=out,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that a passphrase is asked for here
        )
    os.close(theirs)
    shown = _attend(shell, ours, said, list(answers), serve, time.monotonic() + SECONDS)
    printed = said.read_text()
    assert shell.returncode == 0, f"{printed}\n--- {shell.returncode}, on the terminal:\n{shown}"
    return printed


def _attend(
    shell: "subprocess.Popen[bytes]",
    terminal: int,
    out: Path,
    answers: list[tuple[str, str]],
    serve: Callable[[], None],
    deadline: float,
) -> str:
    """Serves and answers until the shell has ended. Answers what the terminal showed besides what was printed."""
    shown, seen, printed = "", 0, 0
    try:
        while True:
            ended = shell.poll() is not None
            serve()
            while select.select([terminal], [], [], 0.01)[0]:
                try:
                    shown += os.read(terminal, 65536).decode(errors="replace")
                except OSError:  # nobody has the terminal any more
                    break
            if answers and (answers[0][0] in shown[seen:] or answers[0][0] in out.read_text()[printed:]):
                seen, printed = len(shown), len(out.read_text())
                time.sleep(0.05)  # a prompt for a passphrase forgets what was typed before it was ready
                os.write(terminal, f"{answers.pop(0)[1]}\n".encode())
            if ended:
                return shown
            assert time.monotonic() < deadline, f"too long:\n{out.read_text()}\n{shown}"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, 9)  # and what it left in the background
        shell.wait()
        os.close(terminal)


def _commands(folder: Path) -> Path:
    """A folder for the path, with the commands of an installation."""
    made = folder / ".commands"
    made.mkdir(exist_ok=True)
    for name, arguments in COMMANDS.items():
        (made / name).write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n')
        (made / name).chmod(0o755)
    return made
