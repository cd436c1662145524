"""Several classes in words: whose log-odds are explained, against what, and what is shown of them."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from concordat import canonical, classes, design
from concordat.canaries import known_result
from concordat.design import read_design
from concordat.kinds import KINDS
from concordat.kinds.kind import softmax
from concordat.outputs import Opened
from concordat.reasons import Reason, Refused
from tests.support.engines import SCHEMA

HEART = Path(__file__).parents[2] / "examples" / "heart_disease"
NAMES = ["healthy", "ischaemia", "heart failure"]
DESIGN = read_design(design.build(SCHEMA, seed="a public seed"))


@pytest.fixture(scope="module")
def record():
    with (HEART / "uci_heart_4_hospitals.csv").open(newline="") as file:
        return SCHEMA.encode_row(SCHEMA.from_row(next(row for row in csv.DictReader(file) if row["id"] == "1")))


@pytest.fixture(scope="module")
def opened(record):
    """What the engine opens of each class, computed in the clear."""
    kind, generator = KINDS["mlp-classes"], np.random.default_rng(5)
    tensors = {name: 0.4 * generator.normal(size=shape) for name, shape in kind.shapes(len(SCHEMA.columns))}
    prediction, explanation = known_result("mlp-classes", tensors, DESIGN, record.vector, "log-odds")
    return [
        Opened(float(p), numbers[:-3], *map(float, numbers[-3:]), "log-odds")
        for p, numbers in zip(prediction, explanation, strict=True)
    ]


@pytest.fixture(scope="module")
def told(opened, record):
    return classes.explain(opened, NAMES, design=DESIGN, schema=SCHEMA, record=record)


def test_probabilities_are_the_softmax_and_the_most_probable_class_comes_first(told, opened):
    expected = dict(zip(NAMES, softmax(np.array([each.prediction for each in opened])), strict=True))
    assert {each.name: each.probability for each in told.ranked} == pytest.approx(expected)
    assert sum(expected.values()) == pytest.approx(1)
    assert sorted(expected, key=expected.get, reverse=True) == [each.name for each in told.ranked]


def test_each_class_keeps_its_own_numbers(told, opened):
    for each in told.ranked:
        mine = opened[NAMES.index(each.name)]
        assert each.explanation.prediction == mine.prediction
        assert {factor.coefficient for factor in each.explanation.factors} == set(mine.coefficients)


def test_a_sentence_says_whose_log_odds_and_against_what(told):
    for each in told.ranked:
        said = [factor.sentence for factor in each.explanation.factors if factor.direction in ("raises", "lowers")]
        assert said
        assert all(f"the predicted log-odds of “{each.name}” against the average of all classes by" in s for s in said)


def test_the_text_shows_all_probabilities_and_the_factors_of_the_two_most_probable_classes(told):
    text = classes.render_text(told, most=2)
    first, second, third = told.ranked
    lines = text.splitlines()
    assert lines[0] == "Predicted probability of each class"
    for line, each in zip(lines[1:], told.ranked, strict=False):
        assert line.startswith(f"  {each.probability:6.1%}  {each.name}")
        assert line.endswith(f"(log-odds against the average of all classes {each.explanation.prediction:+.2f})")
    for each in (first, second):
        assert f"{each.name}: factors in log-odds of “{each.name}” against the average of all classes" in lines
    assert f"{third.name}: factors" not in text
    assert f"Not shown, and in the result too: the factors of “{third.name}”." in lines
    assert text.count("    and 8 weaker factors") == text.count("Fit of the explanation") == 2
    assert lines[-1].startswith("Method: log-odds against the average of all classes, reference-contrast LIME.")
    assert "In brackets: 95% intervals" in text


def test_other_classes_are_shown_on_demand(told):
    last = told.ranked[-1].name
    text = classes.render_text(told, [last])
    assert f"{last}: factors in" in text
    assert text.count(": factors in") == 1
    assert "Not shown" not in classes.render_text(told, NAMES)


@pytest.mark.parametrize(("names", "words"), [(NAMES, "the classes are: healthy, ischaemia"), ([], "no classes")])
def test_a_class_that_is_none_is_refused(names, words):
    classes.check_shown(names, names)
    with pytest.raises(Refused, match=words) as caught:
        classes.check_shown(["angina"], names)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "class")


def test_an_explanation_that_does_not_fit_says_so_of_its_class_alone(opened, record):
    poor = [replace(opened[0], sum_of_squares=1e4), *opened[1:]]
    told = classes.explain(poor, NAMES, design=DESIGN, schema=SCHEMA, record=record)
    assert classes.render_text(told, NAMES).count("NO RELIABLE EXPLANATION") == 1
    assert [each.name for each in told.ranked if not each.explanation.reliable] == ["healthy"]


def test_the_document_has_every_class(told):
    document = told.to_json()
    assert canonical.decode(canonical.encode(document)) == document
    assert (document["target"], document["against"]) == ("log-odds", "the average of all classes")
    assert [each["class"] for each in document["classes"]] == [each.name for each in told.ranked]
    assert sum(float(each["prediction"]) for each in document["classes"]) == pytest.approx(0, abs=3e-4)
    assert all(len(each["factors"]) == len(DESIGN.groups) for each in document["classes"])


def test_what_ifs_are_answered_with_all_probabilities(told, opened, record):
    asked = [replace(each, what_ifs=np.array([each.prediction, place])) for place, each in enumerate(opened)]
    changes = [{"trestbps": 145.0}, {"trestbps": 125.0}]
    same, other = classes.answer(changes, asked, NAMES, schema=SCHEMA, values=record.values)
    assert list(other.probabilities.values()) == pytest.approx(softmax(np.array([0.0, 1.0, 2.0])))
    text = classes.render_what_ifs([same, other], told)
    first = told.ranked[0]
    assert f"  {first.name} {first.probability:.1%} (+0.0 points), " in text
    assert "145 mmHg → 125 mmHg" in text
    assert "not a promise" in text
    assert classes.render_what_ifs([], told) == ""
    assert canonical.encode(other.to_json())
