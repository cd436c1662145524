"""The plan of a training: a logistic regression is fitted to the rows of all parties' institutions, and nobody sees it.

A definition of the kind "train" names the plan by its digest, in the field `design`, and the model of whose form the
new one will be. The engines start from weights of 0 and descend the gradient of the mean log-loss over all rows,
padding included, with ridge penalty (Bishop, Pattern Recognition and Machine Learning, 4.3.2), in so many steps. What
comes out are shares of the new weights, each party's sealed to itself: they are opened to nobody.

But one explanation of such a model tells its weights, and weights are sums over people. So every party adds noise of
its own, of a size that makes what weights tell of one person differentially private (`training_privacy`), whatever all
other parties and the requester know together. It rests on what each institution does to its own rows: none is longer
than the plan's `norm`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import ring, training_privacy
from concordat.canonical import Json, digest
from concordat.cohort import MOST_ROWS, Encoded, OutcomeDocument, Row, encode
from concordat.fields import STRICT, DecimalText, Digest, Slug, Text, read
from concordat.kinds.kind import LOG_ODDS
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema

METHOD: Literal["gradient-descent"] = "gradient-descent"

MOST_STEPS = 100
FACTOR_BITS = 24
"""Of the public factors of a step."""

LARGEST_NORM = 16
"""Of a row with its 1 for the bias. With the bounds on steps, rate and ridge it keeps every number in the engines'
range: weights stay below 100 · 16, and with a penalty below 16 / ridge, so that a step moves them by less than 32; and
log-odds below 100 · 16²."""

SMALLEST_STEP = 1 << 6
"""What a step multiplies the summed gradient by, at 2^`FACTOR_BITS`: rounding changes it by less than 1 %."""


@with_config(STRICT)
class ResultDocument(TypedDict):
    """What the trained model will be called; it is its owner's to import."""

    model: Slug
    version: Text


@with_config(STRICT)
class PlanDocument(TypedDict):
    """`rate` is how far a step goes along the mean gradient; `ridge` the penalty on squared weights, halved, without
    the bias's; `rows` is how many each institution brings, at most; `norm` how long one is, at most, with its 1 for the
    bias; `epsilon` what the new weights may tell of one person (`training_privacy`)."""

    v: Literal[1]
    method: Literal["gradient-descent"]
    schema: Digest
    outcome: OutcomeDocument
    rows: Annotated[int, Ge(1), Le(MOST_ROWS)]
    steps: Annotated[int, Ge(1), Le(MOST_STEPS)]
    rate: DecimalText
    ridge: DecimalText
    norm: DecimalText
    epsilon: DecimalText
    result: ResultDocument


