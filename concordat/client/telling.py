"""What an opened prediction says: its explanation, the answers to what-ifs, and the words that are shown."""

from collections.abc import Mapping, Sequence

from concordat import classes, what_if
from concordat.classes import Classes, ClassesIf
from concordat.client.governance import CheckedDefinition
from concordat.definition import scale_of
from concordat.explanation import TEMPLATE, Explanation, explain, render_text
from concordat.outputs import Opened
from concordat.schema import Value
from concordat.what_if import Change, WhatIf


def tell(
    definition: CheckedDefinition,
    opened: Sequence[Opened],
    values: Mapping[str, Value],
    changes: Sequence[Change],
    shown: Sequence[str],
) -> tuple[Explanation | Classes, tuple[WhatIf, ...] | tuple[ClassesIf, ...], str, str]:
    """Explanation, answers to what-ifs, and the text with its template."""
    design, schema, names = definition.design, definition.schema, definition.manifest["classes"]
    record = schema.encode_row(values)
    if names:
        found = classes.explain(opened, names, design=design, schema=schema, record=record)
        asked = classes.answer(changes, opened, names, schema=schema, values=record.values, imputed=record.imputed)
        text = classes.render_text(found, shown) + classes.render_what_ifs(asked, found)
        return found, asked, text, classes.TEMPLATE
    (only,) = opened
    explanation = explain(only, design=design, schema=schema, record=record)
    answers = what_if.answer(
        changes,
        list(only.what_ifs),
        schema=schema,
        values=record.values,
        target=scale_of(definition.content),
        imputed=record.imputed,
    )
    return (
        explanation,
        answers,
        render_text(explanation) + what_if.render_text(answers, explanation.probability),
        TEMPLATE,
    )
