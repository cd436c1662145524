"""`concordat consortium`: who belongs to it, and which contracts it keeps."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from concordat import canonical
from concordat.client import consortium as resolutions
from concordat.client.cli.common import App, write_new
from concordat.client.home import ClientHome
from concordat.creation import created
from concordat.fields import plain, read
from concordat.resolution import MembershipChange, Proposal, Resolution, Succession
from concordat.rpc import Rpc
from concordat.votes import Address

_RPC = click.option("--rpc", required=True, envvar="CONCORDAT_RPC", metavar="URL", help="A chain node that you trust.")


def _resolution(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what is resolved."""
    for option in (
        click.option("--last", type=int, default=0, help="Of a succession: the last head that is not void, by number."),
        click.option("--successor", metavar="HASH", help="The transaction that created the succeeding anchor log."),
        click.option("--quorum", type=int, help="How many members must approve from then on."),
        click.option("--leaving", metavar="ADDRESS", default="", help="The member that leaves."),
        click.option("--joining", metavar="ADDRESS", default="", help="The institution that joins."),
        _RPC,
    ):
        command = option(command)
    return command


@click.group()
def consortium() -> None:
    """Resolutions of the members: who belongs to the consortium, and which anchor log it keeps.

    Either name --quorum, with --joining or --leaving where members change, or name a --successor.
    """


@consortium.command()
@_resolution
@click.pass_obj
def show(app: App, /, rpc: str, **named: Any) -> None:
    """Show what a resolution would do, compared with the chain, and who approves it."""
    proposal = resolutions.propose(app.home, rpc, _named(**named))
    app.answer(_value(proposal), lambda console: _print(console, app.home, proposal))


@consortium.command()
@click.argument("transaction", metavar="HASH")
@_RPC
@click.pass_obj
def contract(app: App, transaction: str, rpc: str) -> None:
    """Show which contract the transaction HASH created, and with which arguments, before anybody relies on it.

    It is refused unless it is this version's own bytecode: the code at an address alone does not say in which state it
    was created.
    """
    made = created(Rpc(rpc), transaction)
    value = {"contract": type(made).__name__.removesuffix("Created"), **asdict(made)}

    def people(console: Console) -> None:
        for what, which in value.items():
            console.print(f"{what:<12} {', '.join(which) if isinstance(which, tuple) else which}", soft_wrap=True)

    app.answer(value, people)


@consortium.command()
@_resolution
@click.option("--against", is_flag=True, help="Take an approval back.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--vote", "file", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A new file.")
@click.pass_obj
def vote(app: App, /, rpc: str, against: bool, yes: bool, file: Path, **named: Any) -> None:
    """Sign a vote for a resolution with the chain key, into a file that anyone may relay within seven days."""
    proposal = resolutions.propose(app.home, rpc, _named(**named))
    if not (yes or app.machine):
        _print(app.progress, app.home, proposal)
        click.confirm("Take the approval back?" if against else "Approve it?", abort=True, err=True)
    signed = resolutions.vote(app.home, rpc, proposal, approve=not against)
    write_new(file, canonical.encode(plain(signed)))
    app.answer(
        {"vote": plain(signed)},
        lambda console: console.print(
            f"Vote {signed['nonce']} of {app.home.institution} is in {file}. Have it relayed."
        ),
    )


def _named(*, joining: str, leaving: str, quorum: int | None, successor: str | None, last: int) -> Resolution:
    mixed = (joining or leaving) if successor is not None else last
    if (quorum is None) == (successor is None) or mixed:
        raise click.UsageError(
            "Name either --quorum, with --joining or --leaving where members change, or --successor."
        )
    for address in filter(None, (joining, leaving)):
        read(address, Address)
    if successor is not None:
        return Succession(successor, last)
    assert quorum is not None
    return MembershipChange(joining, leaving, quorum)


def _value(proposal: Proposal) -> dict[str, Any]:
    return {
        "digest": proposal.digest,
        "facts": dict(proposal.facts),
        "approvals": proposal.approvals,
        "quorum": proposal.quorum,
        "carried": proposal.carried,
        "done": proposal.done,
    }


def _print(console: Console, home: ClientHome, proposal: Proposal) -> None:
    known = {address: slug for slug, address in home.pins.addresses.items()}
    table = Table(show_header=False, box=None, title=proposal.digest, title_justify="left")
    for what, which in proposal.facts:
        table.add_row(what, f"{which}  ({known[which]})" if which in known else which)
    for address, approves in proposal.approvals.items():
        table.add_row("approves" if approves else "not yet", f"{address}  ({known.get(address, 'not pinned here')})")
    console.print(table)
    count = sum(proposal.approvals.values())
    stands = "carried out" if proposal.done else "carried: anyone may carry it out" if proposal.carried else "open"
    console.print(f"{count} of {proposal.quorum} approvals needed; {stands}.")