@dataclass(frozen=True)
class TrainingPlan:
    """A checked plan."""

    outcome: OutcomeDocument
    rows: int
    steps: int
    rate: float
    ridge: float
    norm: float
    epsilon: float
    result: ResultDocument
    schema: str
    digest: str

    @classmethod
    def from_json(cls, document: Json) -> "TrainingPlan":
        """Read a plan. Raises Refused: FIELD_MISSING, FIELD_UNKNOWN or FIELD_INVALID, naming the field."""
        found = read(document, PlanDocument)
        rate, ridge, norm = (float(found[name]) for name in ("rate", "ridge", "norm"))
        if not 0 < rate <= 1:
            raise _invalid("rate", "A step goes along the gradient by more than 0 and at most 1.")
        if not 0 <= ridge <= 1:
            raise _invalid("ridge", "The penalty lies between 0 and 1.")
        if not 1 < norm <= LARGEST_NORM:
            raise _invalid("norm", f"A row is longer than its 1 for the bias, and at most {LARGEST_NORM}.")
        smallest, largest = training_privacy.SMALLEST_EPSILON, training_privacy.LARGEST_EPSILON
        if not smallest <= float(found["epsilon"]) <= largest:
            raise _invalid("epsilon", f"It lies between {smallest} and {largest}.")
        if rate * (norm**2 / 4 + ridge) > training_privacy.LARGEST_STRIDE:
            at_most = training_privacy.LARGEST_STRIDE / (norm**2 / 4 + ridge)
            raise _invalid("rate", f"With rows of this norm a step may go by {at_most:.3f} at most.")
        return cls(
            outcome=found["outcome"],
            rows=found["rows"],
            steps=found["steps"],
            rate=rate,
            ridge=ridge,
            norm=norm,
            epsilon=float(found["epsilon"]),
            result=found["result"],
            schema=found["schema"],
            digest=digest(document),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Of the groups by which rows are marked: everybody."""
        return ("everybody",)

    def check(self, schema: FeatureSchema) -> None:
        """Raises Refused(DIGEST_MISMATCH) for another schema than the plan was made for."""
        if self.schema != schema.digest:
            raise Refused(Reason.DIGEST_MISMATCH, detail="The plan was made for another schema.", field="schema")

    def encode(self, schema: FeatureSchema, rows: Iterable[Row | Reason]) -> Encoded:
        """What an institution brings: a row that is longer than `norm` is shortened to it.

        Raises:
            Refused: TOO_LARGE for more people than `rows`: one of them more would put another one out, and so change
                two rows.
        """
        longest = float(np.sqrt(self.norm**2 - 1))
        found = encode(schema, rows, most=self.rows, groups=1, members=lambda values: [True], longest=longest)
        if found.left_out.get(Reason.TOO_LARGE):
            detail = f"There are more people than the plan's {self.rows} rows."
            raise Refused(Reason.TOO_LARGE, detail=detail, field="rows")
        return found

    def factors(self, parties: int) -> tuple[int, int]:
        """What a step multiplies the summed gradient by, and the weights by, at 2^`FACTOR_BITS`: whole numbers. Raises
        Refused(FIELD_INVALID) for a rate that so many rows make too small to be one."""
        one = 1 << FACTOR_BITS
        step = int(self.rate / (self.rows * parties) * one)  # never more: the bound on a step's length is on this
        if step < SMALLEST_STEP:
            at_least = SMALLEST_STEP / one * self.rows * parties
            raise _invalid("rate", f"With so many rows a step has to go by {at_least:.3f} at least.")
        return step, round(self.rate * self.ridge * one)

    def noise(self, parties: int, weights: int) -> float:
        """The standard deviation of what each of so many parties adds to every one of so many weights, the bias among
        them. Raises Refused as `factors`."""
        step, _ = self.factors(parties)
        sensitivity = training_privacy.sensitivity(
            step=step / (1 << FACTOR_BITS),
            steps=self.steps,
            norm=self.norm,
            rows=self.rows * parties,
            weights=weights,
        )
        return training_privacy.deviation(sensitivity, self.epsilon)

    def fit(self, brought: Iterable[Encoded]) -> NDArray[np.float64]:
        """(k + 1,) weights and, last, the bias in plaintext, before noise: the reference for the engines."""
        parts = list(brought)
        records = np.concatenate([ring.decode(each.records) for each in parts])
        members = np.concatenate([each.members for each in parts])
        rows = np.column_stack([records, members.sum(axis=1)])
        fitted = np.zeros(rows.shape[1])
        penalised = np.append(np.full(len(fitted) - 1, self.ridge), 0.0)
        for _ in range(self.steps):
            missed = 1 / (1 + np.exp(-np.clip(rows @ fitted, -50, 50))) - members[:, 1]
            fitted = fitted - self.rate * (rows.T @ missed / len(rows) + penalised * fitted)
        return fitted


def largest_weight(schema: FeatureSchema) -> float:
    """What weights and bias have to stay at or below in size, for log-odds of any record that a design may make to stay
    in range: what an owner proves of a model that it knows (`model.prove`) is opened of a trained one as a yes."""
    lowest, highest = schema.reach
    reach = np.maximum(np.abs(lowest), np.abs(highest))
    return float(LOG_ODDS / (1 + reach.sum())) - 2.0**-ring.BITS


def check_plan(document: Json, schema: FeatureSchema) -> TrainingPlan:
    """A plan that fits the schema. Raises Refused as `TrainingPlan.from_json` and `TrainingPlan.check` do."""
    plan = TrainingPlan.from_json(document)
    plan.check(schema)
    return plan


def _invalid(field: str, detail: str) -> Refused:
    return Refused(Reason.FIELD_INVALID, detail=detail, field=field)
