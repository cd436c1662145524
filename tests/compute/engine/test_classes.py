"""Several classes: one run of the network, and for each class an explanation that is LIME's own."""

from functools import cache

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris, load_wine
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from compute.engine import lime as engine
from compute.engine.lime import explain
from compute.engine.perturbed import rows_of
from compute.engine.rows import Private, Stacked
from compute.engine.tabular import surrogate_of
from concordat import design, ring
from concordat.canaries import known_result
from concordat.design import WEIGHT_BITS, read_design, tabular, training
from concordat.importers import from_sklearn
from concordat.kinds import KINDS
from concordat.kinds.kind import softmax
from concordat.outputs import read_numbers
from concordat.reasons import Reason
from tests.compute.engine.test_agreement import INTERVAL_BOUND, LOG_ODDS_BOUND, numbers
from tests.support.engines import DEALER, PARTIES, opened_by_class, random_case, run_here
from tests.support.parties import shares, together
from tests.support.reference import lime

LOAD = {"wine": load_wine, "iris": load_iris}
BUILD = {"masks": design.build, "slopes": design.build_slopes}


@cache
def fitted(name):
    """Schema, patients, an estimator of scikit-learn, and its import."""
    X, y = LOAD[name](return_X_y=True)
    X = ring.decode(ring.encode(StandardScaler().fit_transform(X)))
    estimator = MLPClassifier((16,), max_iter=150, random_state=0).fit(X, y)
    return numbers(X.shape[1]), X, estimator, from_sklearn(estimator)


def plan_of(name, method):
    schema, X, _, _ = fitted(name)
    if method != "tabular":
        return read_design(BUILD[method](schema, seed="classes"))
    statistics = training.summarise_codes(np.array([training.codes(schema, x) for x in X]), schema, "quartiles")
    return read_design(tabular.build(schema, statistics, seed=1, samples=100, sampler="quartiles"))


def secure(imported, plan, x, what_ifs=()):
    weights = {name: shares(ring.encode(tensor)) for name, tensor in imported.tensors.items()}
    record, secret = shares(ring.encode(x)), shares(plan.at(x).secret)
    more = [shares(ring.encode(one)) for one in what_ifs]

    def start(party):
        mine = {name: share[party.rank] for name, share in weights.items()}
        rows = rows_of(plan, record[party.rank])
        if more:
            rows = Stacked((rows, Private(torch.stack([each[party.rank] for each in more]))))
        return explain(party, imported.kind, mine, rows, surrogate_of(plan, secret[party.rank], len(more)))

    done = together(start)
    parts = (
        ring.combine([getattr(result, part).numpy() for result in done.results])
        for part in ("prediction", "explanation")
    )
    answers = len(imported.classes)
    return read_numbers(*parts, groups=len(plan.groups), target="log-odds", answers=answers), done


