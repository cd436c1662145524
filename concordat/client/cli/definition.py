"""`concordat definition`: read what is proposed, and vote on it."""

import click
from rich.console import Console
from rich.table import Table

from concordat.client import governance
from concordat.client.cli.common import App
from concordat.client.governance import CheckedDefinition
from concordat.data_use import LABELS
from concordat.fields import plain


@click.group()
def definition() -> None:
    """Computation definitions: what may be computed, by whom and for whom."""


@definition.command()
@click.argument("digest")
@click.pass_obj
def show(app: App, digest: str) -> None:
    """Show the definition DIGEST after recomputing every digest, signature and mask in it."""
    with app.api("definitions.read") as api:
        found = governance.fetch_definition(app.home, api, digest)
    value = {"digest": digest, "state": found.state, "definition": plain(found.content), "votes": found.approvals}
    app.answer(value, lambda console: _print(console, found))


@definition.command()
@click.argument("digest")
@click.pass_obj
def approve(app: App, digest: str) -> None:
    """Approve the definition DIGEST for this institution; it is checked first, and signed with the chain key."""
    _vote(app, digest, approve=True)


@definition.command()
@click.argument("digest")
@click.pass_obj
def revoke(app: App, digest: str) -> None:
    """Revoke this institution's approval of DIGEST. It takes effect at once; what is running is withheld."""
    _vote(app, digest, approve=False)


_COMPUTES = {
    "explain": "one prediction and its explanation in {target}",
    "train": "a training (may be agreed on; this version runs none)",
    "audit": "an audit (may be agreed on; this version runs none)",
}


def _vote(app: App, digest: str, *, approve: bool) -> None:
    with app.api("definitions.read definitions.vote") as api:
        vote = governance.vote(app.home, api, digest, approve=approve)
    word = "Approved" if approve else "Revoked"
    app.answer(
        {"vote": plain(vote)},
        lambda console: console.print(f"{word} {digest}\nVote {vote['nonce']} of {app.home.institution} handed in."),
    )


def _canaries(count: int, owner_computes: bool) -> str:
    if not count:
        return "none: a node that changes a result is not noticed"
    times = f"{count} time{'s' if count > 1 else ''} in {count + 1}"
    but = ", unless it is that of the model's owner, which knows them" if owner_computes else ""
    return f"{count} with each record: a node that changes one record's result is noticed {times}{but}"


def _design(found: CheckedDefinition) -> str:
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
