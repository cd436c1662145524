"""`make demo` and `make serve`."""

import fcntl
import shlex
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from concordat.reasons import Refused
from config.demo import bedside
from config.demo.consortium import STUDY_FOLDER
from config.demo.report import Report
from config.demo.screen import Screen
from config.demo.story import Story
from config.demo.world import World, build, new_stack, readdress
from config.local.stack import ROOT, Stack, start_all
from config.local.supervisor import Supervisor

REPORT = "report.json"

STATE = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=ROOT / "var" / "demo",
    show_default="var/demo",
    help="Folder for everything that the demonstration writes. `run` empties it first.",
)


@contextmanager
def alone(state: Path) -> Iterator[None]:
    """Nobody else runs or serves what is in this folder meanwhile: a run empties it, and its processes have its ports.

    Raises click.ClickException if somebody does.
    """
    state.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{state}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            detail = f"The demonstration in {state} is running already: use that one, or end it with Ctrl-C."
            raise click.ClickException(detail) from None
        yield


@click.group()
def cli() -> None:
    """Four hospitals, one explained prediction, one verified dossier."""


@cli.command()
@STATE
def run(state: Path) -> None:
    """The main job from beginning to end; then all processes stop, and the state stays."""
    with alone(state):
        _run(state)


def _run(state: Path) -> None:
    screen = Screen()
    screen.title(
        "Concordat: four hospitals, one explained prediction, one verified dossier",
        "920 real patients (UCI Heart Disease, 1989). Every institution acts through processes of its own.",
    )
    stack = new_stack(state)
    with Supervisor(stack.logs) as supervisor:
        with screen.stage("enrol", "A consortium comes up: keys, broker, chain, servers, nodes"):
            world = build(stack, supervisor, screen, table=STUDY_FOLDER / "uci_heart_4_hospitals.csv")
        with world:
            report = Story(world, screen).run()
    report.write(state / REPORT)
    screen.ending(_where(stack, world, report))


@cli.command()
@STATE
def serve(state: Path) -> None:
    """Bring the state of the last `run` up again, to click through. Ends with Ctrl-C."""
    if not (state / REPORT).exists():
        raise click.ClickException("There is no finished demonstration to serve: run `make demo` first.")
    with alone(state):
        _serve(state)


def _serve(state: Path) -> None:
    screen, stack = Screen(), Stack.load(state)
    with Supervisor(stack.logs) as supervisor:
        stack.choose_ports()
        stack.save()
        readdress(stack)
        with screen.stage("serve", "All processes come up again"):
            start_all(stack, supervisor)
            page = bedside.bring_up(stack, supervisor)
        screen.ending(
            {
                "admin site": f"{stack.base_url}/admin/",
                "accounts": "as printed at the end of `make demo`, once; run it again if they are lost",
                "chain (JSON-RPC, for `--rpc`)": stack.chain_url,
                "API": f"{stack.base_url}/api/v1/",
                **({"clinician's page, for ten minutes; a result may take one or two": page} if page else {}),
            }
        )
        screen.plain("Ctrl-C ends it.")
        pause = threading.Event()
        try:
            while not (dead := supervisor.dead()):
                pause.wait(1.0)
            raise click.ClickException(f"{dead[0]} has ended by itself; its log: {stack.logs / dead[0]}.log")
        except KeyboardInterrupt:
            screen.plain("All processes stop; the state stays.")


def _where(stack: Stack, world: World, report: Report) -> dict[str, str]:
    people = [*world.officers.values(), *([world.reviewer] if world.reviewer else [])]
    return {
        "admin site": f"make serve, then {stack.base_url}/admin/",
        "accounts, of this demonstration only and shown this once": "\n".join(
            # Their passkeys end with this process; a recovery code stands in for one at the second step.
            "  ".join([person.email, person.password, *person.recovery_codes[:2]])
            for person in people
        ),
        "dossier, to read": _near(report.dossier["html"]),
        "dossier, for programs": _near(report.dossier["json"]),
        "dossier, to verify": f".venv/bin/python -m ledger.verify {shlex.quote(_near(report.dossier['bundle']))}",
        "report": _near(stack.state / REPORT),
        "logs": _near(stack.logs),
    }


def _near(path: str | Path) -> str:
    """The path as seen from here, where it is below."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else str(path)


if __name__ == "__main__":
    try:
        cli(prog_name="python -m config.demo")
    except Refused as refused:
        click.echo(f"\nThe demonstration stopped: {refused.detail} {refused.info.remedy}", err=True)
        sys.exit(1)
