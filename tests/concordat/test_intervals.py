"""Intervals of coefficients: what they are made of, what they cover, and where there are none.

The true coefficient is the mean over very many designs of one sort that differ in their seed alone: an interval is
about the choice of perturbed records, for one model, one patient and one sort of design.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import t

from concordat import design, ring
from concordat.design import OPERATOR_BITS, WEIGHT_BITS, odd_weights, read_design
from concordat.design.common import moments
from concordat.explanation import NEGLIGIBLE
from concordat.kinds import KINDS
from concordat.schema import FeatureSchema

HEART = Path(__file__).parents[2] / "examples" / "heart_disease"
SCHEMA = FeatureSchema.from_json(json.loads((HEART / "schema.json").read_text()))
BUILD = {"masks": design.build, "slopes": design.build_slopes}
METHODS = pytest.mark.parametrize("method", list(BUILD))
ROUNDED = 0.002
"""What the operator's rounding makes of half an interval, as a part of the largest coefficient."""
LEAST = 0.008
"""What the arithmetic's error makes of half an interval here, at least."""


@cache
def plan(method, seed="intervals", **changes):
    return read_design(BUILD[method](SCHEMA, seed=seed, **changes))


@cache
def network():
    """A network of 16 hidden units with random weights, and an ordinary record."""
    generator = np.random.default_rng(5)
    shapes = KINDS["mlp"].shapes(len(SCHEMA.columns))
    tensors = {name: ring.decode(ring.encode(0.5 * generator.normal(size=shape))) for name, shape in shapes}
    return tensors, generator.normal(size=len(SCHEMA.columns))


def outputs(plan, target="log-odds"):
    """(1 + n,) of the network: the record's own, and the perturbed ones."""
    tensors, record = network()
    y = KINDS["mlp"].forward(tensors, np.vstack([record, plan.perturbed(record)]))
    return y if target == "log-odds" else 1 / (1 + np.exp(-y))


def fitted(plan, y, prediction):
    """What is opened, as `Design.fit` takes it."""
    found = plan.operator @ y / 2.0**OPERATOR_BITS
    return prediction, found[:-1], found[-1], *plan.squares(y - prediction)


def fit(plan, y, prediction, target="log-odds"):
    return plan.fit(*fitted(plan, y, prediction), target=target)


def directly(plan, y):
    """Half of each interval, by unpenalised regression on the outputs themselves, which nobody ever has."""
    weights, regressors = plan.weights / 2.0**WEIGHT_BITS, plan.regressors
    columns = np.column_stack([regressors, np.ones(plan.n)])
    root = np.sqrt(weights)
    residuals = y - columns @ np.linalg.lstsq(columns * root[:, None], y * root, rcond=None)[0]
    (above, below), (first, second) = np.split(weights, 2), np.split(residuals, 2)
    odd, half = (above * first - below * second) / (above + below), np.subtract(*np.split(regressors, 2)) / 2
    degrees = len(half) - half.shape[1]
    variance = (above + below) @ odd**2 / degrees
    centred = regressors - np.average(regressors, axis=0, weights=weights)
    inverse = np.linalg.inv(centred.T @ (weights[:, None] * centred) + plan.ridge * np.eye(half.shape[1]))
    covariance = variance * inverse @ (half.T @ ((above + below)[:, None] * half)) @ inverse
    return t.ppf(0.975, degrees) * np.sqrt(np.diag(covariance)) / plan.step


# --- what they are made of


@METHODS
@given(data=st.data())
@settings(max_examples=50)
def test_the_sum_is_twice_that_of_squared_odd_parts(method, data):
    """Up to the rounding of the harmonic mean, which only adds to it."""
    y = data.draw(arrays(float, plan(method).n, elements=st.floats(-8, 8)))
    (above, below), (first, second) = np.split(plan(method).weights / 2.0**WEIGHT_BITS, 2), np.split(y, 2)
    wanted = 2 * ((above * first - below * second) ** 2 / (above + below)).sum()
    found = plan(method).squares(y)[1]
    slack = (np.maximum(first**2, second**2) * 4).sum() / 2**WEIGHT_BITS
    assert wanted - 1e-9 <= found <= wanted + slack + 1e-9
    if method == "slopes":
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@given(arrays(np.int64, 40, elements=st.integers(1, 1 << WEIGHT_BITS)), arrays(float, 40, elements=st.floats(-1, 1)))
@settings(max_examples=100)
def test_it_is_a_sum_of_squares_whatever_the_weights(weights, y):
    own, pairs = odd_weights(weights)
    first, second = np.split(y, 2)
    assert own @ y**2 + pairs @ (first - second) ** 2 >= -1e-9
    assert pairs.min() > 0


def test_of_slopes_it_is_of_differences_alone():
    own, pairs = odd_weights(plan("slopes").weights)
    assert not own.any()
    assert np.array_equal(pairs, plan("slopes").weights[:120])


@METHODS
@pytest.mark.parametrize("target", ["log-odds", "probability"])
def test_they_follow_from_the_opened_numbers(method, target):
    """Of masks within a tenth: a pair's weights differ."""
    prediction, *y = outputs(plan(method), target)
    found = fit(plan(method), np.array(y), prediction, target)
    margins = np.diff(found.intervals, axis=1)[:, 0] / 2
    assert found.intervals.mean(axis=1) == pytest.approx(found.coefficients)
    slack = ROUNDED * np.abs(found.coefficients).max()
    wanted = directly(plan(method), np.array(y))
    assert margins == pytest.approx(wanted, rel=0.1 if method == "masks" else 1e-3, abs=slack)
    assert margins.min() > 0


