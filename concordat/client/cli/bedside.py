"""`concordat bedside`: results where decisions are made, computed ahead of time."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TextIO
from uuid import UUID

import click

from concordat.bedside import config as configuration
from concordat.bedside import documents, record
from concordat.bedside.config import Config
from concordat.bedside.items import Items
from concordat.bedside.receipts import Receipts
from concordat.bedside.store import Store
from concordat.bedside.worker import Worker
from concordat.client import fhir as spoken
from concordat.client import predict
from concordat.client.cli.common import FILE, OMOP, OMOP_PERSON, URGENCY, App, person_option
from concordat.client.cli.patient import PATIENT, TEXT, named
from concordat.client.ehr import address_of
from concordat.display import BY_HAND
from concordat.fhir import Participant
from concordat.reasons import Reason, Refused
from concordat.request import Urgency, check_urgency

_SCOPES = "studies.read models.read definitions.read predictions.read predictions.write ledger.read"
_TIME = click.DateTime(["%Y-%m-%dT%H:%M:%SZ"])


@click.group()
def bedside() -> None:
    """Show results in the health record and to clinicians, from this machine."""


@bedside.command()
@person_option("Who decides with the result.")
@click.option(
    "--patient-file", type=TEXT, help="Holds the patient's id, where the record does not say it; - is standard input."
)
@click.option("--consent", default="", help="Id of the consent, where that is the legal ground.")
@click.option("--subject", type=click.UUID, help="The person's pseudonym, where the legal ground is not consent.")
@URGENCY
@click.option("--fhir", type=FILE, help="The record as a FHIR R4 Bundle of one patient.")
@click.option("--ehr", is_flag=True, help="The record from the FHIR server in ehr.json, of the patient who is named.")
@OMOP
@OMOP_PERSON
@click.option("--json", "values", type=FILE, help="The record as a JSON object of values by feature; needs --taken.")
@click.option("--taken", type=_TIME, help="When the values of --json were taken, UTC, as 2026-01-31T12:00:00Z.")
@click.pass_obj
def enqueue(
    app: App,
    person: UUID,
    patient_file: IO[str] | None,
    consent: str,
    subject: UUID | None,
    urgency: Urgency,
    fhir: Path | None,
    ehr: bool,
    warehouse: str | None,
    whose: TextIO | None,
    values: Path | None,
    taken: datetime | None,
) -> None:
    """Ask ahead of time for a patient's prediction, and print the request's id. The worker does the rest.

    The same record asked for twice is computed once. Where patient and person both come from standard input, the
    patient's id is the first line.
    """
    if sum((fhir is not None, ehr, warehouse is not None, values is not None)) != 1:
        raise click.UsageError("Give the record by exactly one of --fhir, --ehr, --omop and --json.")
    if (warehouse is None) != (whose is None):
        raise click.UsageError("Give --omop and --omop-person together.")
    if (values is None) != (taken is None):
        raise click.UsageError(
            "Say with --taken when the values of --json were taken; other records say it themselves."
        )
    config, store = _open(app)
    known = documents.kept(store, config["definition"])
    if known is None:
        with app.api(_SCOPES) as api:
            known = documents.fetch(app.home, api, store, config["definition"])
    check_urgency(urgency, known.definition)
    _, _, pseudonym = predict.who(  # before anything is read of somebody
        app.home, known.protocol, purpose=config["purpose"], consent=consent, subject=str(subject or "")
    )
    participant = Participant(known.protocol["study"], pseudonym)
    with spoken.hearing(app.home, person=str(person), subject=pseudonym) as heard:
        patient = named(patient_file) if patient_file or fhir is None else ""
        if fhir is not None:
            read = record.read_fhir(fhir, known.schema, participant, server=address_of(app.home), heard=heard)
        elif ehr:
            read = record.read_ehr(app.home, patient, known.schema, heard, participant)
        elif warehouse is not None and whose is not None:
            read = record.read_omop(app.home, warehouse, whose, known.schema, heard)
        else:
            assert values is not None
            assert taken is not None
            read = record.read_values(values, known.schema, taken=taken.replace(tzinfo=UTC))
        if patient and read.patient and patient != read.patient:
            detail = "The Bundle is about another patient than the one who is named."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="patient")
        known.schema.encode_row(read.values)  # what cannot be computed on is refused now, and not in the worker
        item = Items(store, config["definition"]).put(
            patient=patient or read.patient or named(None),
            values=read.values,
            taken=read.taken,
            person=str(person),
            consent=consent,
            subject=str(subject or ""),
            urgency=urgency,
            source=read.source,
            origins=read.origins,
        )
    if read.origins is not None:
        who = {"request": item.id, "person": str(person), "subject": pseudonym}
        spoken.audit_read(app.home, read.origins, **who, source=read.source)
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
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help=f"On loopback; the port of an http address in bedside.json, or {configuration.PORT}, unless given.",
)
@click.pass_obj
def serve(app: App, port: int | None) -> None:
    """Answer hooks and show pages on 127.0.0.1, under the address in bedside.json, until it is stopped."""
    from concordat.bedside import app as web  # a web server, which no other command needs
    from concordat.bedside.bedside import Bedside

    config, store = configuration.load(app.home), Store(app.home.directory, patience=web.PATIENCE)
    documents.check_fit(store, config["definition"])
    expected = configuration.port(config)
    if port not in (None, expected) and config["address"].startswith("http:"):
        app.progress.print(f"Warning: {config['address']} leads to port {expected}, and this listens on {port}.")
    port = port or expected
    app.progress.print(f"Bedside of {app.home.institution}: {config['address']}, on port {port} of {web.HOST}.")
    web.serve(Bedside(config, store, app.home.name), port=port)


@bedside.command()
@PATIENT
@click.pass_obj
def link(app: App, patient_file: IO[str] | None) -> None:
    """Print an address that opens a patient's result in a browser, for ten minutes."""
    from concordat.bedside.bedside import Bedside

    patient = named(patient_file)
    config, store = _open(app)
    here = Bedside(config, store, app.home.name)
    item = here.items.latest(patient)
    if item is None:
        raise click.UsageError("Nothing was asked for this patient.")
    address = here.link(item)
    app.answer({"link": address}, lambda console: console.print(address, soft_wrap=True))


