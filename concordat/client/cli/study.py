"""`concordat study`: see where studies stand, put a protocol before the boards, attach what belongs beside it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click
from rich.console import Console

from concordat import clock
from concordat.canonical import digest
from concordat.client.cli.common import FILE, App, Day, columns, document, resource, write_new
from concordat.fhir.draft import draft as make_draft
from concordat.protocol import AttachmentKind


@click.group()
def study() -> None:
    """Studies. Boards review them on the officers' site."""


@study.command("list")
@click.option("--state", default="", help="Only those in this state, such as approved or under-review.")
@click.pass_obj
def list_command(app: App, state: str) -> None:
    """List the studies that concern this institution: it leads them, is a site of them, or its board reviews them."""
    with app.api("studies.read") as api:
        found = api.lists.studies(state=state)
    rows = [(each["study"], each["state"], each["institution"], each["expires"], each["title"]) for each in found]
    headings = ("study", "state", "led by", "approved until", "title")
    app.answer({"studies": found}, lambda console: columns(console, headings, rows))


@study.command()
@click.argument("study")
@click.pass_obj
def show(app: App, study: str) -> None:
    """Show where the review of STUDY (its short name) stands, and all that was put before its boards."""
    with app.api("studies.read") as api:
        found, submissions = api.study(study), api.lists.submissions(study)

    def people(console: Console) -> None:
        console.print(f"{found['title']}\n{found['state']}; sites: {', '.join(found['sites'])}", soft_wrap=True)
        for each in submissions:
            console.print(
                f"\n{each['kind']}, version {each['version']}, {each['state']}  {each['protocol']}", soft_wrap=True
            )
            rows = [(one["board"], one["path"], one["outcome"], ", ".join(one["sites"])) for one in each["reviews"]]
            columns(console, ("board", "path", "outcome", "for"), rows)

    app.answer({"study": found, "submissions": submissions}, people)


@study.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--fhir", type=FILE, required=True, help="A FHIR R4 ResearchStudy, or a Bundle that holds one.")
@click.pass_obj
def draft(app: App, file: Path, fhir: Path) -> None:
    """Write to FILE the draft of a protocol, from what a ResearchStudy says; and list what is left to fill in.

    Nothing is guessed and nothing is sent: fill the rest in by hand, and put it before the boards by `submit`.
    """
    made = make_draft(resource(fhir, "ResearchStudy"), now=clock.now())
    write_new(file, json.dumps(made.document, ensure_ascii=False, indent=2).encode() + b"\n")
    left = [{"field": each.field, "why": each.why} for each in made.left]

    def people(console: Console) -> None:
        console.print(f"Written: {file}\n\nLeft to fill in:", soft_wrap=True)
        columns(console, ("field", "why"), [(each.field, each.why) for each in made.left])
        if made.passed_over:
            console.print(f"\nNot used of the ResearchStudy: {', '.join(made.passed_over)}.", soft_wrap=True)

    app.answer({"file": str(file), "left": left, "passed_over": list(made.passed_over)}, people)


@study.command()
@click.argument("protocol", type=FILE)
@click.option("--report", type=click.File(encoding="utf-8"), help="A file with what the boards are told with it.")
@click.pass_obj
def submit(app: App, protocol: Path, report: TextIO | None) -> None:
    """Put PROTOCOL (a JSON document) before the boards of its sites, and print the digest that they sign.

    Sent again while it is before them, it is the same submission.
    """
    content = document(protocol, "PROTOCOL", "protocol")
    with app.api("studies.write") as api:
        found = api.submit_study(content, report=report.read() if report else "")
    app.answer(found, lambda console: console.print(digest(content)))


@study.command()
@click.argument("study")
@click.argument("file", type=FILE)
@click.option("--kind", required=True, type=click.Choice([kind.value for kind in AttachmentKind]))
@click.option(
    "--until", type=Day(ahead=True), help="The last day on which it is in force, UTC, or how long from today."
)
@click.option("--of-the-study", is_flag=True, help="The study's own document, not this institution's (for its leader).")
@click.pass_obj
def attach(app: App, study: str, file: Path, kind: str, until: datetime | None, of_the_study: bool) -> None:
    """Attach FILE (PDF, PNG, JPEG or plain text) to STUDY, and print its digest."""
    last = until.replace(hour=23, minute=59, second=59, tzinfo=UTC) if until else None
    with app.api("studies.write") as api:
        attached = api.attach(
            study,
            kind=kind,
            institution="" if of_the_study else app.home.institution,
            name=file.name,
            content=file.read_bytes(),
            expires=clock.rfc3339(last) if last else "",
        )
    app.answer(attached, lambda console: console.print(attached["digest"]))
