"""Several classes: their probabilities, and of each class an explanation of its own.

What is explained of a class is its *log-odds against the average of all classes*: the logarithm of its probability over
the geometric mean of all classes' probabilities (`concordat.kinds.mlp_classes`). The probabilities are the softmax of
them, which is computed here. A factor that raises a class's log-odds so makes it more probable in comparison with the
classes on average, and may make another one more probable still.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from concordat import explanation, what_if
from concordat.canonical import Json
from concordat.design import Plan
from concordat.explanation import Explanation, decimal, factor_lines, fit_line, intervals_line, method_lines
from concordat.kinds.kind import softmax
from concordat.outputs import Opened
from concordat.reasons import Reason, Refused
from concordat.schema import EncodedRecord, FeatureSchema, Value
from concordat.what_if import Change

TEMPLATE = "terminal-classes-v1"

AGAINST = "the average of all classes"

SHOWN = 2
"""Of how many classes, the most probable ones, factors are shown unless others are asked for."""


@dataclass(frozen=True)
class OfClass:
    """A class by its public name, its probability, and what is explained: `explanation.prediction` are its log-odds
    against the average of all classes."""

    name: str
    probability: float
    explanation: Explanation


@dataclass(frozen=True)
class Classes:
    """A prediction of several classes, and its explanations; the most probable class comes first."""

    ranked: tuple[OfClass, ...]

    def to_json(self) -> dict[str, Json]:
        """As canonical JSON allows it: decimals are strings with four places. `prediction`, `intercept`, `coefficient`,
        `low` and `high` are log-odds `against` the average of all classes."""
        first = self.ranked[0].explanation
        return {
            "v": 1,
            "method": first.wording.name,
            "target": first.target,
            "against": AGAINST,
            "classes": [
                {
                    "class": each.name,
                    "probability": decimal(each.probability),
                    "prediction": decimal(each.explanation.prediction),
                    **each.explanation.surrogate_to_json(),
                }
                for each in self.ranked
            ],
        }


@dataclass(frozen=True)
class ClassesIf:
    """A question, and the classes' probabilities that the model predicts then, by name."""

    words: str
    probabilities: Mapping[str, float]

    def to_json(self) -> dict[str, Json]:
        """As canonical JSON allows it."""
        probabilities = {name: decimal(probability) for name, probability in self.probabilities.items()}
        return {"what_if": self.words, "probabilities": probabilities}


def log_odds_of(name: str) -> str:
    """What of a class is explained, in words."""
    return f"log-odds of “{name}” against {AGAINST}"


def explain(
    opened: Sequence[Opened], names: Sequence[str], *, design: Plan, schema: FeatureSchema, record: EncodedRecord
) -> Classes:
    """Fit, rank and put into words what was opened of each class (`outputs.add_up`). Raises Refused as
    `explanation.explain` does."""
    probabilities = softmax(np.array([each.prediction for each in opened]))
    told = [
        OfClass(
            name,
            float(probability),
            explanation.explain(
                each, design=design, schema=schema, record=record, of=log_odds_of(name).removeprefix("log-odds")
            ),
        )
        for name, probability, each in zip(names, probabilities, opened, strict=True)
    ]
    return Classes(tuple(sorted(told, key=lambda each: -each.probability)))


def answer(
    changes: Sequence[Change],
    opened: Sequence[Opened],
    names: Sequence[str],
    *,
    schema: FeatureSchema,
    values: Mapping[str, Value],
    imputed: Collection[str] = (),
) -> tuple[ClassesIf, ...]:
    """Questions, in the order in which they were asked, and their answers."""
    probabilities = softmax(np.array([each.what_ifs for each in opened]).T)
    return tuple(
        ClassesIf(what_if.say(change, schema, values, imputed=imputed), dict(zip(names, map(float, row), strict=True)))
        for change, row in zip(changes, probabilities, strict=True)
    )


def check_shown(shown: Sequence[str], names: Sequence[str]) -> None:
    """Raises Refused(FIELD_INVALID) for a class that the model does not know."""
    for name in shown:
        if name not in names:
            known = f"the classes are: {', '.join(names)}" if names else "this model tells no classes apart by name"
            raise Refused(Reason.FIELD_INVALID, detail=f"There is no class “{name}”: {known}.", field="class")


def render_text(classes: Classes, shown: Sequence[str] = (), *, most: int = 5) -> str:
    """Plain text for a terminal: all probabilities; of the classes `shown`, or else of the two most probable ones, the
    `most` strongest factors and how far to trust them."""
    wide = max(len(each.name) for each in classes.ranked)
    lines = ["Predicted probability of each class"]
    lines += [
        f"  {each.probability:6.1%}  {each.name:<{wide}}  (log-odds against {AGAINST} "
        f"{each.explanation.prediction:+.2f})"
        for each in classes.ranked
    ]
    chosen = [each for each in classes.ranked if each.name in shown] if shown else classes.ranked[:SHOWN]
    for each in chosen:
        told = each.explanation
        lines += ["", f"{each.name}: factors in {log_odds_of(each.name)}"]
        lines += factor_lines(told, told.wording.heading, most)
        lines.append(fit_line(told))
    left = [each.name for each in classes.ranked if each not in chosen]
    if left:
        lines += ["", f"Not shown, and in the result too: the factors of {', '.join(f'“{name}”' for name in left)}."]
    first = classes.ranked[0].explanation
    lines += ["", intervals_line(first), *method_lines(first, f"log-odds against {AGAINST}")]
    return "\n".join(lines) + "\n"


def render_what_ifs(answers: Sequence[ClassesIf], classes: Classes) -> str:
    """Lines for a terminal, empty where nothing was asked; changes are from the record's own probabilities."""
    if not answers:
        return ""

    def line(each: ClassesIf) -> str:
        said = (
            f"{one.name} {each.probabilities[one.name]:.1%}"
            f" ({100 * (each.probabilities[one.name] - one.probability):+.1f} points)"
            for one in classes.ranked
        )
        return f"  {', '.join(said)}:  {each.words}"

    return what_if.under_heading(map(line, answers))