@bedside.command()
@PATIENT
@click.option("--request", "request_id", default="", help="This request, and the questions about it; of no patient.")
@click.option("--why", required=True, type=click.Choice(list(BY_HAND)))
@click.option("--into-file", type=TEXT, help="With --why merged: holds the id into which the patient was merged.")
@click.pass_obj
def retract(app: App, patient_file: IO[str] | None, request_id: str, why: str, into_file: IO[str] | None) -> None:
    """Show results no more: page and card say why, and the log gets a receipt of each that had been opened.

    What was merged is retracted for both patients: neither record is any more the one that was computed on. Where both
    ids come from standard input, the patient's is the first line.
    """
    if patient_file and request_id:
        raise click.UsageError("Name exactly one of --patient-file and --request.")
    if into_file and (why != "merged" or request_id):
        raise click.UsageError("--into-file goes with a patient and --why merged.")
    patient = "" if request_id else named(patient_file)
    into = named(into_file) if into_file else ""
    config, store = _open(app)
    items, receipts = Items(store, config["definition"]), Receipts(store)
    if request_id:
        items.of(request_id)
    found = items.retract(patient=patient, request=request_id, why=why, into=into)
    for item in found:
        receipts.retracted(item, viewer=config["viewer"])
    opened = [item for item in found if item.result is not None]
    told = f"{len(found)} retracted. {len(opened)} had a result: the worker hands in a receipt of each."
    if len(opened) < len(found):
        told += " Of the others there is nothing in the log to take back."
    if not found:
        told = "Nothing was retracted: nothing of it is shown here, or it was retracted before. Compare the id."
    if any(item.server for item in opened):
        told += " What was written of it to the health record is taken back by: concordat fhir retract"
    app.answer(
        {"retracted": [item.id for item in found], "receipts": [item.id for item in opened]},
        lambda console: console.print(told),
    )


@bedside.command()
@PATIENT
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
@click.pass_obj
def forget(app: App, patient_file: IO[str] | None, yes: bool) -> None:
    """Delete what the bedside holds on a patient, and print the requests whose folders in work/ stay."""
    patient = named(patient_file)
    if not yes:
        click.confirm("Delete everything that the bedside holds on this patient?", abort=True)
    config, store = _open(app)
    found = Items(store, config["definition"]).forget(patient)
    app.answer({"forgotten": found}, lambda console: console.print("\n".join(found) or "Nothing was held."))


def _open(app: App) -> tuple[Config, Store]:
    config, store = configuration.load(app.home), Store(app.home.directory)
    documents.check_fit(store, config["definition"])
    return config, store