@METHODS
@given(prediction=st.floats(-50, 50))
@settings(max_examples=20)
def test_they_do_not_depend_on_the_records_own_output(method, prediction):
    """What is opened are differences from it."""
    y = outputs(plan(method))[1:]
    apart = abs(prediction - y.mean()) / 50
    found = [fit(plan(method), y, each).intervals for each in (y.mean(), prediction)]
    widths = [np.diff(each, axis=1) for each in found]
    assert widths[0] == pytest.approx(widths[1], rel=1e-3 if method == "slopes" else 0.05 + apart)


@METHODS
def test_of_a_linear_model_as_much_is_left_as_the_arithmetic_may_err_by(method):
    """And not nothing, whatever opens: less cannot be told. Ridge shrinks alike for every seed."""
    y = plan(method).perturbed(network()[1]).sum(axis=1)
    found = fit(plan(method), y, 1.0)
    assert np.diff(found.intervals, axis=1).max() < 2 * LEAST
    numbers = fitted(plan(method), y, 1.0)
    for lowered in (2.0**-20, 2.0**-10, 1.0):
        less = plan(method).fit(*numbers[:-1], numbers[-1] - lowered, target="log-odds")
        assert (np.diff(less.intervals, axis=1) >= 0.9 * np.diff(found.intervals, axis=1)).all()


@METHODS
@pytest.mark.parametrize("target", ["log-odds", "probability"])
def test_of_a_constant_model_they_are_next_to_zero(method, target):
    found = fit(plan(method), np.full(plan(method).n, 0.5), 0.5, target)
    assert 0 < np.abs(found.intervals).max() < NEGLIGIBLE[target]


@METHODS
def test_no_error_of_the_sum_makes_an_interval_much_narrower(method):
    """As far as a node may be off unnoticed, what is said is at least 0.7 times as wide as it was."""
    prediction, *y = outputs(plan(method))
    numbers = fitted(plan(method), np.array(y), prediction)
    error = plan(method).squares_error(np.array(numbers[-2:]), "log-odds")[-1]
    for residual in (0.0, error / 2, error, 2 * error, 4 * error):
        left = numbers[-1] - _residual(plan(method), numbers) + residual
        widths = [
            np.diff(plan(method).fit(*numbers[:-1], left + sign * error, target="log-odds").intervals, axis=1)
            for sign in (0, -1)
        ]
        assert (widths[1] >= 0.7 * widths[0]).all()


def _residual(plan, numbers):
    """What the surrogate without its penalty leaves of the odd sum."""
    weights = plan.weights / 2.0**WEIGHT_BITS
    prediction, b, intercept = numbers[:3]
    means, gram = moments(plan.regressors, weights)
    plain = b + plan.ridge * (np.linalg.pinv(gram, hermitian=True) @ b)
    return numbers[-1] - plan.squares(intercept + means @ (b - plain) - prediction + plan.regressors @ plain)[-1]


def test_what_is_even_widens_no_slopes_interval():
    even = (plan("slopes").regressors ** 2).sum(axis=1)
    y = plan("slopes").perturbed(network()[1]).sum(axis=1)
    found = fit(plan("slopes"), y + even, 0.0)
    assert found.r_squared < 0.9
    assert np.diff(found.intervals).max() < 2 * LEAST


# --- where there are none


@pytest.mark.parametrize(
    ("method", "changes", "mirrored"),
    [
        ("masks", {}, True),
        ("masks", {"kernel_width": 0.6}, True),
        ("masks", {"kernel_width": 0.59}, False),
        ("masks", {"kernel_width": 100.0}, True),
        ("slopes", {"kernel_width": 0.25}, True),
        ("slopes", {"n": 12}, True),
        ("slopes", {"n": 10}, False),
    ],
)
def test_a_design_is_mirrored_where_its_odd_parts_tell_something(method, changes, mirrored):
    """Masks have two weights a pair; five slopes are not fitted to five pairs."""
    assert plan(method, **changes).mirrored is mirrored
    assert len(plan(method, **changes).squares(np.zeros(plan(method, **changes).n))) == 1 + mirrored


def test_masks_without_their_complements_are_not_mirrored():
    document = design.build(SCHEMA, seed="intervals")
    document["masks"][0] = document["masks"][1]
    assert not read_design(document).mirrored


def test_without_an_odd_part_there_is_no_interval():
    wide = plan("masks", kernel_width=0.5)
    found = fit(wide, outputs(wide)[1:], 0.0)
    assert found.intervals is None
    assert {(each.low, each.high) for each in found.estimates} == {(None, None)}


# --- what they cover


@METHODS
@pytest.mark.parametrize("target", ["log-odds", "probability"])
def test_they_hold_the_mean_over_designs_as_often_as_they_say(method, target):
    """120 seeds; docs/explanation/secure-lime.md has real models."""
    designs = [plan(method, seed=f"seed {number}") for number in range(120)]
    y = [outputs(each, target) for each in designs]
    fits = [fit(each, of_it[1:], of_it[0], target) for each, of_it in zip(designs, y, strict=True)]
    true = np.mean([each.coefficients for each in fits], axis=0)
    held = [(each.intervals[:, 0] <= true) & (true <= each.intervals[:, 1]) for each in fits]
    assert 0.92 < np.mean(held) < 0.98
    widths = np.mean([np.diff(each.intervals, axis=1)[:, 0] for each in fits], axis=0)
    spread = 2 * 1.96 * np.std([each.coefficients for each in fits], axis=0)
    assert 0.9 < np.median(widths / spread) < 1.2  # no wider than they have to be
