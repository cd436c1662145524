"""`concordat subject`: what a person may ask their institution for, under the pseudonym that it uses for them."""

from datetime import datetime
from pathlib import Path

import click
from rich.console import Console

from concordat import accounting
from concordat.canonical import encode
from concordat.client.cli.common import App, Day, write_new
from concordat.fields import plain

_GROUNDS = ("no-longer-needed", "consent-withdrawn", "objection", "unlawful", "legal-obligation")


@click.group()
def subject() -> None:
    """People, each under the pseudonym that this institution uses for them."""


@subject.command()
@click.argument("pseudonym", type=click.UUID)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def export(app: App, pseudonym: object, file: Path) -> None:
    """Write everything that the coordinator holds on a person (GDPR Article 15) into FILE, as JSON."""
    with app.api("subjects.read") as api:
        write_new(file, encode(api.export_subject(str(pseudonym))))
    app.answer({"file": str(file)}, lambda console: console.print(f"Written: {file}"))


@subject.command()
@click.argument("pseudonym", type=click.UUID)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--asked", type=Day(), help="The day on which the person asked; today if not given.")
@click.option("--since", type=Day(), help="The first day, of a shorter period than six years.")
@click.option("--until", type=Day(), help="Its last day.")
@click.option("--pdf", type=click.Path(dir_okay=False, path_type=Path), help="Write it on paper, too.")
@click.pass_obj
def disclosures(
    app: App,
    pseudonym: object,
    file: Path,
    asked: datetime | None,
    since: datetime | None,
    until: datetime | None,
    pdf: Path | None,
) -> None:
    """Write the account of what was disclosed of a person (45 CFR 164.528) into FILE, as JSON."""
    days = {"asked": asked, "since": since, "until": until}
    with app.api("subjects.read") as api:
        found = api.account(str(pseudonym), **{name: f"{day:%Y-%m-%d}" for name, day in days.items() if day})
    files = [file, *([pdf] if pdf else [])]
    write_new(file, encode(plain(found)))
    if pdf:
        write_new(pdf, accounting.pdf(found))
    app.answer(
        {"files": [str(each) for each in files], "disclosures": len(found["disclosures"])},
        lambda console: console.print("\n".join(f"Written: {each}" for each in files), soft_wrap=True),
    )


@subject.command()
@click.argument("pseudonym", type=click.UUID)
@click.option("--ground", required=True, type=click.Choice(_GROUNDS), help="Of GDPR Article 17(1).")
@click.confirmation_option(prompt="This cannot be undone. Erase?")
@click.pass_obj
def erase(app: App, pseudonym: object, ground: str) -> None:
    """Have a person erased (GDPR Article 17): proofs stay, and say nothing any more."""
    with app.api("subjects.erase") as api:
        erased = api.erase_subject(str(pseudonym), ground=ground)
    app.answer(erased, lambda console: console.print(f"Erased; recorded as {erased['record']}."))


@subject.command()
@click.pass_obj
def erasures(app: App) -> None:
    """Which decisions' people were erased since we were given something of them: destroy it, or know why not."""
    with app.api("dossiers.read") as api:
        found = api.lists.erasures()

    def people(console: Console) -> None:
        for each in found:
            console.print(f"{each['told']}  erased as {each['destroyed']}: {', '.join(each['records'])}")

    app.answer({"erasures": found}, people)
