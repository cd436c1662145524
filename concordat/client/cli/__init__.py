"""The `concordat` command of an institution."""

from typing import TextIO

import click
from rich.console import Console

from concordat import __version__
from concordat.client.cli.audit import audit
from concordat.client.cli.bedside import bedside
from concordat.client.cli.common import App, Commands
from concordat.client.cli.consent import consent
from concordat.client.cli.consortium import consortium
from concordat.client.cli.definition import definition
from concordat.client.cli.design import design
from concordat.client.cli.dossier import dossier, verify_command
from concordat.client.cli.escrow import escrow, records
from concordat.client.cli.fhir import fhir
from concordat.client.cli.home import init, pin
from concordat.client.cli.keys import keys
from concordat.client.cli.log import log
from concordat.client.cli.model import model
from concordat.client.cli.prediction import cancel, disclose, open_command, predict_command, watch
from concordat.client.cli.roster import roster
from concordat.client.cli.study import study
from concordat.client.cli.subject import subject
from concordat.client.cli.training import training
from concordat.client.cli.what_if import what_if_command


@click.group(cls=Commands)
@click.version_option(__version__)
@click.option(
    "--home",
    envvar="CONCORDAT_HOME",
    default=".",
    show_default=True,
    type=click.Path(file_okay=False),
    help="The institution's folder: client.json and keys/.",
)
@click.option(
    "--passphrase-file",
    envvar="CONCORDAT_PASSPHRASE_FILE",
    type=click.File("r"),
    help="A file with the passphrase of encrypted keys.",
)
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def main(context: click.Context, home: str, passphrase_file: TextIO | None, output: str) -> None:
    """Predictions with explanations that no single institution could have computed alone, or altered.

    Exit codes: 0 done, 1 refused, 2 wrong usage, 75 not now: the same command may succeed later, 130 stopped by Ctrl-C.
    """
    passphrase = passphrase_file.read().rstrip("\n") if passphrase_file else None
    context.obj = App(home, machine=output == "json", passphrase=passphrase)


@main.command()
@click.pass_obj
def login(app: App) -> None:
    """Sign in, and compare the coordinator's list of institutions with what is pinned here."""
    with app.api("institutions.read") as api:
        known = {each["institution"]: each["enrolment"] for each in api.lists.institutions()}
    pinned = {slug: enrolment.token for slug, enrolment in app.home.pins.enrolments.items()}
    verdicts = {slug: _compare(known.get(slug), pinned.get(slug)) for slug in sorted({*known, *pinned})}

    def people(console: Console) -> None:
        console.print(f"Signed in at {app.home.config['coordinator']} as {app.home.institution}.")
        for slug, verdict in verdicts.items():
            console.print(f"  {slug:<20} {verdict}")

    app.answer({"institution": app.home.institution, "institutions": verdicts}, people)


def _compare(known: object, pinned: str | None) -> str:
    if pinned is None:
        return "not pinned"
    return "pinned" if known == pinned else "DIFFERS from the pin" if known else "pinned, not enrolled there"


for command in (
    bedside,
    init,
    pin,
    keys,
    roster,
    consortium,
    study,
    design,
    model,
    definition,
    consent,
    subject,
    audit,
    training,
    predict_command,
    what_if_command,
    watch,
    cancel,
    open_command,
    disclose,
    fhir,
    records,
    escrow,
    dossier,
    verify_command,
    log,
):
    main.add_command(command)
