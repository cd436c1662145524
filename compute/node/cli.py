"""`concordat-node`: set a node up, pin the others, run it."""

import sys
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import click

from compute.engine.runner import LOOPBACK
from compute.node import app
from compute.node.coordinator import key_changes, owner_session
from compute.node.data import report
from compute.node.home import NodeHome
from compute.node.opened import OpenedNumbers
from compute.node.witness import Heads
from concordat import clock, cosignature, note
from concordat.client.api import Api
from concordat.client.cli.common import FILE, feature_schema
from concordat.client.cli.home import whose
from concordat.client.cli.keys import AFTERWARDS, EFFECTIVE, GROUND, KIND, OFFLINE, offline_key
from concordat.client.home import ClientHome
from concordat.client.keys import OwnKeys, post_change
from concordat.enrolment import ROLES
from concordat.key_change import Ground, KeyChangeDocument
from concordat.keystore import Kind
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
@click.option("--mesh", default=LOOPBACK, show_default=True, help="This machine's IPv4 address for the other nodes.")
def init(
    directory: Path,
    slug: str,
    name: str,
    jurisdiction: str,
    roles: tuple[str, ...],
    coordinator: str,
    broker: str,
    rpc: str,
    mesh: str,
) -> None:
    """Generate the keys and print the signed enrolment, for the coordinator to enrol and the others to pin.

    The folder serves `concordat --home` as well, for votes, rosters and keys.
    """
    home = NodeHome.create(
        directory,
        {"institution": slug, "coordinator": coordinator, "broker": broker, "rpc": rpc, "mesh": mesh},
        name=name,
        jurisdiction=jurisdiction,
        roles=[role for role in ROLES if role in roles],
    )
    ClientHome.create(directory, {"institution": slug, "coordinator": coordinator})
    click.echo(home.enrolment)


@cli.command()
@HOME
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--update", is_flag=True, help="Fetch the institutions' signed key changes, and pin those that verify.")
def pin(directory: Path, file: BinaryIO | None, update: bool) -> None:
    """Install the pins in FILE, and print whose keys they are, to be compared with their owners by telephone.

    With --update instead of FILE: each change counts only if the offline key that is pinned here signed it. A node
    that runs heeds the new pins at once.
    """
    if update is (file is not None):
        raise click.UsageError("Either FILE or --update.")
    home = NodeHome(directory)
    pins = home.pin(file.read()) if file is not None else home.update_pins(key_changes(home))
    for owner, key in whose(pins).items():
        click.echo(f"{owner}\t{key}")


@cli.group()
def keys() -> None:
    """The institution's own keys; `concordat keys` does the same in a folder with a client.json."""


@keys.command()
@HOME
@KIND
@GROUND
@EFFECTIVE
@OFFLINE
def rotate(directory: Path, kind: Kind, ground: Ground, effective: str | None, offline: Path | None) -> None:
    """Replace the key KIND by a new one."""
    home = NodeHome(directory)
    key, since = offline_key(home.keys, offline, None), clock.parse(effective) if effective else None
    _tell(_own(home).rotate(kind, ground=ground, effective=since, offline=key))


@keys.command()
@HOME
@KIND
@GROUND
@EFFECTIVE
@OFFLINE
def revoke(directory: Path, kind: Kind, ground: Ground, effective: str | None, offline: Path | None) -> None:
    """Revoke the key KIND without a successor; `rotate` may give it one later."""
    home = NodeHome(directory)
    key, since = offline_key(home.keys, offline, None), clock.parse(effective) if effective else None
    _tell(_own(home).revoke(kind, ground=ground, effective=since, offline=key))


@keys.command()
@HOME
def resume(directory: Path) -> None:
    """Finish a change that was cut off."""
    _tell(_own(NodeHome(directory)).resume())


def _own(home: NodeHome) -> OwnKeys:
    return OwnKeys(home.directory, home.institution, home.keys, post_change(home.settings["coordinator"]))


def _tell(document: KeyChangeDocument) -> None:
    kind = document["replaces"]["kind"]
    click.echo(f"Key change {document['sequence']} is recorded: {kind}, {document['ground']}.")
    if document["key"] is not None:
        click.echo(AFTERWARDS[kind])


@cli.command()
@HOME
def check(directory: Path) -> None:
    """Say whether keys, pins, policy and the engines' address are in order."""
    home = NodeHome(directory)
    home.keys.load()
    home.check_mesh()
    _ = home.pins, home.policy
    click.echo("The node's home is in order.")
    if "offline" in home.keys.kinds:
        click.echo(
            "Warning: offline.pem is still here. Whoever takes over this machine could sign new keys and officers in "
            "the institution's name. Move it away; a node never needs it.",
            err=True,
        )


@cli.group()
def data() -> None:
    """The institution's own data: what its node may use, by data.json."""


@data.command("check")
@HOME
@click.option("--schema", "file", type=FILE, help="A feature schema.")
@click.option("--cohort", type=click.IntRange(0), help="Its cohort_definition_id, which data.json lists.")
def check_data(directory: Path, file: Path | None, cohort: int | None) -> None:
    """Connect to the source, and name its tables. With --schema and --cohort: find the schema's codes, and count in how
    many of the cohort's rows each feature has a value. Only counts are printed, and none below five."""
    if (file is None) is not (cohort is None):
        raise click.UsageError("Give --schema and --cohort together.")
    schema = feature_schema(file, "--schema") if file is not None else None
    for line in report(directory, schema, cohort):
        click.echo(line)


@cli.command()
@HOME
def opened(directory: Path) -> None:
    """List how many numbers this node has helped to open, by model and requester: enough of them are the model."""
    for model, requester, scalars in OpenedNumbers(NodeHome(directory).state).totals():
        click.echo(f"{model}\t{requester}\t{scalars}")


@cli.command()
@HOME
def witness(directory: Path) -> None:
    """Show this node as a witness of the log: its verifier key (C2SP), the head it cosigned last, and every head that
    the log's key signed and that did not extend what was cosigned. The exit status is 1 if there is one."""
    home = NodeHome(directory)
    origin, heads = home.pins.log_origin, Heads(home.state)
    name, key = cosignature.name_of(origin, home.institution), home.keys.identity.public
    seen, contradictions = heads.last(origin), heads.contradictions()
    click.echo(f"verifier key\t{note.vkey(name, note.SignatureType.COSIGNATURE, key)}")
    click.echo(f"cosigned last\t{seen.size} entries\t{seen.root.hex()}")
    for each in contradictions:
        click.echo(f"\nContradiction of {each.time}. This was cosigned here:\n\n{each.cosigned}", err=True)
        click.echo(f"And this was refused ({each.reason}):\n\n{each.refused}", err=True)
    sys.exit(1 if contradictions else 0)


@cli.command()
@HOME
@click.argument("job", type=click.UUID)
def replay(directory: Path, job: UUID) -> None:
    """As the owner of JOB's model, find out which node departed from the protocol, and hand the finding in: or that the
    requester's alarm was false.

    For a job whose canary came back wrong, when all its nodes have testified.
    """
    from compute.node.finding import find  # torch, which no other command needs

    home = NodeHome(directory)
    home.update_pins(key_changes(home))  # else a key that we have changed since looks like somebody else's
    with owner_session(home) as session:
        departures = find(home, Api(session), str(job))
    for each in departures:
        click.echo(f"{each['node']}: {each['act']}" + (f", round {each['round']}" if each["round"] else ""))
    if not departures:
        click.echo("Nobody departed from the protocol: the canary's known result was wrong. Seal new canaries.")


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
