"""`concordat predict`, `watch`, `cancel`, `open`, `disclose`: one explained prediction, step by step."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import IO, TextIO
from uuid import UUID

import click

from concordat import canonical, clock, what_if
from concordat.client import fhir as spoken
from concordat.client import governance, omop, predict, records
from concordat.client.cli import readings
from concordat.client.cli.common import (
    DIGEST,
    FILE,
    OMOP,
    OMOP_PERSON,
    PUBLISHED,
    SECONDS,
    URGENCY,
    App,
    following,
    person_option,
    wait_or_not,
    write_new,
)
from concordat.client.cli.patient import PATIENT, named
from concordat.client.ehr import fetch_patient
from concordat.client.follow import check_not_ended, once_there
from concordat.client.heard import Heard
from concordat.client.retraction import check_not_taken_back
from concordat.client.work import Work
from concordat.display import VIEWERS, Decision
from concordat.fhir import Participant, read_bundle
from concordat.reading import Reading
from concordat.request import Urgency
from concordat.schema import FeatureSchema, Value

READ = "definitions.read predictions.read ledger.read"


@click.command("predict")
@click.option(
    "--definition", "digest", type=DIGEST, required=True, help="Digest of the approved computation definition."
)
@click.option("--purpose", required=True, help="One of the definition's purposes.")
@person_option("Who decides with the result: your own handle of the clinician, not a name.")
@click.option("--consent", default="", help="Id of the consent, as `concordat consent give` printed it.")
@click.option("--subject", type=click.UUID, help="The person's pseudonym, where the legal ground is not consent.")
@URGENCY
@click.option("--fhir", type=FILE, help="The record as a FHIR R4 Bundle of one patient.")
@click.option("--ehr", is_flag=True, help="The record from the FHIR server in ehr.json; whose, says --patient-file.")
@PATIENT
@OMOP
@OMOP_PERSON
@click.option("--csv", "table", type=FILE, help="The record as a row of a table; see --row.")
@click.option("--row", default=1, show_default=True, type=click.IntRange(1), help="Which row of the table.")
@click.option("--json", "values", type=FILE, help="The record as a JSON object of values by feature.")
@click.option(
    "--what-if",
    "questions",
    multiple=True,
    metavar="NAME=VALUE",
    help="Also predict the record with this different: NAME=VALUE, NAME-=20, or several with commas. Repeatable.",
)
@wait_or_not("the result can be opened")
@SECONDS
@click.pass_obj
def predict_command(
    app: App,
    digest: str,
    purpose: str,
    person: UUID,
    consent: str,
    subject: UUID | None,
    urgency: Urgency,
    fhir: Path | None,
    ehr: bool,
    patient_file: IO[str] | None,
    warehouse: str | None,
    whose: TextIO | None,
    table: Path | None,
    row: int,
    values: Path | None,
    questions: tuple[str, ...],
    wait: bool,
    seconds: float,
) -> None:
    """Ask for a prediction and its explanation, and print the request's id.

    The record is checked, split into shares and sealed here; no single institution can read it. The legal ground is the
    one that the study's protocol states for you: with consent as the ground name the consent, else the subject. After a
    crash, `watch` sends the same request again: it is answered by the same job.
    """
    if sum(source is not None for source in (fhir, ehr or None, warehouse, table, values)) != 1:
        raise click.UsageError("Give the record by exactly one of --fhir, --ehr, --omop, --csv and --json.")
    if (warehouse is None) is not (whose is None):
        raise click.UsageError("Give --omop and --omop-person together.")
    if patient_file is not None and not ehr:
        raise click.UsageError("--patient-file goes with --ehr.")
    patient = named(patient_file) if ehr else None
    with app.api(f"{READ} predictions.write") as api:
        definition = governance.fetch_definition(app.home, api, digest)
        _, _, pseudonym = predict.who(  # before anything is read of somebody
            app.home, definition.protocol, purpose=purpose, consent=consent, subject=str(subject or "")
        )
        participant = Participant(definition.protocol["study"], pseudonym)
        with spoken.hearing(app.home, person=str(person), subject=pseudonym) as heard:
            reading = _reading(app, definition.schema, participant, fhir, patient, heard)
            if warehouse is not None and whose is not None:
                reading = omop.read_person(app.home, warehouse, whose, definition.schema, heard, now=clock.now())
            record = reading.values if reading is not None else _record(definition.schema, table, row, values)
            if reading is not None:
                app.progress.print(readings.table(reading, definition.schema))
            recorded = definition.schema.encode_row(record).values
            what_ifs = [what_if.parse(question, definition.schema, recorded) for question in questions]
            work = predict.prepare(
                app.home,
                definition,
                record,
                purpose=purpose,
                person=str(person),
                consent=consent,
                subject=str(subject or ""),
                urgency=urgency,
                what_ifs=what_ifs,
            )
        if reading is not None:
            work.keep_reading(reading.origins)
            if patient is not None:
                work.keep_source(heard.source)
            who = {"request": work.request, "person": str(person), "subject": pseudonym}
            spoken.audit_read(app.home, reading.origins, **who, source=heard.source)
        app.progress.print(f"Request {work.request}")
        if work.package("request") is None:
            app.progress.print("There is no records key: nothing but this folder will ever open the result.")
        status = predict.submit(work, api)
        if consent:
            spoken.audit_consent(app.home, work, consent, status)
        if wait:
            with following(app) as told:
                status = predict.wait(work, api, seconds=seconds, on_change=told)
    answer = {**status} if reading is None else {**status, "reading": readings.to_json(reading)}
    app.answer(answer, lambda console: console.print(work.request))
    check_not_ended(status)


@click.command()
@click.argument("request")
@SECONDS
@click.pass_obj
def watch(app: App, request: str, seconds: float) -> None:
    """Follow REQUEST until its result can be opened; send it first if a crash came between."""
    work = Work.of(app.home.work, request)
    with app.api("predictions.read predictions.write") as api:
        if not work.job:
            predict.submit(work, api)
        with following(app) as told:
            status = predict.wait(work, api, seconds=seconds, on_change=told)
    app.answer({**status}, lambda console: console.print(f"{status['state']}  {status['record']}"))


@click.command()
@click.argument("request")
@click.pass_obj
def cancel(app: App, request: str) -> None:
    """Take REQUEST back before there is a result; what is running is stopped."""
    with app.api("predictions.write") as api:
        status = predict.cancel(Work.of(app.home.work, request), api)
    app.answer({**status}, lambda console: console.print(status["state"]))


@click.command("open")
@click.argument("request")
@click.option(
    "--viewer", type=click.Choice(VIEWERS), required=True, help="The role of who looks at it; the log keeps it."
)
@click.option(
    "--decision",
    type=click.Choice(["shown", "accepted", "overridden"]),
    default="shown",
    show_default=True,
    help="What they made of it.",
)
@click.option(
    "--class",
    "shown",
    multiple=True,
    metavar="NAME",
    help="Of a model of several classes: show the factors of this one. Repeatable; else of the two most probable.",
)
@PUBLISHED
@click.pass_obj
def open_command(
    app: App, request: str, viewer: str, decision: Decision, shown: tuple[str, ...], seconds: float
) -> None:
    """Verify, open and show the result of REQUEST, and sign for having shown it.

    One that was taken back, by the bedside in this home or in the health record, is not shown.
    """
    work = Work.of(app.home.work, request)
    check_not_taken_back(app.home, work)
    with app.api(f"{READ} predictions.write") as api:
        opened = once_there(partial(predict.open_result, app.home, api, work, shown=shown), seconds=seconds)
        check_not_taken_back(app.home, work)  # nor meanwhile
        predict.show(app.home, api, work, opened, viewer=viewer, decision=decision)
    value = {
        "record": opened.record,
        "log_size": opened.log_size,
        "cosigned": opened.witnessed.cosigned,
        "witnesses": opened.witnessed.of,
        "explanation": opened.explanation.to_json(),
        "what_ifs": [each.to_json() for each in opened.what_ifs],
    }
    app.answer(
        value,
        lambda console: console.print(
            f"{opened.text}\nRecord {opened.record}, verified in the log of {opened.log_size} entries; cosigned by "
            f"{opened.witnessed} witnesses so far.",
        ),
    )


@click.command()
@click.argument("request")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--with-record", is_flag=True, help="Open the record, too: whoever holds the file then knows it.")
@click.pass_obj
def disclose(app: App, request: str, file: Path, with_record: bool) -> None:
    """Write to FILE what a legal reviewer needs to rebuild REQUEST. Whoever holds the file knows the prediction."""
    work = Work.of(app.home.work, request)
    content = predict.disclose(work, with_record=with_record)
    spoken.audit_disclosed(app.home, work, kinds=["DocumentReference"])
    write_new(file, canonical.encode(content))
    app.answer({"file": str(file)}, lambda console: console.print(f"Written: {file}"))


def _reading(
    app: App, schema: FeatureSchema, participant: Participant, fhir: Path | None, patient: str | None, heard: Heard
) -> Reading | None:
    """What was read in FHIR, if anything was."""
    if patient is not None:
        bundle = fetch_patient(app.home, patient, schema, heard)
        return read_bundle(bundle, schema, now=clock.now(), participant=participant)
    return None if fhir is None else records.read_fhir(fhir, schema, participant, heard=heard)


def _record(schema: FeatureSchema, table: Path | None, row: int, values: Path | None) -> Mapping[str, Value]:
    if table is not None:
        return records.read_csv(table, row, schema)
    assert values is not None
    return records.read_json(values)
