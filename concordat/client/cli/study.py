"""`concordat study`: what an institution hands in for a study besides its protocol."""

from datetime import UTC, datetime
from pathlib import Path

import click

from concordat import clock
from concordat.client.cli.common import App
from concordat.protocol import AttachmentKind


@click.group()
def study() -> None:
    """Studies. Boards review them on the officers' site."""


@study.command()
@click.argument("study")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--kind", required=True, type=click.Choice([kind.value for kind in AttachmentKind]))
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The last day on which it is in force, UTC.")
@click.option("--of-the-study", is_flag=True, help="The study's own document, not this institution's (for its leader).")
@click.pass_obj
def attach(app: App, study: str, file: Path, kind: str, until: datetime | None, of_the_study: bool) -> None:
    """Attach FILE (PDF, PNG, JPEG or plain text) to STUDY, and print its digest."""
    last = until.replace(hour=23, minute=59, second=59, tzinfo=UTC) if until else None
    with app.api("studies.write") as api:
        attached = api.attach(
            study,
            kind=kind,
            institution="" if of_the_study else app.home.institution,
            name=file.name,
            content=file.read_bytes(),
            expires=clock.rfc3339(last) if last else "",
        )
    app.answer(attached, lambda console: console.print(attached["digest"]))