@pytest.mark.parametrize("method", ["masks", "slopes"])
@pytest.mark.parametrize("name", ["wine", "iris"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_each_classs_explanation_is_limes_of_its_centred_log_odds(name, method):
    """`lime` regresses the logarithms of scikit-learn's own probabilities, less their mean."""
    _, X, estimator, imported = fitted(name)
    plan = plan_of(name, method)
    kernel = plan.weights / (1 << WEIGHT_BITS)
    for x in X[[0, 75, 140]]:
        logarithms = estimator.predict_log_proba(np.vstack([x, plan.perturbed(x)]))
        outputs = logarithms - logarithms.mean(axis=1, keepdims=True)
        found, _ = secure(imported, plan, x)
        assert softmax(np.array([each.prediction for each in found])) == pytest.approx(
            estimator.predict_proba(x[None])[0], abs=1e-4
        )
        for each, y in zip(found, outputs.T, strict=True):
            expected, score = lime(plan, y[1:], lambda _: kernel)
            bound = LOG_ODDS_BOUND * np.abs(expected[:-1]).max()
            assert np.abs(each.coefficients - expected[:-1]).max() < bound
            assert each.prediction == pytest.approx(y[0], abs=2e-4)
            assert each.intercept == pytest.approx(expected[-1], abs=2e-4)
            fit = plan.fit(*each.numbers, target="log-odds")
            assert fit.r_squared == pytest.approx(score, abs=1e-3)
            plain = plan.operator / (1 << design.OPERATOR_BITS) @ y[1:]
            direct = plan.fit(y[0], plain[:-1], plain[-1], *plan.squares(y[1:] - y[0]), target="log-odds")
            off = np.abs(fit.intervals - direct.intervals).max() * plan.step
            assert off < max(bound, INTERVAL_BOUND * np.abs(expected[:-1]).max())


@pytest.mark.parametrize("blocks", [1, 3])
def test_a_secret_operator_and_what_ifs_serve_all_classes(monkeypatch, blocks):
    if blocks > 1:
        monkeypatch.setattr(engine, "ROWS", 3 * 40)
    _, X, _, imported = fitted("iris")
    plan, x, others = plan_of("iris", "tabular"), X[75], [X[0], X[140]]
    found, _ = secure(imported, plan, x, others)
    prediction, explanation = known_result(imported.kind, imported.tensors, plan, x, "log-odds")
    expected = KINDS[imported.kind].forward(imported.tensors, np.array(others))
    assert [each.prediction for each in found] == pytest.approx(prediction, abs=1e-4)
    for each, known, what_ifs in zip(found, explanation, expected.T, strict=True):
        assert np.append(each.coefficients, each.intercept) == pytest.approx(known[:-1], abs=2e-4)
        assert each.sum_of_squares == pytest.approx(known[-1], rel=1e-3, abs=1e-3)
        assert each.what_ifs == pytest.approx(what_ifs, abs=1e-4)


def test_what_is_opened_of_all_classes_adds_up_to_nothing():
    """So nothing is told besides the K probabilities: not what the network's numbers have in common."""
    _, X, _, imported = fitted("wine")
    found, _ = secure(imported, plan_of("wine", "masks"), X[0])
    assert abs(sum(each.prediction for each in found)) < 1e-5
    assert np.abs(sum(each.coefficients for each in found)).max() < 1e-4


# --- whole jobs


def of_classes(classes, **more):
    case = random_case("mlp-classes", **more)
    generator = np.random.default_rng(2)
    weight, bias = 0.5 * generator.normal(size=(classes, 16)), 0.5 * generator.normal(size=classes)
    return type(case)(case.kind, case.record, case.tensors | {"output.weight": weight, "output.bias": bias}, **more)


# As for two classes (`test_jobs`); the 129 · 16 activations are opened once for all. For each class more a party sends
# to two others 16 numbers of the last layer's weights, 129 rows with 64 pairs (of 4 bytes) and 14 results, and the
# dealer sends corrections for the product (129 numbers), the rows and pairs (40 bytes) and the results (16). In the
# plan, which is text, two numbers have a digit more from ten classes on.
@pytest.mark.parametrize(("classes", "digits"), [(3, 0), (16, 4)])
def test_several_classes_take_the_rounds_of_two(classes, digits):
    case = of_classes(classes)
    answers = run_here(case)
    assert [answer["rounds"] for answer in answers] == [8, 8, 8, 7]
    sent = 86_139 + 2 * (16 * 8 + 193 * 4 + 14 * 8) * (classes - 1) + digits
    dealt = 163_622 + (129 * 8 + 193 * 40 + 14 * 16) * (classes - 1)
    assert [answer["bytes_sent"] for answer in answers] == [sent] * PARTIES + [dealt]
    prediction, explanation = known_result(case.kind, case.tensors, case.design, case.record, "log-odds")
    for each, expected, known in zip(opened_by_class(case, answers), prediction, explanation, strict=True):
        assert each.prediction == pytest.approx(expected, abs=1e-3)
        assert each.coefficients == pytest.approx(known[:-3], abs=2e-4 * np.abs(known[:-3]).max())
        assert [each.sum_of_squares, each.odd_squares] == pytest.approx(known[-2:], rel=1e-3, abs=1e-4)


def test_no_probability_is_made_of_several_classes():
    answers = run_here(of_classes(3, target="probability"), startup_seconds=1)
    assert [(each.reason, each.field) for each in answers[:DEALER]] == [(Reason.FIELD_INVALID, "target")] * PARTIES
