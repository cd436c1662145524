import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import least_squares

from concordat import canonical, design, model
from concordat.design import WEIGHT_BITS, read_design
from concordat.explanation import explain, render_text, sigmoid
from concordat.outputs import Opened
from concordat.reasons import Reason, Refused
from concordat.ring import RESULT_BITS
from concordat.schema import FeatureSchema

HEART = Path(__file__).parents[2] / "examples" / "heart_disease"
SCHEMA = FeatureSchema.from_json(json.loads((HEART / "schema.json").read_text()))
DESIGN = read_design(design.build(SCHEMA, seed="a public seed"))


@pytest.fixture(scope="module")
def record():
    with (HEART / "uci_heart_4_hospitals.csv").open(newline="") as file:
        return SCHEMA.encode_row(SCHEMA.from_row(next(row for row in csv.DictReader(file) if row["id"] == "756")))


def logistic(numbers):
    return 1 / (1 + np.exp(-numbers))


def computed(tensors, kind, record, target="log-odds"):
    """What the engine opens, computed in the clear."""

    def answers(X):
        plain = model.forward(kind, tensors, X)
        return plain if target == model.KINDS[kind].scale else logistic(plain)

    y = answers(DESIGN.column_masks * record.vector)
    return opening(DESIGN, y, float(answers(record.vector[None])[0]), target)


def opening(plan, y, prediction, target="log-odds"):
    """What the engine opens of outputs y (n,)."""
    surrogate = plan.operator @ y / 2.0**20
    squares = [*map(float, plan.squares(y - prediction)), *[None] * (not plan.mirrored)]
    return Opened(prediction, surrogate[:-1], float(surrogate[-1]), *squares, target)


def made_of(coefficient, target="log-odds", prediction=0.5, odd=0.0):
    """Numbers that are opened of some model: all coefficients are alike, and the surrogate leaves so much of the
    squared odd parts."""
    b, weights = np.full(10, coefficient), DESIGN.weights / 2.0**WEIGHT_BITS
    means = np.average(DESIGN.regressors, axis=0, weights=weights)
    centred = DESIGN.regressors - means
    plain = b + DESIGN.ridge * np.linalg.solve(centred.T @ (weights[:, None] * centred), b)
    squares = DESIGN.squares(DESIGN.regressors @ plain + means @ (b - plain))
    return Opened(prediction, b, prediction, 50.0, float(squares[-1]) + odd, target)


@pytest.fixture(scope="module")
def weights():
    """Of a model in which exercise angina weighs most and a high heart rate protects."""
    weight = np.zeros(len(SCHEMA.columns))
    for column, value in {"exang": 1.5, "thalch": -0.8, "oldpeak": 0.5, "chol": 0.9, "age": 0.3}.items():
        weight[SCHEMA.columns.index(column)] = value
    return {"weight": weight, "bias": np.float64(-0.4)}


@pytest.fixture(scope="module")
def linear(record, weights):
    return explain(computed(weights, "linear", record), design=DESIGN, schema=SCHEMA, record=record)


@pytest.fixture(scope="module")
def risk(record, weights):
    """The same model, explained in probability."""
    opened = computed(weights, "linear", record, "probability")
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
        "(95% interval 0.52 to 0.53) compared with the reference."
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
    explanation = explain(made_of(0.2), design=DESIGN, schema=SCHEMA, record=record)
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
    assert (document["v"], document["method"], document["target"]) == (3, "reference-contrast LIME", "log-odds")
    assert document["prediction"] == document["log_odds"] == f"{linear.log_odds:.4f}"
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
    explanation = explain(opening(DESIGN, noise, 0.3), design=DESIGN, schema=SCHEMA, record=record)
    assert not explanation.reliable
    assert explanation.to_json()["reliable"] is False
    assert "NO RELIABLE EXPLANATION" in render_text(explanation)


def test_an_explanation_says_how_much_of_it_rests_on_impossible_records(linear):
    assert linear.to_json()["impossible"] == "0.0000"
    assert "Clinically impossible: 0.0% of the perturbed records" in render_text(linear)


