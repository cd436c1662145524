"""What was read from a FHIR Bundle, as a table for a terminal."""

from datetime import timedelta
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from concordat.client.cli.terminal import visible
from concordat.reading import Item, Reading
from concordat.schema import Feature, FeatureSchema

_MINUTES = len("2026-03-02T08:40")


def table(reading: Reading, schema: FeatureSchema) -> Group:
    """One line a feature: the value, its age, where it came from; and below, what was left out."""
    rows = Table(box=None, pad_edge=False)
    for heading in ("feature", "value", "taken", "age", "from", ""):
        rows.add_column(heading, overflow="fold", no_wrap=heading in ("taken", "age"))
    features = {feature.name: feature for feature in schema.features}
    for item in reading.items:
        cells = _cells(features[item.feature], item)
        rows.add_row(*map(Text, map(visible, cells)))
    left = [f"Left out: {each.count} × {each.resource}: {each.why}." for each in reading.left_out]
    return Group(rows, *map(Text, map(visible, left)))


def to_json(reading: Reading) -> dict[str, Any]:
    """For machines: where every value came from and what was left out; no values."""
    left = [{"resource": each.resource, "why": each.why, "count": each.count} for each in reading.left_out]
    return {"items": reading.origins["items"], "left_out": left}


def _cells(feature: Feature, item: Item) -> tuple[str, ...]:
    value = "—" if item.value is None else _say(feature, item)
    note = f"from {item.unit}" if item.converted else "" if item.state == "read" and not item.why else item.why
    source = (
        item.reference if "/" in item.reference else item.place or item.resource
    )  # a urn:uuid: says nobody anything
    return feature.label, value, item.taken[:_MINUTES], _age(item.age), source, note


def _say(feature: Feature, item: Item) -> str:
    levels = [level.value for level in feature.levels]
    if feature.kind == "category" and item.value not in levels:
        return str(item.value)  # the schema will refuse it, and say so
    return feature.say(item.value)


def _age(age: timedelta | None) -> str:
    if age is None:
        return ""
    days, hours = age.days, int(age / timedelta(hours=1))
    return f"{days} d" if days >= 2 else f"{hours} h"
