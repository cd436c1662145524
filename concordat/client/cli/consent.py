"""`concordat consent`: attest a person's consent, look at it, and say that it has ended."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click

from concordat import clock
from concordat.client import consents
from concordat.client.cli.common import FILE, App, Day, columns, resource
from concordat.client.cli.terminal import echo_json
from concordat.client.listed import ConsentAnswer
from concordat.consent import Capacity, Reconsent, Regained
from concordat.fields import plain


@click.group()
def consent() -> None:
    """Consents. The signed form stays here; a statement about it, under a pseudonym, goes to the coordinator."""


@consent.command()
@click.option("--fhir", type=FILE, help="All of it as a FHIR R4 Consent, instead of the options below.")
@click.option("--subject", type=click.UUID, help="The person's pseudonym.")
@click.option("--study", help="The study's short name.")
@click.option("--purpose", "purposes", multiple=True, help="May be given several times.")
@click.option("--form", type=FILE, help="The form that was signed; only its digest is sent.")
@click.option("--form-version", default="1", show_default=True, help="The version of the form.")
@click.option("--language", default="en", show_default=True, help="The language of the form, such as de or pt-BR.")
@click.option("--until", type=Day(ahead=True), help="The last day, UTC, or how long from today.")
@click.option(
    "--signer",
    type=click.Choice(["self", "parent", "representative"]),
    default="self",
    show_default=True,
    help="Who signed: the person, a parent, or a legally authorised representative.",
)
@click.option("--assent", type=FILE, help="With a parent: the child's own assent form; only its digest is sent.")
@click.option(
    "--reconsent",
    type=Day(ahead=True),
    help="The day on which the person decides for themself: with a parent the day of majority, which is required; with "
    "a representative the day on which capacity is expected back. From then on only the person's own consent counts.",
)
@click.pass_obj
def give(
    app: App,
    fhir: Path | None,
    subject: UUID | None,
    study: str | None,
    purposes: tuple[str, ...],
    form: Path | None,
    form_version: str,
    language: str,
    until: datetime | None,
    signer: Capacity,
    assent: Path | None,
    reconsent: datetime | None,
) -> None:
    """Attest that a person has consented, and print the consent's id.

    Give --fhir, or all of --subject, --study, --purpose, --form and --until.
    """
    stated = (subject, study, purposes, form, until)
    if fhir is not None:
        if any((*stated, assent, reconsent)):
            raise click.UsageError("The FHIR Consent says it all: leave the other options out.")
        with app.api("consents.write") as api:
            identifier = consents.give_fhir(app.home, api, resource(fhir, "Consent"))
    else:
        if not (subject and study and purposes and form and until):
            raise click.UsageError("Give --fhir, or all of --subject, --study, --purpose, --form and --until.")
        with app.api("consents.write") as api:
            identifier = consents.give(
                app.home,
                api,
                subject=str(subject),
                study=study,
                purposes=purposes,
                form=form.read_bytes(),
                version=form_version,
                language=language,
                until=until.replace(hour=23, minute=59, second=59, tzinfo=UTC),
                capacity=signer,
                assent=assent.read_bytes() if assent else None,
                reconsent=_reconsent(signer, reconsent),
            )
    app.answer({"consent": identifier}, lambda console: console.print(identifier))


@consent.command("list")
@click.option("--study", default="", help="Only those for this study, by its short name.")
@click.pass_obj
def list_command(app: App, study: str) -> None:
    """List the consents that this institution has handed in, from whichever machine, and where they stand.

    The coordinator's list does not say whose they are.
    """
    with app.api("consents.read") as api:
        found = api.lists.consents(study=study)
    rows = [(each["consent"], each["study"], _standing(each), ", ".join(each["purposes"])) for each in found]
    headings = ("consent", "study", "stands", "purposes")
    app.answer({"consents": found}, lambda console: columns(console, headings, rows))


@consent.command()
@click.argument("identifier")
@click.option("--fhir", is_flag=True, help="As a FHIR R4 Consent.")
@click.option("--recorded", is_flag=True, help="As the coordinator has recorded it, which does not say whose it is.")
@click.pass_obj
def show(app: App, identifier: str, fhir: bool, recorded: bool) -> None:
    """Show the consent IDENTIFIER that was given from here; with --fhir as a FHIR R4 Consent in JSON.

    With --recorded it may have been given from another machine of this institution.
    """
    if fhir and recorded:
        raise click.UsageError("Give one of --fhir and --recorded: the coordinator does not know whose consent it is.")
    if recorded:
        with app.api("consents.read") as api:
            standing = api.consent(identifier)
        app.answer(standing, lambda console: echo_json(standing, indent=2))
        return
    found = consents.kept(app.home, identifier)
    withdrawn = clock.rfc3339(found.withdrawn) if found.withdrawn else ""
    value = found.to_fhir() if fhir else {"statement": plain(found.statement), "withdrawn": withdrawn}

    app.answer(value, lambda console: echo_json(value, indent=2))


@consent.command()
@click.argument("identifier")
@click.pass_obj
def withdraw(app: App, identifier: str) -> None:
    """Say for the person that the consent IDENTIFIER is withdrawn: nothing more is computed or released."""
    with app.api("consents.write") as api:
        consents.withdraw(app.home, api, identifier)
    app.answer({"withdrawn": identifier}, lambda console: console.print(f"Withdrawn: {identifier}"))


@consent.command()
@click.argument("identifier")
@click.option("--why", type=click.Choice(["majority", "capacity"]), required=True, help="What lets the person decide.")
@click.pass_obj
def capacity(app: App, identifier: str, why: Regained) -> None:
    """Say that the person for whom another gave the consent IDENTIFIER has come of age, or decides for themself again.

    The consent ends at once, and from then on only the person's own is taken.
    """
    with app.api("consents.write") as api:
        consents.regained_capacity(app.home, api, identifier, why=why)
    app.answer({"lapsed": identifier}, lambda console: console.print(f"Lapsed: {identifier}"))


def _standing(found: ConsentAnswer) -> str:
    if found["withdrawn"]:
        return f"withdrawn {found['withdrawn']}"
    return f"lapsed {found['lapsed']}" if found["lapsed"] else f"until {found['until']}"


def _reconsent(signer: Capacity, day: datetime | None) -> Reconsent | None:
    if day is None:
        return None
    why: Regained = "majority" if signer == "parent" else "capacity"
    return {"on": clock.rfc3339(day.replace(tzinfo=UTC)), "why": why}
