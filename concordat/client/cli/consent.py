"""`concordat consent`: attest a person's consent, and their withdrawal."""

from datetime import UTC, datetime
from pathlib import Path

import click

from concordat.client import governance
from concordat.client.cli.common import App

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def consent() -> None:
    """Consents. The signed form stays here; a statement about it, under a pseudonym, goes to the coordinator."""


@consent.command()
@click.option("--subject", required=True, type=click.UUID, help="The person's pseudonym.")
@click.option("--study", required=True, help="The study's short name.")
@click.option("--purpose", "purposes", required=True, multiple=True, help="May be given several times.")
@click.option("--form", required=True, type=_FILE, help="The form that was signed; only its digest is sent.")
@click.option("--until", required=True, type=click.DateTime(["%Y-%m-%d"]), help="The last day, UTC.")
@click.option("--language", default="en", show_default=True, help="The language of the form.")
@click.option("--signer", default="self", show_default=True, help="Who signed: self, or in which capacity.")
@click.pass_obj
def give(
    app: App,
    subject: object,
    study: str,
    purposes: tuple[str, ...],
    form: Path,
    until: datetime,
    language: str,
    signer: str,
) -> None:
    """Attest that a person has consented, and print the consent's id."""
    with app.api("consents.write") as api:
        identifier = governance.give_consent(
            app.home,
            api,
            subject=str(subject),
            study=study,
            purposes=purposes,
            form=form.read_bytes(),
            language=language,
            signer=signer,
            until=until.replace(hour=23, minute=59, second=59, tzinfo=UTC),
        )
    app.answer({"consent": identifier}, lambda console: console.print(identifier))


@consent.command()
@click.argument("identifier")
@click.pass_obj
def withdraw(app: App, identifier: str) -> None:
    """Say for the person that the consent IDENTIFIER is withdrawn: nothing more is computed or released."""
    with app.api("consents.write") as api:
        governance.withdraw_consent(app.home, api, identifier)
    app.answer({"withdrawn": identifier}, lambda console: console.print(f"Withdrawn: {identifier}"))
