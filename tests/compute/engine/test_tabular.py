"""Secure explanations with LIME's own tabular samplers, against the whole of the `lime` package: its own rows too."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from compute.engine import lime as engine
from compute.engine.lime import Surrogate, explain
from compute.engine.perturbed import rows_of
from compute.engine.rows import Private, Stacked
from compute.engine.tabular import surrogate_of
from concordat import ring
from concordat.design import read_design, tabular, training
from concordat.kinds import KINDS
from concordat.kinds.kind import UNCLAMPED
from concordat.reasons import Reason
from tests.compute.engine.test_agreement import LOG_ODDS_BOUND, PROBABILITY_BOUND, data, fitted
from tests.support.engines import PARTIES, Case, opened, random_case, run_here
from tests.support.parties import shares, together
from tests.support.tabular import SEED, document, encoded, lime

SAMPLES = 200
WITHIN = {"log-odds": 2e-4, "probability": 2e-5}


@cache
def explainer(name, sampler):
    """The plan for a data set, `lime` itself on it, and the patients as lime has them."""
    schema, X, _ = data(name)
    table = np.array([training.codes(schema, x) for x in X])
    statistics = training.summarise_codes(table, schema, sampler)
    plan = read_design(tabular.build(schema, statistics, seed=SEED, samples=SAMPLES, sampler=sampler))
    return plan, lime(table, schema, sampler=sampler), table


def limes(name, sampler, place, answers):
    """(d + 1,) coefficients and intercept, and R², by `lime`, of `answers` to encoded records."""
    _, whole, table = explainer(name, sampler)
    whole.random_state.seed(SEED)
    found = whole.explain_instance(
        table[place],
        lambda codes: answers(ring.decode(ring.encode(encoded(codes, data(name)[0])))),
        num_features=table.shape[1],
        num_samples=SAMPLES,
        model_regressor=Ridge(alpha=1.0, fit_intercept=True),
    )
    return np.array([value for _, value in sorted(found.local_exp[1])] + [found.intercept[0]]), found.score


def secure(case, plan, x, target):
    """Prediction, coefficients with intercept (d + 1,), and the sum of squares, opened."""
    kind, tensors = case.imported.kind, case.imported.tensors
    bits = {name: 0 if name in KINDS[kind].whole else ring.BITS for name in tensors}
    weights = {name: shares(ring.encode(tensor, bits[name])) for name, tensor in tensors.items()}
    record, secret = shares(ring.encode(x)), shares(plan.at(x).secret)

    def start(party):
        mine = {name: share[party.rank] for name, share in weights.items()}
        rows, surrogate = rows_of(plan, record[party.rank]), surrogate_of(plan, secret[party.rank])
        surrogate.check(target)
        return explain(party, kind, mine, rows, surrogate, target, clamped=case.largest > UNCLAMPED)

    prediction, explanation = added_up(together(start).results)
    return prediction[0], explanation[:-1], explanation[-1]


def added_up(results):
    return (
        ring.decode(ring.combine([getattr(result, part).numpy() for result in results]), ring.RESULT_BITS)
        for part in ("prediction", "explanation")
    )


@pytest.mark.parametrize(
    ("name", "sampler", "kind", "target"),
    [
        ("heart", "quartiles", "mlp", "log-odds"),
        ("heart", "quartiles", "trees", "log-odds"),
        ("heart", "gaussian", "linear", "log-odds"),
        ("cancer", "quartiles", "mlp", "probability"),
        ("diabetes", "gaussian", "linear", "log-odds"),
        pytest.param("heart", "quartiles", "forest", "probability", marks=pytest.mark.full),
        pytest.param("cancer", "gaussian", "mlp", "log-odds", marks=pytest.mark.full),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_secure_explanation_is_limes_own(name, sampler, kind, target):
    """`explain_instance` draws the same rows, and has the same regressors, distances and kernel, which is unrounded."""
    case, (plan, _, _) = fitted(name, kind), explainer(name, sampler)
    outputs = case.outputs(case.X, target)
    for place in (int(np.argmin(outputs)), int(np.argsort(outputs)[len(outputs) // 2])):
        expected, score = limes(name, sampler, place, lambda X: case.outputs(X, target))
        prediction, surrogate, total = secure(case, plan, case.X[place], target)
        # Where no coefficient is larger than 0.3, the rounding of the model's weights is more than 1e-4 of the largest.
        largest = max(np.abs(expected[:-1]).max(), 0.3)
        bound = PROBABILITY_BOUND if target == "probability" else LOG_ODDS_BOUND * largest
        assert np.abs(surrogate - expected)[:-1].max() < bound
        assert surrogate[-1] == pytest.approx(expected[-1], rel=1e-5, abs=WITHIN[target])
        assert prediction == pytest.approx(outputs[place], rel=1e-5, abs=WITHIN[target])
        fit = plan.at(case.X[place]).fit(prediction, surrogate[:-1], surrogate[-1], total)
        assert fit.r_squared == pytest.approx(score, abs=1e-3)


# --- what it costs, and what is seen


@cache
def small(sampler="quartiles"):
    return random_case("mlp", document=document(sampler))


def run(case, *, publicly=False):
    """A run of all parties in this process; with the record's operator in public, for comparison."""
    weights = [torch.from_numpy(share) for share in case.model_shares]
    sizes = [int(np.prod(shape)) for _, shape in case.shapes]
    columns, w = len(case.design.columns), len(case.what_ifs)
    local = case.design.at(case.record)
    arrays = torch.from_numpy(local.operator), torch.from_numpy(local.weights)

    def start(party):
        own = torch.from_numpy(case.input_shares[0][party.rank])
        record, more, secret = torch.split(own, [columns, w * columns, case.design.secrets])
        parts = torch.split(weights[party.rank], sizes)
        tensors = {name: part.reshape(shape) for (name, shape), part in zip(case.shapes, parts, strict=True)}
        rows = Stacked((rows_of(case.design, record), Private(more.reshape(w, columns))))
        surrogate = (
            Surrogate.of_arrays(*arrays, w, bits=tabular.OPERATOR_BITS)
            if publicly
            else surrogate_of(case.design, secret, w)
        )
        return explain(party, case.kind, tensors, rows, surrogate, case.target)

    return together(start, PARTIES)


