"""`concordat escrow` and `records`: to whom decisions are sealed, and how they are reopened."""

from pathlib import Path

import click
from rich.console import Console

from concordat import escrow as shares
from concordat.canonical import digest
from concordat.client import escrow as ceremonies
from concordat.client.cli.common import FILE, App, write_new
from concordat.client.cli.keys import OFFLINE, offline_key
from concordat.client.packages import check_kept
from concordat.escrow import OfficerShare
from concordat.fields import plain, read
from concordat.files import about
from concordat.keystore import Keystore
from concordat.package import read_package
from concordat.sealing import sealing_key_id
from concordat.signatures import peek

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_NEW = click.Path(dir_okay=False, path_type=Path)
_SHARES = click.option("--share", "files", type=FILE, multiple=True, required=True, help="An officer's. Repeatable.")


@click.group()
def escrow() -> None:
    """Officers who together reopen decisions, any k of n. Use a machine without a network."""


@escrow.command()
@click.option("--officer", "officers", multiple=True, required=True, help="A short name. Repeatable, in order.")
@click.option("--threshold", required=True, type=int, help="How many of them open together; two at least.")
@click.option(
    "--shares", "folder", type=_FOLDER, required=True, help="Where the officers' files go; then separate them."
)
@click.option(
    "--keys", type=click.Path(file_okay=False, path_type=Path), required=True, help="The records key's folder."
)
@click.option("--new-records-key", is_flag=True, help="Replace the records key; the old one is kept in retired/.")
@OFFLINE
@click.pass_obj
def create(
    app: App,
    officers: tuple[str, ...],
    threshold: int,
    folder: Path,
    keys: Path,
    new_records_key: bool,
    offline: Path | None,
) -> None:
    """Make a new escrow, and the records key if there is none; the offline key signs who holds them.

    Each officer types a passphrase for the own share. From then on every decision is sealed to both.
    """
    shares.check_wanted(officers, threshold)  # before anybody types a passphrase
    passphrases = {
        officer: click.prompt(f"Passphrase of {officer}", hide_input=True, confirmation_prompt=True, err=True)
        for officer in officers
    }
    try:
        made, written = ceremonies.found(
            app.home,
            keys=Keystore(keys, app.passphrase),
            shares=folder,
            passphrases=passphrases,
            threshold=threshold,
            offline=offline_key(app.home.keys, offline, app.passphrase),
            rotate=new_records_key,
        )
    except OSError as error:
        raise click.UsageError(f"{error.filename}: {error.strerror}") from error
    value = {
        "escrow": sealing_key_id(made["escrow"]["key"]),
        "records": sealing_key_id(made["records"]),
        "shares": [str(file) for file in written],
    }

    def people(console: Console) -> None:
        console.print(f"Escrow {value['escrow']}: {threshold} of {len(officers)} officers.")
        console.print(f"Records key {value['records']}.")
        for file in written:
            console.print(f"Written: {file}", soft_wrap=True)

    app.answer(value, people)


@escrow.command("open")
@click.argument("package", type=FILE)
@click.argument("file", type=_NEW)
@_SHARES
@click.pass_obj
def open_command(app: App, package: Path, file: Path, files: tuple[Path, ...]) -> None:
    """Open PACKAGE with officers' shares, and write what it holds to FILE. The key is whole in memory only."""
    sealed = package.read_bytes()
    with about(package):
        read_package(sealed)
    unlocked = _unlocked(files)
    with about(package):
        content = ceremonies.open_by_officers(read_package(sealed), unlocked)
    _written(app, file, content, sealed)


@escrow.command()
@_SHARES
@click.option("--keys", type=_FOLDER, help="Try the records key in this folder as well.")
@click.pass_obj
def drill(app: App, files: tuple[Path, ...], keys: Path | None) -> None:
    """Prove that the shares open a canary package and that one too few do not, and keep the signed finding."""
    folder = Keystore(keys, app.passphrase) if keys else None
    finding, kept = ceremonies.drill(app.home, _unlocked(files), folder)
    said = read(peek(finding)[1], ceremonies.Drill)
    sentence = f"{', '.join(said['officers'])} opened a canary package on {said['time']}; one fewer than needed cannot."
    app.answer(
        {"drill": dict(plain(said)), "file": str(kept)},
        lambda console: console.print(f"{sentence}\nWritten: {kept}", soft_wrap=True),
    )


@click.group()
def records() -> None:
    """What reopens a decision of ours when the machine that asked for it is gone."""


@records.command()
@click.argument("record")
@click.argument("folder", type=_FOLDER)
@click.pass_obj
def fetch(app: App, record: str, folder: Path) -> None:
    """Fetch the packages of the decision RECORD, such as C-0000042-3, into FOLDER. The log says that we did."""
    with app.api("predictions.read records.read") as api:
        asked = api.prediction_of(record)
        found = api.packages(asked["prediction"])
    for each in found:
        check_kept(app.home, asked["request"], each)
    written = [folder / f"{record}.{each['stage']}.package" for each in found]
    for file, each in zip(written, found, strict=True):
        write_new(file, each["package"].encode())
    value = {"files": [str(file) for file in written], "entries": [each["entry"] for each in found]}
    lines = "\n".join(f"Written: {file}" for file in written)
    app.answer(value, lambda console: console.print(lines, soft_wrap=True))


@records.command("open")
@click.argument("package", type=FILE)
@click.argument("file", type=_NEW)
@click.option("--keys", type=_FOLDER, required=True, help="The records key's folder, retired keys included.")
@click.pass_obj
def open_by_key(app: App, package: Path, file: Path, keys: Path) -> None:
    """Open PACKAGE with the records key, and write what it holds to FILE."""
    sealed = package.read_bytes()
    with about(package):
        content = ceremonies.open_by_records_key(read_package(sealed), Keystore(keys, app.passphrase))
    _written(app, file, content, sealed)


def _unlocked(files: tuple[Path, ...]) -> list[OfficerShare]:
    """The shares, each by the passphrase that its officer types."""
    found = []
    for file in files:
        with about(file):
            found.append((file, shares.read_share(file.read_bytes())))
    unlocked = []
    for file, each in found:
        passphrase = click.prompt(f"Passphrase of {each['officer']}", hide_input=True, err=True)
        with about(file):
            unlocked.append(shares.unlock(each, passphrase))
    return unlocked


def _written(app: App, file: Path, content: bytes, sealed: bytes) -> None:
    """Say which package it was: the log's entry `record.sealed` names the same digest."""
    write_new(file, content)
    name = digest(sealed)
    app.answer(
        {"file": str(file), "package": name},
        lambda console: console.print(f"Written: {file}\nPackage {name}", soft_wrap=True),
    )
