"""`concordat keys`: look at, rotate and revoke the institution's own keys."""

from datetime import datetime
from pathlib import Path

import click
from rich.console import Console

from concordat import clock
from concordat.client.cli.common import FILE, App, document
from concordat.client.keys import OwnKeys, post_change
from concordat.client.protection import passphrase_of, protect
from concordat.fields import plain
from concordat.key_change import GROUNDS, Ground, KeyChangeDocument, KeyHistory
from concordat.keystore import KINDS, Keystore, Kind
from concordat.signatures import SigningKey

KIND = click.argument("kind", type=click.Choice(KINDS))
GROUND = click.option("--ground", type=click.Choice(GROUNDS), default="rotation", show_default=True)
EFFECTIVE = click.option(
    "--effective",
    metavar="TIME",
    help="For a compromise: the time, like 2026-01-31T12:00:00Z, from which the old key is not believed.",
)
OFFLINE = click.option(
    "--offline",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A key folder with offline.pem, such as an attached medium; the institution's own folder if not given.",
)

AFTERWARDS: dict[Kind, str] = {
    "identity": "Restart the node. The others' nodes know the new key once they have run `pin --update`.",
    "offline": "Keep the new offline.pem off this machine, and sign a new roster with it.",
    "sealing": "Restart the node. What was sealed to the old key stays readable here: it is kept under its id.",
    "chain": (
        "Votes by the old address no longer count: vote again, revocations included. The registry contract still lists "
        "the old address; its members must replace it there, by their quorum."
    ),
    "client": (
        "Restart the node, and `concordat bedside work`: the key of their folder has to be the new one, or in the new "
        "set, for them to sign in."
    ),
}


@click.group()
def keys() -> None:
    """The institution's own keys. A change is signed by the offline key and recorded in the log."""


@keys.command()
@click.pass_obj
def show(app: App) -> None:
    """Every key that the institution ever had, as its own pins know them."""
    known = described(_own(app).history)
    app.answer({"keys": known}, lambda console: _print(console, known))


@keys.command()
@KIND
@GROUND
@EFFECTIVE
@OFFLINE
@click.pass_obj
def rotate(app: App, kind: Kind, ground: Ground, effective: str | None, offline: Path | None) -> None:
    """Replace the key KIND by a new one."""
    key = offline_key(app.home.keys, offline, app.passphrase)
    _tell(app, _own(app).rotate(kind, ground=ground, effective=_time(effective), offline=key))


@keys.command()
@KIND
@GROUND
@EFFECTIVE
@OFFLINE
@click.pass_obj
def revoke(app: App, kind: Kind, ground: Ground, effective: str | None, offline: Path | None) -> None:
    """Revoke the key KIND without a successor; `rotate` may give it one later."""
    key = offline_key(app.home.keys, offline, app.passphrase)
    _tell(app, _own(app).revoke(kind, ground=ground, effective=_time(effective), offline=key))


@keys.command("protect")
@click.pass_obj
def protect_command(app: App) -> None:
    """Encrypt the keys that are here; the operating system's keyring opens them from now on. Cut off, give it again.

    If they are encrypted already, give their passphrase by --passphrase-file before the command.
    """
    protect(app.home.directory / "keys", app.passphrase)
    said = "The keys are encrypted, and this machine's keyring opens them. Keep a copy: `concordat keys passphrase`."
    app.answer({"protected": True}, lambda console: console.print(said, soft_wrap=True))


@keys.command()
@click.pass_obj
def passphrase(app: App) -> None:
    """Print the passphrase that the keyring holds, for a safe: with it the keys open where the keyring is not."""
    found = passphrase_of(app.home.directory / "keys")
    if found is None:
        raise click.UsageError("The keyring has no part in these keys; `concordat keys protect` gives it one.")
    app.answer({"passphrase": found}, lambda console: click.echo(found))


@keys.command("sign-in")
@click.option("--jwks-url", metavar="URL", help="An https address at which the institution publishes its JWKS.")
@click.option(
    "--jwk",
    metavar="FILE",
    type=FILE,
    help="A public JWK of another system, P-384 with ES384 or RSA with RS384; or a JWK Set of several.",
)
@GROUND
@EFFECTIVE
@OFFLINE
@click.pass_obj
def sign_in(
    app: App, jwks_url: str | None, jwk: Path | None, ground: Ground, effective: str | None, offline: Path | None
) -> None:
    """Let a key of another system sign in, or those of a set, in place of the last client key."""
    if (jwks_url is None) == (jwk is None):
        raise click.UsageError("Name either --jwks-url or --jwk.")
    public = {"jwks_url": jwks_url} if jwk is None else document(jwk, "--jwk", "public JWK or set of them")
    key = offline_key(app.home.keys, offline, app.passphrase)
    _tell(app, _own(app).name_client(public, ground=ground, effective=_time(effective), offline=key))


@keys.command()
@click.pass_obj
def resume(app: App) -> None:
    """Finish a change that was cut off."""
    _tell(app, _own(app).resume())


def offline_key(own: Keystore, folder: Path | None, passphrase: str | None) -> SigningKey:
    """The offline key in `folder`, or else in our own keystore. Raises Refused(KEYSTORE_UNSAFE)."""
    return (Keystore(folder, passphrase) if folder else own).offline


def described(history: KeyHistory) -> list[dict[str, str]]:
    """Every key: kind, id, since when, and how it ended."""
    return [
        {
            "kind": key.kind,
            "key_id": key.key_id,
            "since": clock.rfc3339(key.since),
            "ended": f"{key.ended.document['ground']} {key.ended.document['effective']}" if key.ended else "",
        }
        for key in history.keys
    ]


def _own(app: App) -> OwnKeys:
    home = app.home
    return OwnKeys(home.directory, home.institution, home.keys, post_change(home.config["coordinator"]))


def _time(text: str | None) -> datetime | None:
    return clock.parse(text) if text else None


def _tell(app: App, change: KeyChangeDocument) -> None:
    kind = change["replaces"]["kind"]
    said = [f"Key change {change['sequence']} is recorded: {kind}, {change['ground']}."]
    said += [] if change["key"] is None else [AFTERWARDS[kind]]

    def people(console: Console) -> None:
        for line in said:
            console.print(line, soft_wrap=True)

    app.answer({"change": dict(plain(change))}, people)


def _print(console: Console, known: list[dict[str, str]]) -> None:
    for key in known:
        console.print(f"{key['kind']:<9} {key['key_id']:<44} since {key['since']}  {key['ended']}")
