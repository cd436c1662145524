"""The main job, run once; the consortium stays up for the tests that follow."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis
from rich.console import Console

from config.demo.consortium import STUDY_FOLDER
from config.demo.report import Report
from config.demo.screen import Screen
from config.demo.story import Story
from config.demo.world import World, build, new_stack
from config.local.stack import Stack
from config.local.supervisor import Supervisor

OBSERVER = "observer"
# Short enough for the tests of what happens when somebody stays silent, long enough for a busy machine.
PATIENCE = {"CONCORDAT_RESERVATION_SECONDS": "30", "CONCORDAT_COMPUTE_SECONDS": "40"}


@dataclass
class Demo:
    """A consortium that is up, the story it went through, and everything that passed through its broker."""

    world: World
    story: Story
    report: Report
    state: Path
    traffic: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    with main_job(new_stack(folder / "state"), shown=folder / "screen.txt") as done:
        yield done


@contextmanager
def main_job(stack: Stack, *, shown: Path) -> Iterator[Demo]:
    """Runs the demonstration on this stack, and keeps it up inside the context. What it shows goes to a file."""
    with shown.open("w") as file:
        stack.observers, stack.settings = [OBSERVER], PATIENCE
        screen = Screen(Console(file=file, width=120))
        traffic: list[str] = []
        with Supervisor(stack.logs) as supervisor:
            with screen.stage("enrol", "A consortium comes up"):
                world = build(
                    stack,
                    supervisor,
                    screen,
                    table=STUDY_FOLDER / "uci_heart_4_hospitals.csv",
                    watch=lambda url: _listen(url, traffic),
                )
            with world:
                story = Story(world, screen)
                report = story.run()
                yield Demo(world, story, report, stack.state, traffic)


@contextmanager
def database(demo: Demo) -> Iterator[sqlite3.Connection]:
    """The coordinator's database as it is now: a copy, made by a process of its own.

    Tests read whole files of the state. When a process closes a file, it gives up whatever locks SQLite holds on it in
    that process (POSIX), and from then on its connections read under the feet of others' checkpoints.
    """
    code = (
        "import sqlite3, sys; read = sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True); "
        "write = sqlite3.connect(sys.argv[2]); read.backup(write); write.close(); read.close()"
    )
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.sqlite3"
        subprocess.run([sys.executable, "-c", code, demo.world.stack.database, copy], check=True)
        with closing(sqlite3.connect(copy)) as connection:
            yield connection


def _listen(url: str, into: list[str]) -> None:
    """Keeps every command that any client sends to the broker, payloads included."""
    monitor = redis.Redis.from_url(url, encoding_errors="replace", socket_timeout=None).monitor()
    monitor.__enter__()

    def keep() -> None:
        try:
            for command in monitor.listen():
                into.append(command["command"])
        except redis.ConnectionError:
            return  # the broker went away, as some tests want it to

    threading.Thread(target=keep, daemon=True).start()
