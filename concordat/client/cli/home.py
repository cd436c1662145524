"""`concordat init` and `pin`: an institution's folder, its keys, and whom it believes."""

from typing import BinaryIO

import click
from rich.console import Console

from concordat.client.cli.common import App
from concordat.client.home import ClientHome
from concordat.client.protection import new_passphrase
from concordat.enrolment import ROLES
from concordat.files import about
from concordat.key_change import KeyHistory
from concordat.pins import Pins


@click.command()
@click.option("--slug", required=True, help="The institution's short name: lower-case letters, digits, hyphens.")
@click.option("--name", required=True, help="The institution's full name.")
@click.option("--jurisdiction", required=True, help="Two-letter code of the country whose law applies, such as CH.")
@click.option(
    "--roles", type=click.Choice(ROLES), multiple=True, default=["requester"], show_default=True, help="Repeatable."
)
@click.option("--coordinator", required=True, help="Its address, such as https://concordat.example.org")
@click.option("--witnessed", is_flag=True, help="Show no result before enough witnesses of the log have cosigned it.")
@click.option("--keyring", is_flag=True, help="Encrypt the keys; the operating system's keyring opens them.")
@click.pass_obj
def init(
    app: App,
    slug: str,
    name: str,
    jurisdiction: str,
    roles: tuple[str, ...],
    coordinator: str,
    witnessed: bool,
    keyring: bool,
) -> None:
    """Make the folder of an institution without a node, and print its enrolment for the others to enrol and pin."""
    if keyring and app.passphrase:
        raise click.UsageError("Either --keyring or --passphrase-file.")
    passphrase = new_passphrase(app.home.directory / "keys") if keyring else app.passphrase
    token = ClientHome.found(
        app.folder,
        {"institution": slug, "coordinator": coordinator, "witnessed": witnessed},
        name=name,
        jurisdiction=jurisdiction,
        roles=[role for role in ROLES if role in roles],
        passphrase=passphrase,
    )
    app.answer({"enrolment": token}, lambda console: click.echo(token))


@click.command()
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--update", is_flag=True, help="Fetch the institutions' signed key changes, and pin those that verify.")
@click.pass_obj
def pin(app: App, file: BinaryIO | None, update: bool) -> None:
    """Install the pins in FILE, and print whose keys they are, to be compared with their owners by telephone.

    With --update instead of FILE: each change counts only if the offline key that is pinned here signed it.
    """
    if update is (file is not None):
        raise click.UsageError("Either FILE or --update.")
    if file is not None:
        with about(file.name):
            pins = app.home.pin(file.read())
    else:
        with app.api("institutions.read") as api:
            pins = app.home.update_pins(api.lists.key_changes())
    value = {"keys": whose(pins)}

    def people(console: Console) -> None:
        for owner, key in value["keys"].items():
            click.echo(f"{owner}\t{key}")

    app.answer(value, people)


def described(history: KeyHistory) -> str:
    """The live identity key and chain address of an institution, and how many key changes led to them."""
    live = [history.live("identity"), history.live("chain")]
    identity, chain = (key.key_id if key else "REVOKED" for key in live)
    since = f"\tafter {history.sequence} key changes" if history.sequence else ""
    return f"identity {identity}\tchain {chain}{since}"


def whose(pins: Pins) -> dict[str, str]:
    """Key ids and addresses by owner."""
    keys = {slug: described(history) for slug, history in sorted(pins.histories.items())}
    return keys | {"coordinator": f"identity {pins.coordinator.kid}"}