@pytest.fixture(scope="module")
def slopes(record):
    """The same model, by slopes: exercise angina is no number, and heart rate lowers."""
    plan = read_design(design.build_slopes(SCHEMA, seed="a public seed"))
    weight = np.zeros(len(SCHEMA.columns))
    for column, value in {"exang": 1.5, "thalch": -0.8, "oldpeak": 0.5, "chol": 0.9}.items():
        weight[SCHEMA.columns.index(column)] = value
    y = plan.perturbed(record.vector) @ weight
    return explain(opening(plan, y, 0.1), design=plan, schema=SCHEMA, record=record)


def test_slopes_are_said_for_each_standard_deviation(slopes):
    heart_rate = factor(slopes, "thalch")
    assert heart_rate.coefficient == pytest.approx(-0.8, rel=0.02)
    assert heart_rate.sentence == (
        "Maximum heart rate (122 beats/min) lowers the predicted log-odds by 0.79 "
        "(95% interval 0.79 to 0.79) for each standard deviation (26 beats/min) more."
    )
    assert (slopes.to_json()["target"], slopes.to_json()["method"]) == ("log-odds", "slope LIME")
    assert "for each standard deviation more:" in render_text(slopes)
    assert "reference patient" not in render_text(slopes)


def test_slopes_are_of_numbers_and_hold_at_the_reference_too(slopes):
    assert {each.group for each in slopes.factors} == {"age", "trestbps", "chol", "thalch", "oldpeak"}
    cholesterol = factor(slopes, "chol")
    assert cholesterol.imputed
    assert cholesterol.direction == "raises"
    assert cholesterol.sentence.endswith("more. It was not measured; the reference value stands in for it.")
    assert factor(slopes, "age").direction == "does not change"


def test_a_result_for_another_design_is_refused(record):
    with pytest.raises(Refused) as caught:
        explain(replace(made_of(0.2), coefficients=np.zeros(9)), design=DESIGN, schema=SCHEMA, record=record)
    assert caught.value.reason is Reason.MALFORMED


IN_LOG_ODDS = """\
Predicted probability  90.2%   (log-odds +2.21)

What moved this prediction, compared with the reference patient:
  ▲ +1.43 [+1.43 to +1.43] ████████  Angina on exercise         yes
  ▲ +0.53 [+0.52 to +0.53] ███       Maximum heart rate         122 beats/min
  ▲ +0.32 [+0.31 to +0.32] ██        Age                        64 years
  ▲ +0.22 [+0.21 to +0.22] █         ST depression on exercise  1 mm
  · +0.00 [+0.00 to +0.00]           Sex                        male
    and 5 weaker factors

In brackets: 95% intervals, for the choice of perturbed records alone. ? means that zero is in it.
Fit of the explanation: adjusted R² 1.00 (reliable; the limit is 0.50).
Clinically impossible: 0.0% of the perturbed records, by the schema's rules.
Method: log-odds, reference-contrast LIME. It describes the model, not the cause of a disease.
"""

IN_PROBABILITY = """\
Predicted probability  90.2%

What moved this prediction, compared with the reference patient:
  ▲  +28.0 points [+27.8 to +28.2] ████████  Angina on exercise         yes
  ▲   +9.8 points [ +9.6 to +10.0] ███       Maximum heart rate         122 beats/min
  ▲   +5.8 points [ +5.6 to  +6.0] ██        Age                        64 years
  ▲   +3.9 points [ +3.7 to  +4.2] █         ST depression on exercise  1 mm
    and 6 weaker factors

In brackets: 95% intervals, for the choice of perturbed records alone. ? means that zero is in it.
Fit of the explanation: adjusted R² 0.98 (reliable; the limit is 0.50).
Clinically impossible: 0.0% of the perturbed records, by the schema's rules.
Method: probability, reference-contrast LIME. It describes the model, not the cause of a disease.
"""


