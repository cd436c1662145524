"""Secure explanations with LIME's own tabular samplers, against the whole of the `lime` package: its own rows too."""

from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import pytest
import torch
from lime.lime_tabular import LimeTabularExplainer
from sklearn.linear_model import Ridge

from compute.engine import arithmetic
from compute.engine.lime import Surrogate, explain
from compute.engine.perturbed import rows_of
from compute.engine.tabular import surrogate_of
from concordat import ring
from concordat.design import TabularDesign, read_design, tabular, training
from concordat.kinds import KINDS
from concordat.kinds.kind import UNCLAMPED
from tests.compute.engine.test_agreement import LOG_ODDS_BOUND, PROBABILITY_BOUND, data, fitted
from tests.support.parties import shares, together

SEED, SAMPLES = 3, 400


@dataclass
class Explainer:
    """A design for a data set, and `lime` itself on the same training data."""

    plan: TabularDesign
    schema: object
    lime: LimeTabularExplainer
    table: np.ndarray  # (patients, d) as lime has them

    def explain(self, place, answers):
        """(d + 1,) coefficients and, last, the intercept, and R², of `answers` to encoded records (n, k)."""
        self.lime.random_state.seed(SEED)
        features = self.schema.features
        found = self.lime.explain_instance(
            self.table[place],
            lambda codes: answers(
                np.hstack([training.columns_of(each, codes[:, column]) for column, each in enumerate(features)])
            ),
            labels=(0,),
            num_features=len(features),
            num_samples=SAMPLES,
            model_regressor=Ridge(alpha=1.0, fit_intercept=True),
        )
        return np.array([value for _, value in sorted(found.local_exp[1])] + [found.intercept[0]]), found.score


@cache
def explainer(name, sampler):
    schema, X, _ = data(name)
    table = np.array([training.codes(schema, x) for x in X])
    statistics = [training._summary(*each, sampler) for each in zip(schema.features, table.T, strict=True)]
    names = [each.name for each in schema.features]
    lime = LimeTabularExplainer(
        table,
        mode="regression",
        feature_names=names,
        categorical_features=[place for place, each in enumerate(schema.features) if each.kind != "number"],
        discretize_continuous=sampler == "quartiles",
        feature_selection="none",
        random_state=np.random.RandomState(SEED),
    )
    document = tabular.build(schema, statistics, seed=SEED, samples=SAMPLES, sampler=sampler)
    return Explainer(read_design(document), schema, lime, table)


def protocol(case, plan, x, target, parties=3):
    """What starts the protocol for each party."""
    kind, tensors = case.imported.kind, case.imported.tensors
    bits = {name: 0 if name in KINDS[kind].whole else ring.BITS for name in tensors}
    weights = {name: shares(ring.encode(tensor, bits[name]), parties) for name, tensor in tensors.items()}
    record, secret = shares(ring.encode(x), parties), shares(plan.at(x).secret, parties)

    def start(party):
        mine = {name: share[party.rank] for name, share in weights.items()}
        rows, surrogate = rows_of(plan, record[party.rank]), surrogate_of(plan, secret[party.rank])
        surrogate.check(target)
        return explain(party, kind, mine, rows, surrogate, target, clamped=case.largest > UNCLAMPED)

    return start


def opened(seen):
    return [
        ring.decode(ring.combine([getattr(result, part).numpy() for result in seen.results]), ring.RESULT_BITS)
        for part in ("prediction", "explanation")
    ]


CASES = [
    ("heart", "quartiles", "mlp", "log-odds"),
    ("heart", "quartiles", "mlp", "probability"),
    ("heart", "gaussian", "mlp", "log-odds"),
    ("heart", "gaussian", "linear", "log-odds"),
    ("heart", "quartiles", "trees", "log-odds"),
    ("heart", "quartiles", "forest", "probability"),
    ("cancer", "quartiles", "linear", "log-odds"),
    ("cancer", "quartiles", "mlp", "probability"),
    ("cancer", "gaussian", "mlp", "log-odds"),
    ("diabetes", "quartiles", "mlp", "log-odds"),
    ("diabetes", "gaussian", "linear", "probability"),
]


@pytest.mark.parametrize(("name", "sampler", "kind", "target"), CASES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_secure_explanation_is_limes_own(name, sampler, kind, target):
    case, with_lime = fitted(name, kind), explainer(name, sampler)
    outputs = case.outputs(case.X, target)
    for place in (np.argmin(outputs), np.argmax(outputs), np.argsort(outputs)[len(outputs) // 2]):
        x = case.X[place]
        expected, score = with_lime.explain(place, lambda X: case.outputs(ring.decode(ring.encode(X)), target))
        prediction, explanation = opened(together(protocol(case, with_lime.plan, x, target)))
        sizes = np.abs(expected[:-1])
        bound = PROBABILITY_BOUND if target == "probability" else LOG_ODDS_BOUND * sizes.max()
        print(
            name,
            sampler,
            kind,
            target,
            np.abs(explanation[:-2] - expected[:-1]).max() / (sizes.max() if target == "log-odds" else 1),
            explanation[-2] - expected[-1],
            score,
        )
        assert np.abs(explanation[:-2] - expected[:-1]).max() < bound
        assert explanation[-2] == pytest.approx(expected[-1], rel=1e-5, abs=2e-5 if target == "probability" else 2e-4)
        assert prediction[0] == pytest.approx(outputs[place], rel=1e-5, abs=2e-5 if target == "probability" else 2e-4)
        if sizes.max() > 2e-4:
            fit = with_lime.plan.at(x).fit(prediction[0], explanation[:-2], explanation[-2], explanation[-1])
            print(fit.r_squared, score)
            assert fit.r_squared == pytest.approx(score, abs=1e-3)
