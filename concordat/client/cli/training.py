"""`concordat training`: a model of ours learns from rows that hospitals bring, and its shares stay with the parties."""

import math
from functools import partial
from pathlib import Path

import click

from concordat.client import trainings
from concordat.client.cli.common import FILE, PUBLISHED, App, document, feature_schema
from concordat.client.cli.many import add_commands, read_scopes
from concordat.client.follow import once_there
from concordat.client.work import CohortWork
from concordat.training_plan import check_plan


@click.group()
def training() -> None:
    """Train a logistic regression of ours on rows that the parties' institutions bring."""


@training.command()
@click.argument("plan", type=FILE)
@click.option("--schema", type=FILE, required=True, help="The feature schema that the model was made for.")
@click.option("--parties", type=click.IntRange(2, 16), default=3, show_default=True, help="How many will compute it.")
@click.pass_obj
def check(app: App, plan: Path, schema: Path, parties: int) -> None:
    """Check the training plan PLAN against a feature schema, and print its digest: a definition's `design`."""
    features = feature_schema(schema, "--schema")
    found = check_plan(document(plan, "PLAN", "training plan"), features)
    noise = found.noise(parties, len(features.columns) + 1) * math.sqrt(parties)
    said = (
        f"{found.steps} steps over {found.rows} rows each; becomes {found.result['model']} {found.result['version']}.\n"
        f"Noise of {parties} parties: {noise:.3f} in every weight (standard deviation), for ε = {found.epsilon:g}."
    )
    app.answer(
        {"digest": found.digest, "noise": f"{noise:.6f}"}, lambda console: console.print(f"{found.digest}\n{said}")
    )


add_commands(training, "trainings", one="a training", then="imported")


@training.command("import")
@click.argument("request")
@PUBLISHED
@click.pass_obj
def import_command(app: App, request: str, seconds: float) -> None:
    """Verify what the nodes made in REQUEST, sign the trained model's manifest, import it, and print its digest."""
    work = CohortWork.of(app.home.many("trainings"), request)
    with app.api(f"{read_scopes('trainings')} models.write") as api:
        made = once_there(partial(trainings.import_trained, app.home, api, work), seconds=seconds)
    named = {"model": made.manifest["model"], "version": made.manifest["version"]}
    app.answer({"digest": made.digest, **named}, lambda console: console.print(made.digest))
