"""`concordat bedside`: results where decisions are made, computed ahead of time."""

import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click

from concordat.bedside import config as configuration
from concordat.bedside import documents, record
from concordat.bedside.config import Config
from concordat.bedside.items import Items
from concordat.bedside.receipts import Receipts
from concordat.bedside.store import Store
from concordat.bedside.worker import Worker
from concordat.client.cli.common import App
from concordat.display import RETRACTIONS
from concordat.reasons import Reason, Refused

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SCOPES = "definitions.read predictions.read predictions.write ledger.read"
_TIME = click.DateTime(["%Y-%m-%dT%H:%M:%SZ"])


@click.group()
def bedside() -> None:
    """Show results in the health record and to clinicians, from this machine."""


@bedside.command()
@click.option("--person", required=True, type=click.UUID, metavar="UUID", help="Who decides with the result.")
@click.option(
    "--patient", default="", help="The patient's FHIR id in the health record, where the record does not say it."
)
@click.option("--consent", default="", help="Id of the consent, where that is the legal ground.")
@click.option("--subject", type=click.UUID, help="The person's pseudonym, where the legal ground is not consent.")
@click.option("--fhir", type=_FILE, help="The record as a FHIR R4 Bundle of one patient.")
@click.option("--json", "values", type=_FILE, help="The record as a JSON object of values by feature; needs --taken.")
@click.option("--taken", type=_TIME, help="When the values of --json were taken, UTC, as 2026-01-31T12:00:00Z.")
@click.pass_obj
def enqueue(
    app: App,
    person: UUID,
    patient: str,
    consent: str,
    subject: UUID | None,
    fhir: Path | None,
    values: Path | None,
    taken: datetime | None,
) -> None:
    """Ask ahead of time for a patient's prediction, and print the request's id. The worker does the rest.

    The same record asked for twice is computed once.
    """
    if (fhir is None) == (values is None):
        raise click.UsageError("Give the record by exactly one of --fhir and --json.")
    if (values is None) != (taken is None):
        raise click.UsageError("Say with --taken when the values of --json were taken; a Bundle says it itself.")
    config, store = _open(app)
    known = documents.kept(store, config["definition"])
    if known is None:
        with app.api(_SCOPES) as api:
            known = documents.fetch(app.home, api, store, config["definition"])
    if fhir is not None:
        read = record.read_fhir(fhir, known.schema)
    else:
        assert values is not None
        assert taken is not None
        read = record.read_values(values, known.schema, taken=taken.replace(tzinfo=UTC))
    if not (patient or read.patient):
        raise click.UsageError("The record does not say whose it is: name the patient with --patient.")
    known.schema.encode_row(read.values)  # a record that cannot be computed on is refused now, and not in the worker
    if patient and read.patient and patient != read.patient:
        detail = "The Bundle is about another patient than the one who is named."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="patient")
    item = Items(store, config["definition"]).put(
        patient=patient or read.patient,
        values=read.values,
        taken=read.taken,
        person=str(person),
        consent=consent,
        subject=str(subject or ""),
    )
    app.answer({"request": item.id, "state": item.state}, lambda console: console.print(item.id))


@bedside.command()
@click.option("--once", is_flag=True, help="One look at everything, and no more.")
@click.option("--seconds", default=5.0, show_default=True, type=click.FloatRange(1), help="Between two looks.")
@click.pass_obj
def work(app: App, once: bool, seconds: float) -> None:
    """Send what was asked, open what has come, hand in receipts, until it is stopped. Killed, it goes on."""
    config, store = _open(app)
    with store.only_worker(), app.api(_SCOPES) as api:
        worker = Worker(app.home, api, store, config)
        while True:
            worker.round()
            if once:
                return
            time.sleep(seconds)


@bedside.command()
@click.option("--port", default=8460, show_default=True, type=click.IntRange(1, 65535), help="On loopback.")
@click.pass_obj
def serve(app: App, port: int) -> None:
    """Answer hooks and show pages on 127.0.0.1, under the address in bedside.json, until it is stopped."""
    from concordat.bedside import app as web  # a web server, which no other command needs
    from concordat.bedside.bedside import Bedside

    config = configuration.load(app.home)
    store = Store(app.home.directory, patience=web.PATIENCE)
    app.progress.print(f"Bedside of {app.home.institution}: {config['address']}, on port {port} of {web.HOST}.")
    web.serve(Bedside(config, store, app.home.institution), port=port)


@bedside.command()
@click.option("--patient", required=True, help="The patient's FHIR id in the health record.")
@click.pass_obj
def link(app: App, patient: str) -> None:
    """Print an address that opens a patient's result in a browser, for ten minutes."""
    from concordat.bedside.bedside import Bedside

    config, store = _open(app)
    here = Bedside(config, store, app.home.institution)
    item = here.items.latest(patient)
    if item is None:
        raise click.UsageError("Nothing was asked for this patient.")
    address = here.link(item)
    app.answer({"link": address}, lambda console: console.print(address, soft_wrap=True, markup=False))


@bedside.command()
@click.option("--patient", default="", help="Everything that was asked for this patient (FHIR id).")
@click.option("--request", "request_id", default="", help="This request, and the questions about it.")
@click.option("--why", required=True, type=click.Choice(list(RETRACTIONS)))
@click.option("--into", default="", help="With --why merged: the patient into whom --patient was merged.")
@click.pass_obj
def retract(app: App, patient: str, request_id: str, why: str, into: str) -> None:
    """Show results no more: page and card say why, and the log gets a receipt of each that had been opened.

    What was merged is retracted for both patients: neither record is any more the one that was computed on.
    """
    if bool(patient) == bool(request_id):
        raise click.UsageError("Name exactly one of --patient and --request.")
    if into and (why != "merged" or not patient):
        raise click.UsageError("--into goes with --patient and --why merged.")
    config, store = _open(app)
    items, receipts = Items(store, config["definition"]), Receipts(store)
    if request_id:
        items.of(request_id)
    found = items.retract(patient=patient, request=request_id, why=why, into=into)
    found += items.retract(patient=into, why=why) if into else []
    for item in found:
        receipts.retracted(item, viewer=config["viewer"])
    opened = [item.id for item in found if item.result is not None]
    app.answer(
        {"retracted": [item.id for item in found], "receipts": opened},
        lambda console: console.print(
            f"{len(found)} retracted. {len(opened)} had a result: the worker hands in a receipt of each. "
            "Of the others there is nothing in the log to take back."
        ),
    )


@bedside.command()
@click.option("--patient", required=True, help="The patient's FHIR id in the health record.")
@click.confirmation_option(prompt="Delete everything that the bedside holds on this patient?")
@click.pass_obj
def forget(app: App, patient: str) -> None:
    """Delete what the bedside holds on a patient, and print the requests whose folders in work/ stay."""
    config, store = _open(app)
    found = Items(store, config["definition"]).forget(patient)
    app.answer({"forgotten": found}, lambda console: console.print("\n".join(found) or "Nothing was held."))


def _open(app: App) -> tuple[Config, Store]:
    config = configuration.load(app.home)
    return config, Store(app.home.directory)