def agree(one, other):
    """Squares are of numbers that are rounded up or down at random."""
    (prediction, explanation), (same, known) = added_up(one.results), added_up(other.results)
    assert prediction == pytest.approx(same, abs=1e-5)
    assert explanation[:-1] == pytest.approx(known[:-1], abs=1e-5)
    assert explanation[-1] == pytest.approx(known[-1], rel=1e-3)


def test_a_secret_operator_costs_one_round_and_exactly_so_many_bytes_more():
    case = small()
    secret, public = run(case), run(case, publicly=True)
    rows, d = 1 + case.design.n, len(case.design.groups)
    opened_more = 8 * ((d + 1) + 1 + 2) * rows  # operator and weights; differences and squares
    assert secret.rounds == public.rounds + 1
    assert secret.bytes_sent == public.bytes_sent + PARTIES * (PARTIES - 1) * opened_more
    assert secret.bytes_dealt == public.bytes_dealt + 8 * (d + 1 + 1)


def test_rows_that_do_not_depend_on_the_record_cost_their_first_layer_nothing():
    case = small()
    sizes = [value.numel() for value in run(case).opened[:2]]
    assert sizes == [len(case.design.columns), 16 * len(case.design.columns)]  # the record's own row, times weights


def test_the_same_comes_out_as_of_a_public_operator():
    agree(run(small()), run(small(), publicly=True))


def test_views_are_uniform_whatever_the_record_is():
    """Two records, at the reference and far from it: in both, every bit of what the last product opens is even."""
    plan = read_design(document(samples=200))
    for record in (np.zeros(len(plan.columns)), np.full(len(plan.columns), 2.0)):
        case = Case("mlp", record, small().tensors, document=document(samples=200))
        shapes = [(len(plan.groups) + 1, 200), (200, 1), (1, 200), (200, 1)]
        last = [value for value in run(case).opened if tuple(value.shape) in shapes]
        assert [tuple(value.shape) for value in last] == shapes
        bits = np.concatenate([value.numpy().ravel() for value in last]).view(np.uint64)
        even = np.array([((bits >> np.uint64(place)) & np.uint64(1)).mean() for place in range(64)])
        assert np.abs(even - 0.5).max() < 5 * 0.5 / np.sqrt(len(bits))


def test_blocks_of_rows_give_what_all_rows_together_give(monkeypatch):
    case = random_case("mlp", document=document(), what_ifs=[np.zeros(13), np.full(13, 0.5)])
    whole = run(case)
    monkeypatch.setattr(engine, "ROWS", 16)
    agree(run(case), whole)


@pytest.mark.parametrize("samples", [tabular.SAMPLES, tabular.MOST_SAMPLES])
@pytest.mark.parametrize("target", ["log-odds", "probability"])
def test_as_many_rows_as_a_document_may_have_fit(samples, target):
    plan = replace(read_design(document()), rows=np.zeros((samples - 1, 13), dtype=np.int64))
    surrogate_of(plan, torch.zeros(plan.secrets, dtype=torch.int64)).check(target)


# --- jobs


@pytest.mark.parametrize("sampler", ["quartiles", "gaussian"])
def test_a_job_of_several_records_with_what_ifs(sampler):
    generator = np.random.default_rng(5)
    case = random_case(
        "mlp",
        document=document(sampler),
        others=[generator.normal(size=13)],
        what_ifs=[generator.normal(size=13)],
    )
    answers = run_here(case)
    for place in range(2):
        (prediction, explanation), known = opened(case, answers, place), case.expected(place)
        assert prediction == pytest.approx(known[0], abs=1e-3)
        assert explanation == pytest.approx(np.append(known[1], known[2]), rel=2e-3, abs=1e-3)


def test_a_record_without_its_secrets_is_refused_before_anything_is_sent():
    case = random_case("linear", document=document())
    case.input_shares = [[share[:-1] for share in shares_] for shares_ in case.input_shares]
    for answer in run_here(case, startup_seconds=2)[:PARTIES]:
        assert (answer.reason, answer.field) == (Reason.FIELD_INVALID, "records")
