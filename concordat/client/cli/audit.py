"""`concordat audit`: how a model answers about groups of people, counted over rows that hospitals bring themselves."""

import json
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from concordat.audit_plan import check_plan
from concordat.client import audits
from concordat.client.audits import OpenedAudit
from concordat.client.cli.common import FILE, PUBLISHED, App, document, feature_schema, write_new
from concordat.client.cli.many import add_commands, read_scopes
from concordat.client.follow import once_there
from concordat.client.work import CohortWork
from concordat.figures import Between, largest_gaps


@click.group()
def audit() -> None:
    """Count how a model answers, by group of people and outcome. Nobody shows anybody a row."""


@audit.command()
@click.argument("plan", type=FILE)
@click.option("--schema", type=FILE, required=True, help="The feature schema that the model was made for.")
@click.pass_obj
def check(app: App, plan: Path, schema: Path) -> None:
    """Check the audit plan PLAN against a feature schema, and print its digest: a definition's `design`."""
    found = check_plan(document(plan, "PLAN", "audit plan"), feature_schema(schema, "--schema"))
    groups, outcomes, bins = found.shape
    said = f"{groups} groups, {outcomes} outcomes, {bins} bins: {found.cells} counts over {found.rows} rows each."
    app.answer(
        {"digest": found.digest, "counts": found.cells}, lambda console: console.print(f"{found.digest}\n{said}")
    )


add_commands(audit, "audits", one="an audit", then="opened")


@audit.command("open")
@click.argument("request")
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there, too, as JSON.")
@PUBLISHED
@click.pass_obj
def open_command(app: App, request: str, file: Path | None, seconds: float) -> None:
    """Verify, open and show the figures of REQUEST. Where counts were too small to be opened, a rate has two ends."""
    work = CohortWork.of(app.home.many("audits"), request)
    with app.api(read_scopes("audits")) as api:
        opened = once_there(partial(audits.open_result, app.home, api, work), seconds=seconds)
    figures = opened.figures.document()
    if file is not None:
        write_new(file, (json.dumps(figures, indent=2, ensure_ascii=False) + "\n").encode())
    value = {"record": opened.record, "log_size": opened.log_size, "figures": figures}
    app.answer(value, lambda console: _print(console, opened))


def _print(console: Console, opened: OpenedAudit) -> None:
    figures = opened.figures
    plan = figures.plan
    gaps = largest_gaps(figures)
    for place, threshold in enumerate(plan.thresholds):
        table = Table(
            "group",
            "sensitivity",
            "specificity",
            "precision",
            "selected",
            title=f"Yes from {threshold:g} on, for “{plan.outcome['label']}” within {plan.outcome['days']} days",
            title_justify="left",
        )
        for name in plan.names:
            rates = figures.rates(name)[place]
            table.add_row(name, *map(_said, (rates.sensitivity, rates.specificity, rates.precision, rates.selected)))
        console.print(table)
        console.print(f"Largest difference in sensitivity between named groups: {_said(gaps[threshold])}\n")
    table = Table("group", *(f"{each.low:g} to {each.high:g}" for each in figures.calibration(plan.names[0])))
    table.title, table.title_justify = "Observed, among whom the model answers so", "left"
    for name in plan.names:
        table.add_row(name, *(_said(each.observed) for each in figures.calibration(name)))
    console.print(table)
    console.print(
        f"{figures.suppressed} of {plan.cells} counts were below {figures.smallest} and not opened.\n"
        f"Record {opened.record}, verified in the log of {opened.log_size} entries; cosigned by {opened.witnessed} "
        "witnesses so far.",
    )


def _said(rate: Between | None) -> str:
    return "nobody" if rate is None else str(rate)
