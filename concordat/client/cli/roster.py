"""`concordat roster`: whose passkeys count for this institution, signed by its offline key."""

from pathlib import Path
from typing import Any

import click

from concordat import canonical, clock
from concordat.client.cli.common import FILE, App
from concordat.client.cli.keys import OFFLINE, offline_key
from concordat.enrolment import build_roster
from concordat.files import about
from concordat.reasons import Reason, Refused


@click.group()
def roster() -> None:
    """Which officers' passkeys count for this institution."""


@roster.command()
@click.argument("officers", type=FILE)
@click.option(
    "--version",
    type=click.IntRange(min=1),
    required=True,
    help="One more than the roster that is in force; 1 for the first. The officers' site shows it.",
)
@OFFLINE
@click.pass_obj
def sign(app: App, officers: Path, version: int, offline: Path | None) -> None:
    """Sign the roster in the file OFFICERS with the offline key, and print it. Needs no network.

    OFFICERS is a JSON list of all officers, each with officer (a short name), name, role, credential and key: the last
    two as the officer read them from the page “Your passkeys”. Whoever is left out signs nothing from then on.
    """
    token = build_roster(
        offline_key(app.home.keys, offline, app.passphrase),
        institution=app.home.institution,
        version=version,
        officers=_listed(officers),
        issued=clock.now(),
    )
    app.answer({"roster": token}, lambda console: click.echo(token))


@roster.command()
@click.argument("file", type=FILE)
@click.pass_obj
def publish(app: App, file: Path) -> None:
    """Put the signed roster in FILE in force. It is refused unless its version is higher than the last one's."""
    with app.api("institutions.write") as api:
        done = api.publish_roster(_text(file))
    app.answer(done, lambda console: console.print(f"Version {done['version']} is in force."))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except UnicodeDecodeError:
        detail = f"{file.name} is no signed roster, as `concordat roster sign` prints it."
        raise Refused(Reason.FILE_UNREADABLE, detail=detail) from None


def _listed(file: Path) -> Any:
    """What stands in the file; `build_roster` reads it strictly. Raises Refused: FILE_UNREADABLE, MALFORMED."""
    with about(file.name):
        listed = canonical.decode(file.read_bytes())
    if not isinstance(listed, list):
        raise Refused(Reason.FILE_UNREADABLE, detail=f"{file.name} is no JSON list of officers.")
    return listed
