import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat import canonical, design, model
from concordat.design import WEIGHT_BITS, Design
from concordat.explanation import explain, render_text, sigmoid
from concordat.outputs import Opened
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema

HEART = Path(__file__).parents[2] / "examples" / "heart_disease"
SCHEMA = FeatureSchema.from_json(json.loads((HEART / "schema.json").read_text()))
DESIGN = Design.from_json(design.build(SCHEMA, seed="a public seed"))


@pytest.fixture(scope="module")
def record():
    with (HEART / "uci_heart_4_hospitals.csv").open(newline="") as file:
        return SCHEMA.encode_row(SCHEMA.from_row(next(row for row in csv.DictReader(file) if row["id"] == "756")))


def computed(tensors, kind, record):
    """What the engine opens, computed in the clear."""
    y = model.forward(kind, tensors, DESIGN.column_masks * record.vector)
    weights = DESIGN.weights / 2.0**WEIGHT_BITS
    surrogate = DESIGN.operator @ y / 2.0**20
    prediction = float(model.forward(kind, tensors, record.vector[None])[0])
    squares = float(weights @ (y - prediction) ** 2)
    return Opened(prediction, surrogate[:-1], float(surrogate[-1]), squares)


@pytest.fixture(scope="module")
def linear(record):
    """A model in which exercise angina weighs most and a high heart rate protects."""
    weight = np.zeros(len(SCHEMA.columns))
    for column, value in {"exang": 1.5, "thalch": -0.8, "oldpeak": 0.5, "chol": 0.9, "age": 0.3}.items():
        weight[SCHEMA.columns.index(column)] = value
    opened = computed({"weight": weight, "bias": np.float64(-0.4)}, "linear", record)
    return explain(opened, design=DESIGN, schema=SCHEMA, record=record)


def factor(explanation, group):
    return next(factor for factor in explanation.factors if factor.group == group)


def test_factors_come_in_order_of_their_weight(linear):
    assert [factor.group for factor in linear.factors[:4]] == ["exang", "thalch", "age", "oldpeak"]


def test_a_factor_speaks_of_the_patients_value_in_its_unit(linear):
    heart_rate = factor(linear, "thalch")
    assert heart_rate.value == "122 beats/min"
    assert heart_rate.direction == "raises"  # the rate lies below the reference, and its weight is negative
    assert heart_rate.coefficient == pytest.approx(-0.8 * (122 - 140) / 26, rel=0.1)
    assert heart_rate.sentence == (
        f"Maximum heart rate (122 beats/min) raises the predicted log-odds by {heart_rate.coefficient:.2f} "
        "compared with the reference."
    )


def test_an_imputed_value_is_labelled_and_weighs_nothing(linear):
    cholesterol = factor(linear, "chol")
    assert cholesterol.imputed
    assert cholesterol.direction == "does not change"
    assert "was not measured" in cholesterol.sentence
    assert [factor.group for factor in linear.factors if factor.imputed] == ["chol"]


def test_a_value_at_the_reference_weighs_nothing(linear):
    assert factor(linear, "fbs").sentence.startswith("Fasting blood sugar above 120 mg/dL (no) is the reference value")
    assert factor(linear, "cp").value == "no chest pain"


def test_noise_in_the_fit_is_not_put_into_words_about_a_reference_value(record):
    """Sex is at the reference: whatever is fitted for it is the interactions of other features."""
    opened = Opened(0.0, np.full(10, 0.2), 0.0, 50.0)
    explanation = explain(opened, design=DESIGN, schema=SCHEMA, record=record)
    assert factor(explanation, "sex").direction == "does not change"
    assert factor(explanation, "restecg").direction == "raises"


def test_a_linear_model_is_explained_reliably(linear):
    assert linear.r_squared > 0.98
    assert linear.reliable


def test_the_probability_is_the_sigmoid_of_the_opened_log_odds(linear):
    assert linear.probability == pytest.approx(1 / (1 + np.exp(-linear.log_odds)))


@given(st.floats(-(2.0**14), 2.0**14))
def test_the_sigmoid_never_overflows_and_is_symmetric(log_odds):
    assert 0 <= sigmoid(log_odds) <= 1
    assert sigmoid(log_odds) + sigmoid(-log_odds) == pytest.approx(1)


def test_the_document_is_canonical_and_names_its_target(linear):
    document = linear.to_json()
    assert canonical.decode(canonical.encode(document)) == document
    assert document["target"] == "log-odds, reference-contrast LIME"
    assert document["factors"][0]["coefficient"] == f"{linear.factors[0].coefficient:.4f}"


def test_the_text_shows_the_strongest_factors_and_the_fit(linear):
    text = render_text(linear, most=3)
    assert f"{linear.probability:.1%}" in text
    assert "Angina on exercise" in text
    assert "Cholesterol" not in text
    assert "and 7 weaker factors" in text
    assert "reliable" in text
    assert "UNRELIABLE" not in text


def test_an_imputed_factor_is_marked_in_the_text(linear):
    assert "Cholesterol" in render_text(linear, most=10)
    assert render_text(linear, most=10).count("[not measured, reference value used]") == 1


def test_a_poor_fit_is_called_unreliable_everywhere(record):
    noise = np.random.default_rng(2).normal(size=128)
    weights = DESIGN.weights / 2.0**WEIGHT_BITS
    surrogate = DESIGN.operator @ noise / 2.0**20
    opened = Opened(0.3, surrogate[:-1], float(surrogate[-1]), float(weights @ (noise - 0.3) ** 2))
    explanation = explain(opened, design=DESIGN, schema=SCHEMA, record=record)
    assert not explanation.reliable
    assert explanation.to_json()["reliable"] is False
    assert "NO RELIABLE EXPLANATION" in render_text(explanation)


def test_a_result_for_another_design_is_refused(record):
    with pytest.raises(Refused) as caught:
        explain(Opened(0.0, np.zeros(9), 0.0, 1.0), design=DESIGN, schema=SCHEMA, record=record)
    assert caught.value.reason is Reason.MALFORMED
