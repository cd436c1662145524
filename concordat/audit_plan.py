"""The plan of an audit: how a model's answers are counted, about whom, and against which outcome.

A definition of the kind "audit" names the plan by its digest, in the field `design`. Every compute party brings rows of
its own: people of a cohort, with the features that the model reads and whether the outcome came. Counted are rows by
group, outcome, and the two thresholds that the answer lies between (`figures` says what follows from that: rates by
group as Hardt, Price and Srebro, NIPS 2016, compare them, and calibration). Nothing else comes out of the engines,
and of these counts only those that are not about fewer people than the definition's `minimum_cell`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le, Len
from numpy.typing import NDArray
from pydantic import with_config
from typing_extensions import TypedDict

from concordat.canonical import Json, digest
from concordat.cohort import MOST_ROWS, Encoded, OutcomeDocument, Row, encode
from concordat.fields import STRICT, DecimalText, Digest, MaybeDecimal, Slug, Text, read
from concordat.reasons import Reason, Refused
from concordat.schema import Feature, FeatureSchema, Value

METHOD: Literal["counts"] = "counts"

EVERYBODY = "everybody"
"""The one group of a plan that names none."""

MOST_COMPARED = 1 << 15
"""Rows of one institution times thresholds: what engines compare at once, and wait for, grows with them."""

MOST_THRESHOLDS, MOST_GROUPS = 20, 40


@with_config(STRICT)
class GroupDocument(TypedDict):
    """Who has one of the `values` of a category or boolean ("true", "false"); or a number from `at_least` to, not
    including, `below`, either of which may be empty."""

    name: Slug
    label: Text
    feature: Slug
    values: list[Text]
    at_least: MaybeDecimal
    below: MaybeDecimal


@with_config(STRICT)
class PlanDocument(TypedDict):
    """`thresholds` are probabilities that rise; `rows` is how many each institution brings, at most."""

    v: Literal[1]
    method: Literal["counts"]
    schema: Digest
    outcome: OutcomeDocument
    groups: Annotated[list[GroupDocument], Len(0, MOST_GROUPS)]
    thresholds: Annotated[list[DecimalText], Len(1, MOST_THRESHOLDS)]
    rows: Annotated[int, Ge(1), Le(MOST_ROWS)]


@dataclass(frozen=True)
class AuditPlan:
    """A checked plan."""

    outcome: OutcomeDocument
    groups: tuple[GroupDocument, ...]
    thresholds: tuple[float, ...]
    rows: int
    schema: str
    digest: str

    @classmethod
    def from_json(cls, document: Json) -> "AuditPlan":
        """Read a plan. Raises Refused: FIELD_MISSING, FIELD_UNKNOWN or FIELD_INVALID, naming the field."""
        found = read(document, PlanDocument)
        names = [group["name"] for group in found["groups"]]
        if len(set(names)) < len(names) or EVERYBODY in names:
            raise _invalid("groups", f"Groups have names of their own, and none is “{EVERYBODY}”.")
        thresholds = tuple(map(float, found["thresholds"]))
        rising = all(lower < higher for lower, higher in pairwise(thresholds))
        if not (rising and thresholds[0] > 0 and thresholds[-1] < 1):
            raise _invalid("thresholds", "They are probabilities between 0 and 1, each higher than the one before.")
        if found["rows"] * len(thresholds) > MOST_COMPARED:
            raise _invalid("rows", f"Rows times thresholds are at most {MOST_COMPARED}.")
        return cls(
            found["outcome"], tuple(found["groups"]), thresholds, found["rows"], found["schema"], digest(document)
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Of the groups, in the order in which they are counted."""
        return tuple(group["name"] for group in self.groups) or (EVERYBODY,)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(groups, outcomes, bins) of the counts."""
        return len(self.names), 2, len(self.thresholds) + 1

    @property
    def cells(self) -> int:
        """How many counts there are."""
        groups, outcomes, bins = self.shape
        return groups * outcomes * bins

    def check(self, schema: FeatureSchema) -> None:
        """Raises Refused: DIGEST_MISMATCH for another schema; FIELD_INVALID for an outcome with a feature's name, or
        naming the group that the schema has no such values for, that is by another feature than the first one, or that
        overlaps an earlier one: from sums of other counts would follow a count that is too small to be opened."""
        if self.schema != schema.digest:
            raise Refused(Reason.DIGEST_MISMATCH, detail="The plan was made for another schema.", field="schema")
        features = {feature.name: feature for feature in schema.features}
        if self.outcome["name"] in features:
            raise _invalid("outcome.name", "A feature has this name.")
        for place, group in enumerate(self.groups):
            field = f"groups.{place}"
            if group["feature"] not in features:
                raise _invalid(f"{field}.feature", "The schema has no such feature.")
            _check_group(group, features[group["feature"]], field)
            if group["feature"] != self.groups[0]["feature"]:
                raise _invalid(f"{field}.feature", "All groups of a plan are by one feature.")
            for other in self.groups[:place]:
                if _overlap(group, other):
                    raise _invalid(field, f"It overlaps the group {other['name']}.")

    def members(self, values: Mapping[str, Value]) -> list[bool]:
        """Which group a person with these measured values is in: in none by a value that is missing."""
        return [_in(group, values.get(group["feature"])) for group in self.groups] or [True]

    def encode(self, schema: FeatureSchema, rows: Iterable[Row | Reason]) -> Encoded:
        """What an institution brings of these people (`cohort.encode`)."""
        return encode(schema, rows, most=self.rows, groups=len(self.names), members=self.members)

    def count(self, probabilities: NDArray[np.float64], encoded: Encoded) -> NDArray[np.int64]:
        """(groups, outcomes, bins) in plaintext: the reference for the engine. `probabilities` (rows,) are the model's
        for the padded rows."""
        bins = np.searchsorted(self.thresholds, probabilities, side="right")
        chosen = np.eye(len(self.thresholds) + 1, dtype=np.int64)[bins]
        counts: NDArray[np.int64] = (encoded.members.T @ chosen).reshape(self.shape)
        return counts


def check_plan(document: Json, schema: FeatureSchema) -> AuditPlan:
    """A plan that fits the schema. Raises Refused as `AuditPlan.from_json` and `AuditPlan.check` do."""
    plan = AuditPlan.from_json(document)
    plan.check(schema)
    return plan


def _check_group(group: GroupDocument, feature: Feature, field: str) -> None:
    ends = [float(group[end]) for end in ("at_least", "below") if group[end]]
    if feature.kind == "number":
        if group["values"] or not ends or ends != sorted(set(ends)):
            raise _invalid(field, f"A group by {feature.name} has an end, and no values.")
        return
    known = ["true", "false"] if feature.kind == "boolean" else [level.value for level in feature.levels]
    if ends or not group["values"] or not set(group["values"]) <= set(known):
        raise _invalid(field, f"A group by {feature.name} has values among: {', '.join(known)}.")


def _overlap(one: GroupDocument, other: GroupDocument) -> bool:
    """Whether anybody could be in both, which are by the same feature."""
    if one["values"]:
        return bool(set(one["values"]) & set(other["values"]))
    low = max(float(each["at_least"] or "-inf") for each in (one, other))
    high = min(float(each["below"] or "inf") for each in (one, other))
    return low < high


def _in(group: GroupDocument, value: Value) -> bool:
    if value is None:
        return False
    if group["values"]:
        return (str(value).lower() if isinstance(value, bool) else value) in group["values"]
    assert isinstance(value, int | float)
    above = not group["at_least"] or value >= float(group["at_least"])
    return above and (not group["below"] or value < float(group["below"]))


def _invalid(field: str, detail: str) -> Refused:
    return Refused(Reason.FIELD_INVALID, detail=detail, field=field)
