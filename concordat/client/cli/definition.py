"""`concordat definition`: read what is proposed, and vote on it."""

from functools import partial
from pathlib import Path
from typing import get_args

import click
from rich.console import Console
from rich.table import Table

from concordat.audit_plan import AuditPlan
from concordat.client import governance
from concordat.client.cli.common import DIGEST, FILE, App, columns, document, seconds_option
from concordat.client.follow import once_there
from concordat.client.governance import CheckedDefinition
from concordat.data_use import LABELS
from concordat.definition import Kind
from concordat.fields import plain
from concordat.recall import sentence
from concordat.schema import Feature, FeatureSchema
from concordat.training_privacy import DELTA
from concordat.votes import VoteDocument


@click.group()
def definition() -> None:
    """Computation definitions: what may be computed, by whom and for whom."""


@definition.command()
@click.argument("template", type=FILE)
@click.option("--model", type=DIGEST, required=True, help="The imported model's digest.")
@click.option("--protocol", type=FILE, required=True, help="The protocol that the boards approved.")
@click.option("--schema", type=FILE, required=True, help="The feature schema that the model was made for.")
@click.option("--design", type=FILE, required=True, help="The design, or the plan of an audit or training.")
@click.pass_obj
def propose(app: App, template: Path, model: str, protocol: Path, schema: Path, design: Path) -> None:
    """Register the definition in TEMPLATE, so that institutions can vote on it, and print its digest.

    The digests of model, protocol, schema and design, and what explanations give away, are filled in where TEMPLATE
    does not name them.
    """
    with app.api("definitions.write models.read") as api:
        digest = governance.propose(
            app.home,
            api,
            document(template, "TEMPLATE", "computation definition"),
            model=model,
            protocol=document(protocol, "--protocol", "protocol"),
            schema=document(schema, "--schema", "feature schema"),
            design=document(design, "--design", "design or plan"),
        )
    app.answer({"digest": digest}, lambda console: console.print(digest))


@definition.command("list")
@click.option("--study", default="", help="Only those of this study, by its short name.")
@click.option("--kind", type=click.Choice(get_args(Kind)), help="Only those that compute this.")
@click.option("--model", type=DIGEST, help="Only those for this model.")
@click.pass_obj
def list_command(app: App, study: str, kind: str | None, model: str | None) -> None:
    """List the definitions in which this institution has a say, and those of studies that concern it.

    Nothing of it is verified: `concordat definition show` does that.
    """
    with app.api("definitions.read") as api:
        found = api.lists.definitions(study=study, kind=kind or "", model=model or "")
    rows = [(each["digest"], each["kind"], each["state"], each["study"], each["owner"]) for each in found]
    headings = ("digest", "kind", "state", "study", "owner")
    app.answer({"definitions": found}, lambda console: columns(console, headings, rows))


@definition.command()
@click.argument("digest", type=DIGEST)
@click.option("--features", is_flag=True, help="What a record has to hold, by name, instead.")
@click.pass_obj
def show(app: App, digest: str, features: bool) -> None:
    """Show the definition DIGEST after recomputing every digest, signature and mask in it."""
    with app.api("definitions.read") as api:
        found = governance.fetch_definition(app.home, api, digest)
    if features:
        listed = [each.model_dump(mode="json", exclude_defaults=True) for each in found.schema.features]
        app.answer({"digest": digest, "features": listed}, lambda console: _print_features(console, found.schema))
        return
    value = {
        "digest": digest,
        "state": found.state,
        "definition": plain(found.content),
        "votes": found.approvals,
        "recall": found.recall and plain(found.recall),
    }
    app.answer(value, lambda console: _print(console, found))


@definition.command()
@click.argument("digest", type=DIGEST)
@seconds_option(60, "How long to wait until a block holds the vote.")
@click.pass_obj
def approve(app: App, digest: str, seconds: float) -> None:
    """Approve the definition DIGEST for this institution; it is checked first, and signed with the chain key.

    It counts once a block of the chain holds it. Where none does in time, the command ends with 75.
    """
    with app.api("definitions.read definitions.vote") as api:
        vote = governance.vote(app.home, api, digest, approve=True)
        with app.progress.status("  waiting for a block that holds the vote"):
            once_there(partial(governance.check_in_block, app.home, api, digest), seconds=seconds)
    _answer(app, vote, f"Approved {digest}", "handed in; the chain holds the approval")


@definition.command()
@click.argument("digest", type=DIGEST)
@click.pass_obj
def revoke(app: App, digest: str) -> None:
    """Revoke this institution's approval of DIGEST. It takes effect at once; what is running is withheld."""
    with app.api("definitions.read definitions.vote") as api:
        vote = governance.vote(app.home, api, digest, approve=False)
    _answer(app, vote, f"Revoked {digest}", "handed in")


