"""`concordat design`: the documents of perturbations that definitions name; the `lime` package's are made where the
training data are."""

import secrets
from pathlib import Path

import click

from concordat import canonical, plausibility
from concordat.client import records
from concordat.client.cli.common import FILE, App, feature_schema, write_new
from concordat.design import masks, read_design, sampling, slopes, tabular, training
from concordat.design.common import KERNEL_WIDTH, RIDGE
from concordat.design.training import Sampler
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema


@click.group()
def design() -> None:
    """Designs of perturbed records."""


TARGET = click.Path(dir_okay=False, path_type=Path)


@design.command(masks.METHOD)
@click.argument("schema", type=FILE)
@click.argument("file", type=TARGET)
@click.option("--seed", help="Any text; drawn at random unless given. The same gives the same document.")
@click.pass_obj
def masks_command(app: App, schema: Path, file: Path, seed: str | None) -> None:
    """Write to FILE the design that replaces groups of features by SCHEMA's reference.

    Nothing but the schema goes into it, and everybody can rebuild it from its seed.
    """
    features = feature_schema(schema, "SCHEMA")
    document = masks.build(features, seed=seed or secrets.token_hex(16))
    _write(app, document, features, file)


@design.command(slopes.METHOD)
@click.argument("schema", type=FILE)
@click.argument("file", type=TARGET)
@click.option("--seed", help="Any text; drawn at random unless given. The same gives the same document.")
@click.pass_obj
def slopes_command(app: App, schema: Path, file: Path, seed: str | None) -> None:
    """Write to FILE the design that moves SCHEMA's numbers a little."""
    features = feature_schema(schema, "SCHEMA")
    try:
        document = slopes.build(features, seed=seed or secrets.token_hex(16))
    except ValueError as error:
        raise Refused(Reason.FIELD_INVALID, detail=f"{error}.".capitalize(), field="SCHEMA") from error
    _write(app, document, features, file)


@design.command(tabular.METHOD)
@click.argument("schema", type=FILE)
@click.argument("table", type=FILE)
@click.argument("file", type=TARGET)
@click.option(
    "--sampler",
    type=click.Choice(["quartiles", "gaussian"]),
    default="quartiles",
    show_default=True,
    help="`lime` with discretize_continuous, or without.",
)
@click.option(
    "--samples",
    default=tabular.SAMPLES,
    show_default=True,
    type=click.IntRange(3, tabular.MOST_SAMPLES),
    help="`lime`'s num_samples.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, sampling.SEEDS - 1),
    help="`lime`'s random_state; drawn at random unless given.",
)
@click.option("--kernel-width", default=KERNEL_WIDTH, show_default=True, help="In units of the root of the features.")
@click.option("--ridge", default=RIDGE, show_default=True, help="The penalty of the surrogate's coefficients.")
@click.pass_obj
def lime_tabular(
    app: App,
    schema: Path,
    table: Path,
    file: Path,
    sampler: Sampler,
    samples: int,
    seed: int | None,
    kernel_width: float,
    ridge: float,
) -> None:
    """Write to FILE the design of the `lime` package's tabular sampler for the training data in TABLE.

    The document makes statistics of the data public: of each number the lowest and highest value, quartiles, and means
    and deviations within them, or mean and deviation; of each category how many patients have it. TABLE itself stays
    here. For another institution, these are your word.
    """
    features = feature_schema(schema, "SCHEMA")
    statistics = training.summarise(records.read_table(table, features), features, sampler)
    document = tabular.build(
        features,
        statistics,
        seed=secrets.randbelow(sampling.SEEDS) if seed is None else seed,
        samples=samples,
        sampler=sampler,
        kernel_width=kernel_width,
        ridge=ridge,
    )
    _write(app, document, features, file)


def _write(app: App, document: dict[str, canonical.Json], features: FeatureSchema, file: Path) -> None:
    plan = read_design(document)  # the same checks that everybody makes
    impossible = float(plausibility.impossible(features, plan.perturbed(features.bounds[0])).mean())
    write_new(file, canonical.encode(document))
    answer = {"design": plan.digest, "seed": document["seed"], "impossible": f"{impossible:.4f}"}
    app.answer(
        answer,
        lambda console: console.print(
            f"{plan.digest}\nSeed {document['seed']}; {impossible:.1%} of the {plan.n} rows are clinically impossible."
        ),
    )
