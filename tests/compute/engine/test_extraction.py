"""The attack on a linear model, on what the real engines open: one explanation tells the weights."""

from functools import cache

import numpy as np
import pytest

from bench.attacks import linear_weights
from bench.victims import Seen, victim
from tests.support.engines import Case, opened, run_here


@cache
def explained(target):
    """The case of that patient, among the requester's, of whom most values are far from the reference; and what its
    explanation opens."""
    secret = victim("heart", "linear")
    record = secret.asked[np.argmax((np.abs(secret.asked) > 0.2).sum(axis=1))]
    case = Case("linear", record, secret.tensors, target)
    prediction, explanation = opened(case, run_here(case))
    return case, Seen(record[None], prediction, explanation[None, :-2], explanation[-2:-1])


def told(case, weights):
    """The weights, and the model's own, of the columns in which the record is not the reference."""
    assert np.array_equal(np.isnan(weights), case.record == 0)
    return weights[case.record != 0], case.tensors["weight"][case.record != 0]


def test_one_explanation_in_log_odds_is_the_weights():
    case, seen = explained("log-odds")
    weights, bias = linear_weights(case.design, seen, "log-odds")
    found, true = told(case, weights)
    assert len(found) > 5
    assert found == pytest.approx(true, abs=1e-4)
    assert bias == pytest.approx(case.tensors["bias"], abs=1e-4)


def test_one_explanation_in_probabilities_nearly_is():
    case, seen = explained("probability")
    weights, bias = linear_weights(case.design, seen, "probability")
    found, true = told(case, weights)
    assert found == pytest.approx(true, abs=1e-3)
    assert bias == pytest.approx(case.tensors["bias"], abs=1e-3)
