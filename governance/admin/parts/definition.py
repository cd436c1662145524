"""A definition to be read: what it computes, on which facts, within which ranges, by whom, how often."""

import json
from collections.abc import Mapping
from typing import Any

from concordat import canonical
from concordat.audit_plan import AuditPlan
from concordat.design import read_design
from concordat.plans import read_plan
from concordat.reasons import Refused
from concordat.schema import Feature, FeatureSchema
from concordat.training_plan import TrainingPlan
from governance import selectors, words
from governance.models import Definition
from ledger.selectors import document


def definition(of: Definition) -> dict[str, Any]:
    """What its page shows besides Django's own fields."""
    content = of.content
    plan = read_plan(content["kind"], canonical.decode(document(content["design"])))
    return {
        "definition": of,
        "content": content,
        "its_state": selectors.definition_state(of),
        "target": words.TARGETS[content["target"]],
        "votes": selectors.last_votes(of).values(),
        "model": _model(content),
        "recall": selectors.recall(content["model"]),
        "card": selectors.card(content["model"]),
        "features": [_feature(each) for each in _schema(content).features],
        "design": _design(content),
        "audit": plan if isinstance(plan, AuditPlan) else None,
        "training": plan if isinstance(plan, TrainingPlan) else None,
        "raw": json.dumps(content, ensure_ascii=False, indent=2),
    }


def _model(content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The signed manifest; None while its institution's keys do not verify it any more."""
    try:
        return selectors.manifest(content["model"])
    except Refused:
        return None


def _schema(content: Mapping[str, Any]) -> FeatureSchema:
    return FeatureSchema.from_json(canonical.decode(document(content["schema"])))


def _feature(of: Feature) -> dict[str, str]:
    if of.kind == "number":
        lowest, highest = of.range
        unit = of.unit_label or ("" if of.unit == "1" else of.unit)
        values = f"{lowest:g} to {highest:g} {unit}".rstrip()
    elif of.kind == "category":
        values = ", ".join(level.label for level in of.levels)
    else:
        values = "yes or no"
    return {
        "label": of.label,
        "words": of.words,
        "values": values,
        "missing": "counted as the reference" if of.missing == "impute" else "refused",
    }


def _design(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """None for a kind that explains nothing."""
    if content["kind"] != "explain":
        return None
    found = canonical.decode(document(content["design"]))
    assert isinstance(found, dict)
    return {
        "method": found["method"],
        "rows": read_design(found).n,
        "groups": found["groups"],
        "kernel_width": found["kernel_width"],
        "ridge": found["ridge"],
    }