_COMPUTES = {
    "explain": "one prediction and its explanation in {target}",
    "train": "new weights in the model's form, learnt from rows that the parties' institutions bring; in shares",
    "audit": "counts of the model's answers over rows that the parties' institutions bring",
}


def _answer(app: App, vote: VoteDocument, what: str, where: str) -> None:
    app.answer(
        {"vote": plain(vote)},
        lambda console: console.print(f"{what}\nVote {vote['nonce']} of {app.home.institution} {where}."),
    )


def _canaries(count: int, owner_computes: bool) -> str:
    if not count:
        return "none: a node that changes a result is not noticed"
    times = f"{count} time{'s' if count > 1 else ''} in {count + 1}"
    but = ", unless it is that of the model's owner, which knows them" if owner_computes else ""
    return f"{count} with each record: a node that changes one record's result is noticed {times}{but}"


def _design(found: CheckedDefinition) -> str:
    if found.cohort is not None:
        outcome = f"“{found.cohort.outcome['label']}” within {found.cohort.outcome['days']} days"
        if isinstance(found.cohort, AuditPlan):
            return f"{found.cohort.cells} counts of {', '.join(found.cohort.names)} by {outcome}"
        result = found.cohort.result
        bound = f"tells of one person at most ε = {found.cohort.epsilon:g} (δ = {DELTA:.6f})"
        return f"{found.cohort.steps} steps towards {outcome}; becomes {result['model']} {result['version']}; {bound}"
    if found.plan is None:
        return "none"
    allowed = float(found.content["impossible"])
    return f"{found.plan.wording.name}, {found.plan.n} perturbed records, at most {allowed:.1%} of them impossible"


def _print(console: Console, found: CheckedDefinition) -> None:
    content = found.content
    table = Table(show_header=False, box=None, title=found.digest, title_justify="left")
    rows = {
        "state": found.state,
        "study": content["study"],
        "computes": _COMPUTES[content["kind"]].format(target=content["target"]),
        "model": f"{found.manifest['model']} {found.manifest['version']} ({found.manifest['kind']}) of "
        f"{found.manifest['owner']}",
        "trained in": found.manifest.get("trained", "no training here"),
        "recalled": f"{sentence(found.recall)} Advice: {found.recall['advice']}" if found.recall else "no",
        "classes": ", ".join(found.manifest["classes"]) or "two",
        "parties": ", ".join(content["parties"]) + f"; dealer {content['dealer']}",
        "requesters": ", ".join(content["requesters"]),
        "purposes": ", ".join(content["purposes"]) + ("; emergent use allowed" if content["emergent"] else ""),
        "data use": ", ".join(LABELS[code] for code in content["data_use"]),
        "design": _design(found),
        "opened": f"{', '.join(content['opened'])}; to {', '.join(content['recipients'])}",
        "budgets": "each requester {jobs_a_day} jobs a day, {jobs} in all; together {scalars} opened numbers".format(
            **content["budgets"]
        ),
        "canaries": _canaries(content["canaries"], found.manifest["owner"] in content["parties"]),
        "what-ifs": f"up to {content['what_ifs']} with a record",
        "audits": ", ".join(f"{audit['kind']} every {audit['every_days']} days" for audit in content["audits"])
        or "none",
        "gives away": content["extraction"]["statement"] if content["extraction"] else "no numbers of the model",
        "quorum": f"{content['quorum']['needed']} of {', '.join(content['quorum']['of'])}",
        "votes": ", ".join(f"{who}: {'yes' if yes else 'NO'}" for who, yes in found.approvals.items()) or "none yet",
        "valid until": content["valid_until"],
    }
    for name, text in rows.items():
        table.add_row(name, text)
    console.print(table)


def _print_features(console: Console, schema: FeatureSchema) -> None:
    table = Table(box=None, title=f"{schema.name} {schema.version}", title_justify="left")
    for heading in ("name", "feature", "value", "if missing"):
        table.add_column(heading)
    for each in schema.features:
        missing = "refused" if each.missing == "refuse" else f"counts as {each.say(each.reference_value)}"
        table.add_row(each.name, each.label, _allowed(each), missing)
    console.print(table)


def _allowed(feature: Feature) -> str:
    """What a record may say of it, as `--json` takes it."""
    if feature.kind == "number":
        low, high = feature.range
        return f"{low:g} to {high:g}" + ("" if feature.unit == "1" else f" {feature.unit}")
    if feature.kind == "boolean":
        return "true or false"
    return ", ".join(level.value for level in feature.levels)
