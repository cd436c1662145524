"""What can be said of a request now. Only one of the answers is a result."""

from datetime import datetime, timedelta
from typing import Literal

from concordat import clock
from concordat.bedside.config import Config
from concordat.bedside.item import Item
from concordat.schema import Feature, FeatureSchema

Standing = Literal["pending", "late", "down", "failed", "stale", "retracted", "superseded", "ready"]
"""Only `ready` is a result; none of the others says anything about a risk."""

SKEW = timedelta(minutes=10)
"""By how much the clock of whoever took a value may be ahead of ours."""

WORKER_SILENT = timedelta(minutes=2)
"""After so long without a sign of the worker, what is pending waits for nobody."""


def outlived(item: Item, schema: FeatureSchema, *, now: datetime) -> list[Feature]:
    """The features whose values are older by now than their `max_age` allows, or do not say how old they are: what
    would not be read any more is not shown any more either. What was not measured has no age."""
    return [each for each in schema.features if item.values.get(each.name) is not None and _old(item, each, now)]


def _old(item: Item, feature: Feature, now: datetime) -> bool:
    if feature.oldest is None:
        return False
    taken = item.taken.get(feature.name)
    return taken is None or now - clock.parse(taken) > feature.oldest


def standing(item: Item, config: Config, *, now: datetime, worker: datetime | None, outlived: bool = False) -> Standing:
    """What can be said of an item. `worker` is when the worker last reached the coordinator, `outlived` whether an
    input is older than the schema allows."""
    if item.retraction:
        return "retracted"
    if item.definition != config["definition"]:
        return "superseded"
    if item.state == "open":
        fresh = -SKEW <= now - item.oldest <= timedelta(hours=config["stale_after_hours"])
        return "ready" if fresh and not outlived else "stale"
    if item.state == "failed":
        return "failed"
    if worker is None or now - worker > WORKER_SILENT:
        return "down"
    return "late" if now - item.asked > timedelta(minutes=config["late_after_minutes"]) else "pending"
