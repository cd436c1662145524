"""`concordat dossier` and `concordat verify`: fetch a decision's dossier, and check it against what is pinned here."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from concordat import record_number
from concordat.client.cli.common import FILE, App, write_new
from concordat.client.home import ClientHome
from concordat.files import about
from concordat.reasons import Refused
from concordat.verifier import bundle, given, verify
from concordat.verifier.case import Case
from concordat.verifier.evidence import UNREADABLE, Evidence

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("record")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def dossier(app: App, record: str, file: Path) -> None:
    """Fetch the dossier of the decision RECORD (such as C-0000042-3) into FILE, a zip file."""
    record_number.parse(record)  # a typing error shows before anything is sent
    with app.api("dossiers.read") as api:
        content = api.dossier(record)
    write_new(file, content)
    app.answer({"file": str(file)}, lambda console: console.print(f"Written: {file}"))


@click.command("verify")
@click.argument("file", type=FILE)
@click.option("--disclosure", type=FILE, help="The requester's disclosure of the result.")
@click.option("--rpc", metavar="URL", help="Also ask this chain endpoint (JSON-RPC).")
@click.option("--witnessed", is_flag=True, help="Too few witnesses of the log are a failure.")
@click.option(
    "--replay",
    type=FILE,
    metavar="MODEL",
    help="The model, from its owner: compute the disclosed record's result again and compare. Needs --disclosure.",
)
@click.option("--tsa", type=FILE, help="Root certificate (PEM) of the time-stamping authority that you trust.")
@click.option("--log", type=_FOLDER, metavar="FOLDER", help="A copy of the log (concordat log fetch).")
@click.option("--anchor-log", metavar="ADDRESS", help="The consortium's anchor log that you know. Needs --rpc.")
@click.pass_context
def verify_command(context: click.Context, /, file: Path, **brought: Any) -> None:
    """Verify the dossier FILE off line, with the keys that are pinned here.

    Exit code 1 if a check failed, 2 if FILE is no dossier, 75 if the chain that --rpc names gave no answer.
    """
    app: App = context.obj
    try:
        data = file.read_bytes()
        with about(file.name):
            bundle.check_is_dossier(data)
        options = given.options(keys=_pinned(app.home, data), **brought)
    except OSError as error:
        raise click.UsageError(f"{error.filename}: {error.strerror}") from error
    except Refused as refused:
        if refused.field not in brought:
            raise
        raise click.UsageError(f"--{refused.field.replace('_', '-')}: {refused.detail}") from None
    result = verify(data, options)

    def people(console: Console) -> None:
        for check in result.checks:
            console.print(f"{check.status:<14} {check.name:<16} {check.sentence}")
        said = given.verdict(result)
        console.print(f"{said[0].upper()}{said[1:]}.")

    app.answer(result.to_json(), people)
    context.exit(given.exit_status(result, options))


def _pinned(home: ClientHome, data: bytes) -> dict[str, str]:
    """The key ids that we trust, of the log and of every institution in the dossier. Raises Refused(KEY_UNKNOWN)."""
    named: Mapping[str, Collection[str]] = {}
    try:
        named = Case(Evidence.load(bundle.unpack(data))).identities
    except (Refused, *UNREADABLE):
        pass  # the verifier says what is wrong with it
    pinned = {slug: _known(home, slug, held) for slug, held in named.items()}
    return {"log": home.pins.coordinator.kid, **pinned}


def _known(home: ClientHome, institution: str, held: Collection[str]) -> str:
    """The newest identity key that we pinned, and that the dossier knows already or still; else the live one."""
    believed = [key.key_id for key in home.pins.history(institution).believed("identity")]
    return next((key_id for key_id in reversed(believed) if key_id in held), home.pins.identity(institution).kid)
