"""`concordat fhir`: what the client knows, in FHIR R4, in a file, on the screen or at a hospital's server."""

import json
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from concordat import clock
from concordat.bedside.items import check_not_shown
from concordat.client import consents, governance, predict
from concordat.client import fhir as spoken
from concordat.client.cli.common import App, columns, person_option, write_new
from concordat.client.cli.terminal import echo_json
from concordat.client.ehr import Ehr, address_of
from concordat.client.follow import once_there
from concordat.client.rereading import found_wrong
from concordat.client.retraction import Written, check_not_taken_back, listed, questions, take_back
from concordat.client.work import Work
from concordat.display import BY_HAND, RETRACTIONS
from concordat.fhir.capability import capability_statement
from concordat.fhir.study import research_study, research_subject
from concordat.reasons import Reason, Refused


@click.group()
def fhir() -> None:
    """Write what is known here as FHIR R4 resources. Only `send` and `retract` send anything, to your own server."""


@fhir.command()
@click.argument("request")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def result(app: App, request: str, file: Path) -> None:
    """Write to FILE the opened result of REQUEST: RiskAssessment, factors and Provenance, as one transaction.

    The result is verified once more. Whoever holds the file knows the prediction, and where its values came from;
    `audit.ndjson` in the home folder says that it was written.
    """
    work = Work.of(app.home.work, request)
    bundle = _result(app, work)
    spoken.audit_disclosed(app.home, work, kinds=_kinds(bundle))
    write_new(file, json.dumps(bundle, ensure_ascii=False, indent=2).encode())
    app.answer({"file": str(file)}, lambda console: console.print(f"Written: {file}"))


@fhir.command()
@click.argument("request")
@click.pass_obj
def send(app: App, request: str) -> None:
    """Write the opened result of REQUEST to the FHIR server in ehr.json. Sent again, it is there once.

    It is sent for a record that came from this server by `predict --ehr` or `bedside enqueue --ehr`: of another one it
    knows no patient. It is not sent if the server says by now that the patient was merged or a value entered in error,
    or if the bedside in this home has taken the result back.
    """
    work = _from_server(app, request)
    bundle = _result(app, work)
    with Ehr.of(app.home) as ehr:
        _check_not_wrong(ehr, work)
    check_not_taken_back(app.home, work)  # nor while the server was asked
    with Ehr.of(app.home, to="write") as ehr:
        spoken.audit_disclosed(app.home, work, kinds=_kinds(bundle), recipient=ehr.base)
        work.keep_written(bundle, clock.now())
        places = ehr.write(bundle)
    app.answer({"written": places}, lambda console: console.print("\n".join(places), soft_wrap=True))


@fhir.command()
@click.pass_obj
def written(app: App) -> None:
    """List what `send` sent to the FHIR server from here, and whether it was taken back, there and at the bedside."""
    found = listed(app.home)
    rows = [
        (each["request"], each["since"], each["bedside"] or "-", _taken_back(each) or "-", each["definition"])
        for each in found
    ]
    headings = ("request", "sent", "bedside", "health record", "definition")
    app.answer({"written": found}, lambda console: columns(console, headings, rows))


@fhir.command()
@click.argument("request")
@click.option("--why", required=True, type=click.Choice(list(BY_HAND)))
@person_option("Who takes it back: your own handle of that person, not a name.")
@click.pass_obj
def retract(app: App, request: str, why: str, person: UUID) -> None:
    """Take back what `send` wrote of REQUEST: it gets the status entered-in-error at the FHIR server in ehr.json.

    Nothing is deleted there: a note and a Provenance say why, and who took it back. What was asked about its record,
    and sent, is taken back with it. Given again, it goes on where it was, or does nothing. A bedside in this home has
    to take the result back first: `concordat bedside retract`.
    """
    works = [_from_server(app, request), *questions(app.home, request)]
    check_not_shown(app.home.directory, [work.request for work in works])
    with Ehr.of(app.home, to="retract") as ehr:
        places = take_back(app.home, ehr, works, person=str(person), why=why)
    said = places or ["Everything of it there was taken back before."]
    app.answer({"retracted": places}, lambda console: console.print("\n".join(said), soft_wrap=True))


@fhir.command()
@click.pass_obj
def jwks(app: App) -> None:
    """Print the key with which this client signs in, as a JWK set: what a FHIR server registers it by."""
    key = app.home.keys.client
    public = {**key.as_dict(private=False), "kid": key.kid, "use": "sig", "alg": "ES384"}
    click.echo(json.dumps({"keys": [public]}, sort_keys=True))


@fhir.command()
@click.argument("request")
@click.pass_obj
def task(app: App, request: str) -> None:
    """Print where the job of REQUEST stands, as a Task."""
    work = Work.of(app.home.work, request)
    with app.api("predictions.read") as api:
        status = predict.status(work, api)
    _print(spoken.job(work, status))


@fhir.command()
@click.argument("definition")
@click.pass_obj
def study(app: App, definition: str) -> None:
    """Print the study of DEFINITION (a digest), as a ResearchStudy."""
    with app.api("definitions.read") as api:
        checked = governance.fetch_definition(app.home, api, definition)
    _print(research_study(checked.protocol, now=clock.now()))


@fhir.command()
@click.argument("consent")
@click.pass_obj
def subject(app: App, consent: str) -> None:
    """Print the part in a study of who gave CONSENT (an id), as a ResearchSubject."""
    found = consents.kept(app.home, consent)
    _print(research_subject(found.statement, withdrawn=found.withdrawn))


@fhir.command()
def capability() -> None:
    """Print what of FHIR is read and written here, as a CapabilityStatement."""
    _print(capability_statement())


def _from_server(app: App, request: str) -> Work:
    """The request's folder, if its record came from the server in ehr.json. Raises Refused(WRONG_STATE)."""
    work = Work.of(app.home.work, request)
    if not work.source or work.source != address_of(app.home):
        detail = "The record did not come from the FHIR server in ehr.json, so the result is about nobody there."
        raise Refused(Reason.WRONG_STATE, detail=detail, field="request")
    return work


def _result(app: App, work: Work) -> dict[str, Any]:
    check_not_taken_back(app.home, work)
    _ = work.result  # what was never opened is not written
    with app.api("definitions.read predictions.read predictions.write ledger.read") as api:
        definition = governance.fetch_definition(app.home, api, work.content["definition"])
        opened = once_there(partial(predict.open_result, app.home, api, work))
    check_not_taken_back(app.home, work)  # nor meanwhile
    return spoken.result(app.home, definition, work, opened)


def _check_not_wrong(ehr: Ehr, work: Work) -> None:
    origins = work.origins
    why, _ = found_wrong(ehr, origins["patient"].removeprefix("Patient/"), origins)
    if why:
        raise Refused(Reason.WRONG_STATE, detail=f"By the health record now: {RETRACTIONS[why]}.", field="request")


def _taken_back(each: Written) -> str:
    return f"{each['taken_back']}, not done" if each["state"] == "begun" else each["taken_back"]


def _kinds(bundle: dict[str, Any]) -> list[str]:
    return [entry["resource"]["resourceType"] for entry in bundle["entry"]]


def _print(resource: dict[str, Any]) -> None:
    echo_json(resource, indent=2)
