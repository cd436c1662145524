"""`concordat model`: which models there are, and what an owner does with its own: import, canaries, disclosure, what it
states of one, recall."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import click
from rich.console import Console
from rich.table import Table

from concordat.client import governance, model_cards, models, recalls
from concordat.client.cli.common import DIGEST, FILE, App, columns, document, feature_schema
from concordat.client.listed import DefinitionSummary
from concordat.client.recalls import CheckedModel
from concordat.fields import plain
from concordat.importers import Imported, from_file
from concordat.model import Manifest
from concordat.model_card import ATTRIBUTES, Attributes, ModelCard, not_stated, read_attributes, stated, template
from concordat.reasons import Reason, Refused
from concordat.recall import CLASSES, WHY, Classification, Recall, Why, sentence
from concordat.schema import FeatureSchema


@click.group()
def model() -> None:
    """Models, whose weights are shared between their parties."""


@model.command("list")
@click.option("--owner", default="", help="Only those of this institution, by its short name.")
@click.option("--name", default="", help="Only the versions of the model of this name.")
@click.pass_obj
def list_command(app: App, owner: str, name: str) -> None:
    """List the imported models, with the digests by which definitions name them."""
    with app.api("models.read") as api:
        found = api.lists.models(owner=owner, name=name)
    rows = [(each["model"], each["name"], each["version"], each["kind"], each["owner"]) for each in found]
    headings = ("model", "name", "version", "kind", "owner")
    app.answer({"models": found}, lambda console: columns(console, headings, rows))


@model.command()
@click.argument("digest", type=DIGEST)
@click.pass_obj
def show(app: App, digest: str) -> None:
    """Show the model DIGEST as its owner signed it, and its recall if the owner has recalled it."""
    with app.api("models.read") as api:
        found = recalls.fetch_model(app.home, api, digest)
    value = {"digest": digest, "manifest": plain(found.manifest), "recall": found.recall and plain(found.recall)}
    app.answer(value, lambda console: _print(console, digest, found))


@model.command("import")
@click.argument("file", type=FILE)
@click.option("--name", required=True, help="The model's short name, the same for all of its versions.")
@click.option("--version", required=True, help="This version's, such as 1.")
@click.option("--schema", type=FILE, required=True, help="The feature schema that the model was made for.")
@click.option(
    "--party",
    "parties",
    multiple=True,
    required=True,
    help="Who computes, by short name; once for each, in the order of the definitions.",
)
@click.option(
    "--class",
    "classes",
    multiple=True,
    help="Of a model of several classes: the name of each, in the order of its answers.",
)
@click.pass_obj
def import_command(
    app: App,
    file: Path,
    name: str,
    version: str,
    schema: Path,
    parties: tuple[str, ...],
    classes: tuple[str, ...],
) -> None:
    """Split the model in FILE, seal a share to each party, and hand the shares in. Prints the model's digest.

    FILE is what XGBoost saves as JSON, what LightGBM saves as text, or an .npz archive of tensors. It is read and
    checked here before anything is sent, and the weights stay here. Cut off, the same command goes on.
    """
    content = document(schema, "--schema", "feature schema")
    found = _read_model(file, feature_schema(schema, "--schema"))
    app.progress.print(f"  {file.name}: a model of kind {found.kind}")
    with app.api("models.write") as api:
        done = models.import_model(
            app.home,
            api,
            model=name,
            version=version,
            kind=found.kind,
            schema=content,
            tensors=found.tensors,
            parties=parties,
            classes=classes,
            say=lambda step: app.progress.print(f"  {step}"),
        )
    app.answer({"digest": done.digest, "manifest": plain(done.manifest)}, lambda console: console.print(done.digest))


@model.command("canaries")
@click.argument("definition", type=DIGEST)
@click.pass_obj
def canaries_command(app: App, definition: str) -> None:
    """Seal canaries, records with known results, to each requester of DEFINITION, whose model this institution owns.

    The requesters' next requests are mixed with these. The model is read from this folder, from which it was imported.
    """
    with app.api("definitions.read models.write") as api:
        found = governance.fetch_definition(app.home, api, definition)
        count = models.seal_canaries_for(app.home, api, found)
    requesters = found.content["requesters"]
    app.answer(
        {"definition": definition, "requesters": requesters, "canaries": count},
        lambda console: console.print(f"{count} canaries sealed to each of {', '.join(requesters)}."),
    )


@model.command()
@click.argument("digest", type=DIGEST)
@click.option("--study", required=True, help="The study, by its short name.")
@click.option("--yes", is_flag=True, help="Do not ask: it cannot be taken back.")
@click.pass_obj
def disclose(app: App, digest: str, study: str, yes: bool) -> None:
    """Accept that explanations in a study tell requesters the weights of the model DIGEST, which this institution owns.

    A linear model is explained only then.
    """
    if not yes:
        click.confirm(f"Every requester of {study} can then work the weights out. Accept it?", abort=True)
    with app.api("models.write") as api:
        models.disclose_weights(app.home, api, model=digest, study=study)
    app.answer(
        {"model": digest, "study": study},
        lambda console: console.print(f"Accepted for {study}: explanations may tell the weights of {digest}."),
    )


@model.command()
@click.argument("digest", type=DIGEST)
@click.argument("card", type=FILE)
@click.option("--yes", is_flag=True, help="Do not ask: everybody reads it, and the log keeps it for ever.")
@click.pass_obj
def describe(app: App, digest: str, card: Path, yes: bool) -> None:
    """State what is in the file CARD of the model DIGEST, which this institution owns.

    It takes the place of what was stated before. `concordat model card --template` makes a file to fill in.
    """
    attributes = read_attributes(document(card, "CARD", "model card"))
    said = ", ".join(each.title for each in stated(attributes))
    app.progress.print(f"Stated: {said}.\n{_left_out(attributes)}")
    if not yes:
        click.confirm("Everybody reads it, and the log keeps it for ever. Sign it?", abort=True, err=True)
    with app.api("models.read models.write") as api:
        signed = model_cards.describe(app.home, api, digest, attributes)
    counts = f"Card {signed['sequence']} of {digest} counts now."
    app.answer({"card": plain(signed)}, lambda console: console.print(counts, soft_wrap=True))


@model.command("card")
@click.argument("digest", type=DIGEST, required=False)
@click.option("--template", "empty", is_flag=True, help="Print a card to be filled in, and what each attribute asks.")
@click.pass_obj
def card_command(app: App, digest: str | None, empty: bool) -> None:
    """Show the card of the model DIGEST: what its owner states of it, verified."""
    if empty is bool(digest):
        raise click.UsageError("Give either DIGEST or --template.")
    if digest is None:
        for name, each in ATTRIBUTES.items():
            app.progress.print(f"{name}: {each.asks} {each.paragraph}", soft_wrap=True)
        click.echo(json.dumps(template(), indent=2))
        return
    with app.api("models.read") as api:
        owner = recalls.fetch_model(app.home, api, digest).manifest["owner"]
        card = model_cards.fetch(app.home, api, digest, owner=owner)
    app.answer({"digest": digest, "card": card and plain(card)}, lambda console: _print_card(console, card))


@model.command()
@click.argument("digest", type=DIGEST)
@click.option("--reason", type=click.Choice(get_args(Why)), required=True, help="Why it is recalled.")
@click.option(
    "--class",
    "classification",
    type=click.Choice(get_args(Classification)),
    required=True,
    help="How grave it is: " + "; ".join(f"{grave}, {means}" for grave, means in CLASSES.items()) + ".",
)
@click.option(
    "--advice",
    type=FILE,
    required=True,
    help="A file with one line of at most 300 characters: what users have to do. Everybody reads it, for ever: write "
    "nothing about a person.",
)
@click.option("--yes", is_flag=True, help="Do not ask: it cannot be taken back.")
@click.pass_obj
def recall(app: App, digest: str, reason: Why, classification: Classification, advice: Path, yes: bool) -> None:
    """Recall the model DIGEST, which this institution owns. Nothing is computed or released with it any more.

    It cannot be taken back. A corrected model is another version.
    """
    words = _line(advice)
    with app.api("definitions.read models.read models.write") as api:
        if not yes:
            manifest = recalls.fetch_own(app.home, api, digest)
            concerned = api.lists.definitions(model=digest)
            why = f"{WHY[reason]} (class {classification}: {CLASSES[classification]})"
            _print_meant(app.progress, manifest, why, words, concerned)
            click.confirm("A recall cannot be taken back. Recall it?", abort=True, err=True)
        said = recalls.recall(app.home, api, digest, reason=reason, classification=classification, advice=words)
    app.answer({"recall": plain(said)}, lambda console: _print_recall(console, said))


def _read_model(file: Path, schema: FeatureSchema) -> Imported:
    try:
        return from_file(file.read_bytes(), len(schema.columns))
    except Refused as refused:
        raise Refused(refused.reason, detail=f"{file.name}: {refused.detail}", field="FILE") from None


def _line(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise Refused(Reason.FIELD_INVALID, detail=f"{file.name} is no UTF-8 text.", field="--advice") from None


def _print(console: Console, digest: str, found: CheckedModel) -> None:
    manifest = found.manifest
    table = Table(show_header=False, box=None)
    rows = {
        "model": f"{manifest['model']} {manifest['version']}",
        "owner": manifest["owner"],
        "kind": f"{manifest['kind']}, {manifest['parameters']} parameters",
        "classes": ", ".join(manifest["classes"]) or "two",
        "parties": ", ".join(manifest["parties"]),
        "trained in": manifest.get("trained", "") or "no training here",
        "issued": manifest["issued"],
        "recalled": "not, as far as the coordinator says" if found.recall is None else found.recall["time"],
    }
    for name, text in rows.items():
        table.add_row(name, text)
    console.print(digest, soft_wrap=True)
    console.print(table)
    if found.recall is not None:
        _print_recall(console, found.recall)


def _print_card(console: Console, card: ModelCard | None) -> None:
    if card is None:
        console.print("Its owner has signed no card, as far as the coordinator says.")
        return
    latest = "the latest, as far as the coordinator says"
    console.print(f"Card {card['sequence']} of {card['institution']}, {card['time']}: {latest}", soft_wrap=True)
    for attribute, paragraphs in stated(card["attributes"]).items():
        console.print(f"\n{attribute.title}", style="bold")
        for each in paragraphs:
            console.print(f"  {each}")
    console.print(f"\n{_left_out(card['attributes'])}")


def _left_out(attributes: Attributes) -> str:
    return f"Not stated: {', '.join(each.title for each in not_stated(attributes)) or 'nothing'}."


def _print_meant(
    console: Console, manifest: Manifest, why: str, advice: str, concerned: Sequence[DefinitionSummary]
) -> None:
    """Of what a recall is, what it says, and what it ends."""
    console.print(f"{manifest['model']} {manifest['version']} of {manifest['owner']}", style="bold")
    console.print(f"To be recalled: {why}.\nThe owner's advice: {advice}\nDefinitions that it ends:", soft_wrap=True)
    rows = [(each["study"], each["kind"], each["state"], each["digest"]) for each in concerned]
    columns(console, ("study", "kind", "state", "definition"), rows or [("none", "", "", "")])


def _print_recall(console: Console, said: Recall) -> None:
    console.print(f"\n{sentence(said)}\nThe owner's advice: {said['advice']}")
