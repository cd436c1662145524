"""`make demo` and `make serve`."""

import sys
import threading
from pathlib import Path

import click

from concordat.reasons import Refused
from config.demo.consortium import STUDY_FOLDER
from config.demo.report import Report
from config.demo.screen import Screen
from config.demo.story import Story
from config.demo.world import World, build, new_stack, readdress
from config.local.stack import ROOT, Stack, start_all
from config.local.supervisor import Supervisor

STATE = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=ROOT / "var" / "demo",
    show_default="var/demo",
    help="Folder for everything that the demonstration writes. `run` empties it first.",
)


@click.group()
def cli() -> None:
    """Four hospitals, one explained prediction, one verified dossier."""


@cli.command()
@STATE
def run(state: Path) -> None:
    """The main job from beginning to end; then all processes stop, and the state stays."""
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
    report.write(state / "report.json")
    screen.ending(_where(stack, world, report))


@cli.command()
@STATE
def serve(state: Path) -> None:
    """Bring the state of the last `run` up again, to click through. Ends with Ctrl-C."""
    if not (state / "stack.json").exists():
        raise click.ClickException("There is nothing to serve yet: run `make demo` first.")
    stack = Stack.load(state)
    screen = Screen()
    with Supervisor(stack.logs) as supervisor:
        stack.choose_ports()
        stack.save()
        readdress(stack)
        with screen.stage("serve", "All processes come up again"):
            start_all(stack, supervisor)
        screen.ending({"admin site": f"{stack.base_url}/admin/", "accounts": "as printed at the end of `make demo`"})
        screen.plain("Ctrl-C ends it.")
        pause = threading.Event()
        try:
            while not (dead := supervisor.dead()):
                pause.wait(1.0)
            raise click.ClickException(f"{dead[0]} has ended by itself; its log: {stack.logs / dead[0]}.log")
        except KeyboardInterrupt:
            screen.plain("All processes stop; the state stays.")


def _where(stack: Stack, world: World, report: Report) -> dict[str, str]:
    accounts = [f"{officer.email}  {officer.password}" for officer in world.officers.values()]
    return {
        "admin site": f"make serve, then {stack.base_url}/admin/",
        "accounts (this demonstration only)": "\n".join(accounts),
        "dossier, to read": report.dossier["html"],
        "dossier, for programs": report.dossier["json"],
        "dossier, to verify": f".venv/bin/python -m ledger.verify {report.dossier['bundle']}",
        "report": str(stack.state / "report.json"),
        "logs": str(stack.logs),
    }


if __name__ == "__main__":
    try:
        cli(prog_name="python -m config.demo")
    except Refused as refused:
        click.echo(f"\nThe demonstration stopped: {refused.detail} {refused.info.remedy}", err=True)
        sys.exit(1)
