"""`concordat predict`, `watch`, `cancel`, `open`, `disclose`: one explained prediction, step by step."""

from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import click

from concordat import canonical, clock, what_if
from concordat.client import fhir as spoken
from concordat.client import governance, predict, records
from concordat.client.api import Status
from concordat.client.cli import readings
from concordat.client.cli.common import App, write_new
from concordat.client.ehr import Ehr
from concordat.client.work import Work
from concordat.display import Decision
from concordat.fhir import Reading, read_bundle
from concordat.request import Urgency
from concordat.schema import FeatureSchema, Value

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
SECONDS = click.option("--seconds", default=180.0, show_default=True, help="How long to wait for the result.")
READ = "definitions.read predictions.read ledger.read"


@click.command("predict")
@click.option("--definition", "digest", required=True, help="Digest of the approved computation definition.")
@click.option("--purpose", required=True, help="One of the definition's purposes.")
@click.option(
    "--person",
    required=True,
    type=click.UUID,
    metavar="UUID",
    help="Who decides with the result: your own handle of the clinician, not a name.",
)
@click.option("--consent", default="", help="Id of the consent, as `concordat consent give` printed it.")
@click.option("--subject", type=click.UUID, help="The person's pseudonym, where the legal ground is not consent.")
@click.option(
    "--urgency",
    type=click.Choice(["routine", "emergent"]),
    default="routine",
    show_default=True,
    help="Emergent use is refused unless the definition allows it: a secure job is no emergency service.",
)
@click.option("--fhir", type=_FILE, help="The record as a FHIR R4 Bundle of one patient.")
@click.option("--ehr", "patient", metavar="ID", help="The record from the FHIR server in ehr.json: the Patient's id.")
@click.option("--csv", "table", type=_FILE, help="The record as a row of a table; see --row.")
@click.option("--row", default=1, show_default=True, type=click.IntRange(1), help="Which row of the table.")
@click.option("--json", "values", type=_FILE, help="The record as a JSON object of values by feature.")
@click.option(
    "--what-if",
    "questions",
    multiple=True,
    metavar="NAME=VALUE",
    help="Also predict the record with this different: NAME=VALUE, NAME-=20, or several with commas. Repeatable.",
)
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until the result can be opened.")
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
    patient: str | None,
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
    if sum(source is not None for source in (fhir, patient, table, values)) != 1:
        raise click.UsageError("Give the record by exactly one of --fhir, --ehr, --csv and --json.")
    with app.api(f"{READ} predictions.write") as api:
        definition = governance.fetch_definition(app.home, api, digest)
        reading, source = _reading(app, definition.schema, fhir, patient)
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
            spoken.audit_read(app.home, work, source=source)
        app.progress.print(f"Request {work.request}")
        if work.package("request") is None:
            app.progress.print("There is no records key: nothing but this folder will ever open the result.")
        status = predict.submit(work, api)
        if consent:
            spoken.audit_consent(app.home, work, consent, status)
        if wait:
            status = predict.wait(work, api, seconds=seconds, on_change=lambda each: follow(app, each))
    answer = {**status} if reading is None else {**status, "reading": readings.to_json(reading)}
    app.answer(answer, lambda console: console.print(work.request))


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
        status = predict.wait(work, api, seconds=seconds, on_change=lambda each: follow(app, each))
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
@click.option("--viewer", required=True, help="The role of who looks at it, for example clinician.")
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
@click.option(
    "--seconds", default=30.0, show_default=True, help="How long to wait until the log shows the result as well."
)
@click.pass_obj
def open_command(
    app: App, request: str, viewer: str, decision: Decision, shown: tuple[str, ...], seconds: float
) -> None:
    """Verify, open and show the result of REQUEST, and sign for having shown it."""
    work = Work.of(app.home.work, request)
    with app.api(f"{READ} predictions.write") as api:
        opened = predict.open_when_ready(app.home, api, work, seconds=seconds, shown=shown)
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
            markup=False,
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
    app.answer({"file": str(file)}, lambda console: console.print(f"Written: {file}", markup=False))


def _reading(app: App, schema: FeatureSchema, fhir: Path | None, patient: str | None) -> tuple[Reading | None, str]:
    """What was read in FHIR, and from where."""
    if patient is not None:
        with Ehr.of(app.home) as ehr:
            return read_bundle(ehr.patient(patient, schema), schema, now=clock.now()), ehr.base
    return (None if fhir is None else records.read_fhir(fhir, schema)), spoken.FILE


def _record(schema: FeatureSchema, table: Path | None, row: int, values: Path | None) -> Mapping[str, Value]:
    if table is not None:
        return records.read_csv(table, row, schema)
    assert values is not None
    return records.read_json(values)


def follow(app: App, status: Status) -> None:
    """Say how far a prediction is."""
    app.progress.print(f"  {status['state']}")
