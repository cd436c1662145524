"""`concordat-node`: set a node up, pin the others, run it."""

import sys
from pathlib import Path
from typing import BinaryIO

import click

from compute.node import app
from compute.node.home import NodeHome
from concordat.enrolment import ROLES
from concordat.reasons import Refused

HOME = click.option("--home", "directory", type=click.Path(path_type=Path), required=True, help="The node's folder.")


@click.group()
def cli() -> None:
    """An institution's own worker in a Concordat consortium."""


@cli.command()
@HOME
@click.option("--slug", required=True, help="The institution's short name: lower-case letters, digits, hyphens.")
@click.option("--name", required=True, help="The institution's full name.")
@click.option("--jurisdiction", required=True, help="Two-letter code of the country whose law applies, such as CH.")
@click.option("--roles", type=click.Choice(ROLES), multiple=True, required=True, help="May be given several times.")
@click.option("--coordinator", default="http://localhost:8000", show_default=True)
@click.option("--broker", default="redis://localhost:6379/0", show_default=True)
@click.option("--rpc", default="http://127.0.0.1:8545", show_default=True, help="JSON-RPC of the chain.")
def init(
    directory: Path,
    slug: str,
    name: str,
    jurisdiction: str,
    roles: tuple[str, ...],
    coordinator: str,
    broker: str,
    rpc: str,
) -> None:
    """Generate the keys and print the signed enrolment, for the coordinator to enrol and the others to pin."""
    home = NodeHome.create(
        directory,
        {"institution": slug, "coordinator": coordinator, "broker": broker, "rpc": rpc},
        name=name,
        jurisdiction=jurisdiction,
        roles=[role for role in ROLES if role in roles],
    )
    click.echo(home.enrolment)


@cli.command()
@HOME
@click.argument("file", type=click.File("rb"))
def pin(directory: Path, file: BinaryIO) -> None:
    """Install the pins in FILE, and print whose keys they are, to be compared with their owners by telephone."""
    pins = NodeHome(directory).pin(file.read())
    for slug, enrolment in sorted(pins.enrolments.items()):
        click.echo(f"{slug}\tidentity {enrolment.identity.kid}\tchain {enrolment.chain}")
    click.echo(f"coordinator\tidentity {pins.coordinator.kid}")


@cli.command()
@HOME
def check(directory: Path) -> None:
    """Say whether keys, pins and policy are in order."""
    home = NodeHome(directory)
    home.keys.load()
    _ = home.pins, home.policy
    click.echo("The node's home is in order.")
    if "offline" in home.keys.kinds:
        click.echo(
            "Warning: offline.pem is still here. Whoever takes over this machine could sign new keys and officers in "
            "the institution's name. Move it away; a node never needs it.",
            err=True,
        )


@cli.command()
@HOME
def run(directory: Path) -> None:
    """Work until told to stop."""
    app.run(NodeHome(directory))


def main() -> None:
    """The command line, with refusals as sentences."""
    try:
        cli(prog_name="concordat-node")
    except Refused as refused:
        sentence = f"{refused.field}: {refused.detail}" if refused.field else refused.detail
        click.echo(f"{sentence.removesuffix('.')}. {refused.info.remedy}", err=True)
        sys.exit(1)