class TestInProbability:
    def test_the_whole_text_on_either_scale(self, linear, risk):
        assert render_text(linear) == IN_LOG_ODDS
        assert render_text(risk, most=4) == IN_PROBABILITY

    def test_a_factor_is_worth_percentage_points(self, risk):
        angina = factor(risk, "exang")
        assert angina.sentence == (
            "Angina on exercise (yes) raises the predicted probability by 28.0 percentage points "
            "(95% interval 27.8 to 28.2) compared with the reference."
        )
        assert factor(risk, "sex").sentence == (
            "Sex (male) is the reference value, so it does not change the predicted probability."
        )

    def test_it_lowers_as_well(self, record, weights):
        opened = computed({name: -tensor for name, tensor in weights.items()}, "linear", record, "probability")
        explanation = explain(opened, design=DESIGN, schema=SCHEMA, record=record)
        assert "Age (64 years) lowers the predicted probability by 5.8 percentage points (95% interval 5.6 to 6.0)" in [
            each.sentence.partition(" compared")[0] for each in explanation.factors
        ]
        assert "  ▼  -28.0 points [-28.2 to -27.8] ████████  Angina on exercise" in render_text(explanation)

    @pytest.mark.parametrize(
        ("target", "coefficient", "direction"),
        [
            ("log-odds", 0.0049, "does not change"),
            ("log-odds", -0.0051, "lowers"),
            ("probability", -0.00049, "does not change"),
            ("probability", 0.00051, "raises"),
            ("probability", 0.0049, "raises"),
        ],
    )
    def test_what_would_be_shown_as_nothing_does_not_change(self, record, target, coefficient, direction):
        explanation = explain(made_of(coefficient, target), design=DESIGN, schema=SCHEMA, record=record)
        angina = factor(explanation, "exang")
        assert angina.direction == direction
        if direction == "does not change":
            assert angina.sentence == (
                f"Angina on exercise (yes) does not change the predicted {target} compared with the reference."
            )

    def test_the_prediction_is_what_was_opened_and_has_no_log_odds(self, risk):
        assert (risk.target, risk.probability, risk.log_odds) == ("probability", risk.prediction, None)

    def test_the_document_says_what_its_numbers_are(self, linear, risk):
        document = risk.to_json()
        assert canonical.decode(canonical.encode(document)) == document
        assert set(document) == set(linear.to_json())
        assert document["target"] == "probability"
        assert document["log_odds"] is None
        assert document["prediction"] == document["probability"] == f"{risk.prediction:.4f}"
        assert document["factors"][0]["coefficient"] == f"{risk.factors[0].coefficient:.4f}"

    @pytest.mark.parametrize(
        ("prediction", "shown", "written"), [(-2e-5, "  0.0%", "0.0000"), (1 + 2e-5, "  100.0%", "1.0000")]
    )
    def test_an_answer_of_0_or_1_is_shown_as_such(self, record, prediction, shown, written):
        """As a forest gives it; the arithmetic may err to the outside."""
        explanation = explain(made_of(-1e-6, "probability", prediction), design=DESIGN, schema=SCHEMA, record=record)
        text = render_text(explanation)
        assert text.splitlines()[0] == "Predicted probability" + shown
        assert "-0.0 points" not in text
        assert explanation.prediction == prediction
        assert explanation.to_json()["prediction"] == written

    def test_a_forest_is_explained(self, record):
        """One tree that asks for exercise angina: 0.2 without, 0.7 with."""
        column = SCHEMA.columns.index("exang")
        tensors = {
            "features": np.eye(len(SCHEMA.columns))[[[column]]],
            "thresholds": np.array([[0.5]]),
            "leaves": np.array([[0.2, 0.7]]),
        }
        opened = computed(tensors, "forest", record, "probability")
        explanation = explain(opened, design=DESIGN, schema=SCHEMA, record=record)
        assert explanation.probability == 0.7
        strongest, *others = explanation.factors
        assert (strongest.group, strongest.coefficient) == ("exang", pytest.approx(0.5, abs=0.03))
        assert all(abs(each.coefficient) < 0.02 for each in others)


