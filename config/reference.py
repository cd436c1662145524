"""Writes the reference pages that are generated from code, and checks that the committed ones are current.

python -m config.reference            writes docs/reference/*
python -m config.reference --check    names the stale pages, status 1
"""

import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import django

from concordat import event_schema
from concordat.events import EVENTS
from concordat.reasons import REASONS
from concordat.states import TRANSITIONS
from concordat.verifier import answer
from config import fhir_reference, omop_reference

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def reasons() -> str:
    """Every refusal: code, sentence, remedy, HTTP status."""
    rows = ((f"`{code}`", info.sentence, info.remedy, str(info.status)) for code, info in REASONS.items())
    return (
        "# Reasons\n\nEvery way in which Concordat says no. A code never changes its meaning. "
        "Generated from `concordat/reasons.py`.\n\n" + _table(("code", "what it says", "what to do", "HTTP"), rows)
    )


def events() -> str:
    """Every kind of log entry."""
    rows = (
        (f"`{event}`", info.description, ", ".join(info.public), ", ".join(info.private), ", ".join(info.documents))
        for event, info in EVENTS.items()
    )
    return (
        "# Events\n\nEvery kind of log entry. *Public* fields hold nothing about a person; *committed* fields are "
        "salted commitments that can be opened one at a time; *documents* are named by digest. Generated from "
        "`concordat/events.py`; [events.schema.json](events.schema.json) says the same in JSON Schema.\n\n"
        + _table(("event", "what it records", "public", "committed", "documents"), rows)
    )


def states() -> str:
    """The states of a job, as a diagram."""
    arrows = [f"    {before} --> {after}" for before, afters in TRANSITIONS.items() for after in sorted(afters)]
    ends = [f"    {state} --> [*]" for state, afters in TRANSITIONS.items() if not afters]
    return (
        "# States of a job\n\nGenerated from `concordat/states.py`.\n\n"
        "```mermaid\nstateDiagram-v2\n    [*] --> requested\n" + "\n".join([*arrows, *ends]) + "\n```\n"
    )


def study_states() -> str:
    """The states of a study and of what belongs to it, as diagrams."""
    from governance.rulebook import MACHINES

    diagrams = (f"\n## {machine.title}\n\n```mermaid\n{machine.mermaid()}\n```\n" for machine in MACHINES)
    return (
        "# States of a study\n\nAnd of what is submitted under it, of meetings, their items, incidents and legal "
        "matters. "
        "Generated from `governance/states.py`. An approval lapses, and a matter expires, by the clock alone.\n"
        + "".join(diagrams)
    )


def permissions() -> str:
    """Which role may do what, and in which state of the study."""
    from governance import rulebook

    (roles, who), (states, when) = rulebook.roles(), rulebook.study_states()
    return (
        "# Permissions\n\nGenerated from `governance/permissions.py` and `governance/policies.py`; the site's help "
        "page shows the same.\n\n## Which role\n\n"
        "Each at its own institution only. No person defines or consents here: an institution does, by its own "
        "signature. Every role reads the lists that concern its institution.\n\n"
        + _table(("", *roles), _yes(who))
        + "\n## In which state of the study\n\nWhat is not listed is possible in every state: withdrawing consent, "
        "revoking an approval, reading a dossier.\n\n" + _table(("", *states), _yes(when))
    )


def _yes(rows: Iterable[tuple[str, list[bool]]]) -> Iterable[list[str]]:
    return ([f"`{verb}`", *("yes" if flag else "" for flag in flags)] for verb, flags in rows)


def openapi() -> str:
    """The API's OpenAPI schema as YAML."""
    from drf_spectacular.generators import SchemaGenerator
    from drf_spectacular.renderers import OpenApiYamlRenderer

    schema = SchemaGenerator().get_schema(request=None, public=True)
    written: bytes = OpenApiYamlRenderer().render(schema, renderer_context={})
    return written.decode()


def dossier() -> str:
    """The JSON Schema of what a dossier's verifier answers."""
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **answer.schema()}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def events_schema() -> str:
    """The JSON Schema of the log's entries."""
    return json.dumps(event_schema.schema(), indent=1, ensure_ascii=False) + "\n"


def fhir() -> str:
    """What of FHIR is read and written."""
    return fhir_reference.page(_table)


def omop() -> str:
    """What of OMOP tables is read."""
    return omop_reference.page(_table)


PAGES: dict[str, Callable[[], str]] = {
    "reasons.md": reasons,
    "events.md": events,
    "states.md": states,
    "study-states.md": study_states,
    "permissions.md": permissions,
    "fhir.md": fhir,
    "omop.md": omop,
    "openapi.yaml": openapi,
    "dossier.schema.json": dossier,
    "events.schema.json": events_schema,
}


def main(arguments: list[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    pages = {FOLDER / name: page() for name, page in PAGES.items()}
    if arguments == ["--check"]:
        stale = [path.name for path, text in pages.items() if not path.exists() or path.read_text() != text]
        if stale:
            sys.stderr.write(f"Stale in docs/reference: {', '.join(stale)}. Run `make docs`.\n")
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in pages.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
