"""`concordat log fetch`: a copy of the whole log, with which a dossier's completeness can be checked."""

from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from concordat.client import log as logs
from concordat.client.cli.common import App


@click.group()
def log() -> None:
    """The coordinator's log as files of your own."""


@log.command("fetch")
@click.option("--to", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="The folder.")
@click.option("--size", type=click.IntRange(min=0), help="Only the first so many entries, as a dossier's head counts.")
@click.pass_obj
def fetch_command(app: App, folder: Path, size: int | None) -> None:
    """Copy the log's entries into a folder, each verified against the log's signed head.

    Stopped anywhere, the same command goes on; later it fetches what has come since. The files are laid out as C2SP
    tlog-tiles says, for `concordat verify --log` and for other tools.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    bar = Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=app.progress)
    with app.api("ledger.read") as api, bar:
        task = bar.add_task("entries", total=None)
        head = logs.fetch(
            app.home, api, folder, size=size, progress=lambda done, of: bar.update(task, completed=done, total=of)
        )
    there = head.size if size is None else size
    app.answer(
        {"folder": str(folder), "entries": there, "head": head.size},
        lambda console: console.print(f"{there} of the log's {head.size} entries are in {folder}."),
    )