class TestIntervals:
    """Left-over squared odd parts of 40 in log-odds are a standard error of 0.13, of 0.4 in probability 1.3 points."""

    def explained(self, record, *numbers, **more):
        return explain(made_of(*numbers, **more), design=DESIGN, schema=SCHEMA, record=record)

    def test_where_zero_is_in_it_no_direction_is_stated(self, record):
        explanation = self.explained(record, 0.2, odd=40.0)
        age = factor(explanation, "age")
        assert age.low < 0 < age.coefficient < age.high
        assert age.direction == "raises or lowers"
        assert age.sentence == (
            "It is not certain whether Age (64 years) raises or lowers the predicted log-odds compared with the "
            "reference: the estimate is +0.20, with a 95% interval from -0.06 to +0.46."
        )
        assert "  ? +0.20 [-0.06 to +0.46] ████████  Age " in render_text(explanation)

    def test_so_it_is_in_probability(self, record):
        explanation = self.explained(record, -0.02, "probability", odd=0.4)
        assert factor(explanation, "age").sentence.endswith(
            "the estimate is -2.0, with a 95% interval from -4.6 to +0.6 percentage points."
        )
        assert "  ?   -2.0 points [ -4.6 to  +0.6] ████████  Age " in render_text(explanation)

    def test_a_coefficient_of_nothing_may_be_uncertain_too(self, record):
        assert factor(self.explained(record, 0.001, odd=40.0), "age").direction == "raises or lowers"
        assert factor(self.explained(record, 0.001, odd=0.005), "age").direction == "does not change"

    def test_a_value_at_the_reference_still_says_nothing(self, record):
        assert factor(self.explained(record, 0.2, odd=40.0), "fbs").direction == "does not change"

    @pytest.mark.parametrize("odd", [0.0, -(2.0**-20), -1.0])
    def test_squares_that_open_below_the_surrogates_own_leave_the_arithmetics_error(self, record, odd):
        age = factor(self.explained(record, 0.2, odd=odd), "age")
        assert age.low < 0.2 - 0.001
        assert age.high > 0.2 + 0.001
        assert age.direction == "raises"

    def test_the_document_has_the_ends(self, risk, record):
        document = risk.to_json()
        assert document["confidence"] == "0.9500"
        strongest = risk.factors[0]
        assert document["factors"][0]["low"] == f"{strongest.low:.4f}"
        assert document["factors"][0]["high"] == f"{strongest.high:.4f}"
        assert strongest.low < strongest.coefficient < strongest.high

    def test_a_design_that_is_not_mirrored_has_none_and_says_so(self, record):
        plan = read_design(design.build(SCHEMA, seed="a public seed", kernel_width=0.5))
        y = plan.perturbed(record.vector).sum(axis=1)
        explanation = explain(opening(plan, y, 0.1), design=plan, schema=SCHEMA, record=record)
        age = factor(explanation, "age")
        assert (age.low, age.high, age.direction) == (None, None, "raises")
        assert "interval" not in age.sentence
        assert explanation.to_json()["factors"][0]["low"] is None
        assert "No intervals: the perturbed records of this design do not come in" in render_text(explanation)
        assert canonical.decode(canonical.encode(explanation.to_json())) == explanation.to_json()

    def test_numbers_of_a_design_of_the_other_sort_are_refused(self, record):
        with pytest.raises(Refused, match="another design"):
            explain(replace(made_of(0.2), odd_squares=None), design=DESIGN, schema=SCHEMA, record=record)


def test_a_probability_explanation_tells_a_linear_models_weights_too(record, weights):
    """Twelve of the numbers that are opened follow from ten weights, times the patient's values, and the bias: solving
    for them is a short computation. That is why `disclosure: full` is asked for on either scale."""
    opened = computed(weights, "linear", record, "probability")
    seen = np.array([*opened.coefficients, opened.intercept, opened.prediction])
    seen = np.round(seen * 2.0**RESULT_BITS) / 2.0**RESULT_BITS

    def follows(guess):
        y = logistic(DESIGN.masks @ guess[:-1] + guess[-1])
        return np.append(DESIGN.operator @ y / 2.0**20, logistic(guess.sum())) - seen

    told = least_squares(follows, np.zeros(11), xtol=1e-14, ftol=1e-14, gtol=1e-14).x
    moved = weights["weight"] * record.vector
    by_group = [moved[np.array(SCHEMA.column_groups) == group].sum() for group in range(10)]
    assert told == pytest.approx([*by_group, weights["bias"]], abs=1e-5)
