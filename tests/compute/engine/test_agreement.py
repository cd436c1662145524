"""Secure explanations against the `lime` package's own regression, of real models on real patients.

Both get the same perturbed records and whole-number kernel weights, of masks and of slopes; the labels of `lime` are
the estimator's own, in float64. Patients are those with the lowest, the highest, the middle and the least certain
output.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from compute.engine.lime import Surrogate, explain
from compute.engine.perturbed import rows_of
from concordat import design, ring
from concordat.canaries import known_result
from concordat.design import OPERATOR_BITS, WEIGHT_BITS, Design, read_design
from concordat.importers import from_sklearn
from concordat.kinds import KINDS
from concordat.kinds.kind import UNCLAMPED
from concordat.schema import NUMBER_MARGIN, FeatureSchema
from config.demo.training import encode, read_rows
from tests.support.parties import shares, together
from tests.support.reference import lime

HEART = Path(__file__).parents[3] / "examples" / "heart_disease"
LOG_ODDS_BOUND, PROBABILITY_BOUND = 1e-4, 1e-5
"""The most that a coefficient may be off: as a part of the largest one; absolutely."""

INTERVAL_BOUND = 0.01
"""The most that an end of an interval may be off, as a part of the largest coefficient: what is left over is a small
difference of large sums, whose squares are rounded."""

ESTIMATORS = {
    "linear": lambda: LogisticRegression(max_iter=1000),
    "mlp": lambda: MLPClassifier((16,), max_iter=150, random_state=0),
    "trees": lambda: GradientBoostingClassifier(n_estimators=20, random_state=0),
    "forest": lambda: RandomForestClassifier(20, max_depth=4, random_state=0),
}

SAMPLERS = {"linear": "orthogonal-gaussian", "mlp": "orthogonal-gaussian", "trees": "sobol"}
BUILD = {
    "masks": lambda schema, kind: design.build(schema, seed="agreement"),
    "slopes": lambda schema, kind: design.build_slopes(schema, seed="agreement", sampler=SAMPLERS[kind]),
}


def numbers(count):
    """A schema of that many numbers, already standardised."""
    feature = {
        "kind": "number",
        "codes": [],
        "range": ["-100", "100"],
        "centre": "0",
        "scale": "1",
        "missing": "refuse",
    }
    named = [feature | dict.fromkeys(("name", "label", "words", "group"), f"x{index}") for index in range(count)]
    text = dict.fromkeys(("name", "version", "title", "source", "standardisation"), "numbers")
    return FeatureSchema.from_json({"v": 1, **text, "left_out": {}, "features": named})


@cache
def data(name):
    """Schema, records (n, columns) as they are shared, in fixed point, and classes (n,)."""
    if name == "heart":
        schema = FeatureSchema.from_json(json.loads((HEART / "schema.json").read_text()))
        rows = read_rows(HEART / "uci_heart_4_hospitals.csv")
        X, y = encode(rows, schema), np.array([row["num"] != "0" for row in rows])
    else:
        X, y = {"cancer": load_breast_cancer, "diabetes": load_diabetes}[name](return_X_y=True)
        schema, X = numbers(X.shape[1]), StandardScaler().fit_transform(X)
        y = y > (np.median(y) if name == "diabetes" else 0)
    return schema, ring.decode(ring.encode(X)), y.astype(int)


@dataclass
class Fitted:
    """An estimator, its import, the most that its outputs can be, and the public design for its data."""

    estimator: object
    imported: object
    largest: float
    design: Design
    X: np.ndarray

    def outputs(self, X, target):
        """By scikit-learn itself; log-odds by our reference, which agrees with it to more digits than 1 - p has."""
        probability = self.estimator.predict_proba(X)[:, 1]
        kind = KINDS[self.imported.kind]
        plain = kind.forward(self.imported.tensors, X)
        assert (1 / (1 + np.exp(-plain)) if kind.scale == "log-odds" else plain) == pytest.approx(
            probability, abs=1e-12
        )
        return plain if target == kind.scale else probability

    def patients(self, target):
        outputs = self.outputs(self.X, target)
        order = np.argsort(outputs)
        undecided = np.abs(outputs - (0.5 if target == "probability" else 0)).argmin()
        return self.X[[order[0], order[-1], order[len(order) // 2], undecided]]


@cache
def fitted(name, kind, method="masks"):
    schema, X, y = data(name)
    estimator = ESTIMATORS[kind]().fit(X, y)
    imported = from_sklearn(estimator)
    largest = KINDS[imported.kind].prove(imported.tensors, X.min(axis=0) - NUMBER_MARGIN, X.max(axis=0) + NUMBER_MARGIN)
    document = BUILD[method](schema, kind)
    return Fitted(estimator, imported, largest, read_design(document), X)


def secure(case, x, target, parties=3):
    """Prediction, coefficients with intercept (d + 1,), and the sums of squares, opened."""
    kind, tensors = case.imported.kind, case.imported.tensors
    bits = {name: 0 if name in KINDS[kind].whole else ring.BITS for name in tensors}
    weights = {name: shares(ring.encode(tensor, bits[name]), parties) for name, tensor in tensors.items()}
    record, surrogate = shares(ring.encode(x), parties), Surrogate.of(case.design)

    def start(party):
        mine = {name: share[party.rank] for name, share in weights.items()}
        rows = rows_of(case.design, record[party.rank])
        return explain(party, kind, mine, rows, surrogate, target, clamped=case.largest > UNCLAMPED)

    results = together(start, parties).results
    prediction, explanation = (
        ring.decode(ring.combine([getattr(result, part).numpy() for result in results]), ring.RESULT_BITS)
        for part in ("prediction", "explanation")
    )
    return prediction[0], *np.split(explanation, [len(case.design.groups) + 1])


CASES = [("masks", kind, target) for kind in ("linear", "mlp", "trees") for target in ("log-odds", "probability")]
CASES.append(("masks", "forest", "probability"))
CASES += [("slopes", kind, "log-odds") for kind in SAMPLERS]


@pytest.mark.parametrize(("method", "kind", "target"), CASES)
@pytest.mark.parametrize("name", ["cancer", "diabetes", "heart"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_secure_explanation_is_limes(name, method, kind, target):
    case = fitted(name, kind, method)
    kernel = case.design.weights / (1 << WEIGHT_BITS)
    for x in case.patients(target):
        outputs = case.outputs(np.vstack([x, case.design.perturbed(x)]), target)
        expected, score = lime(case.design, outputs[1:], lambda _: kernel)
        prediction, surrogate, squares = secure(case, x, target)
        sizes = np.abs(expected[:-1])
        bound = PROBABILITY_BOUND if target == "probability" else LOG_ODDS_BOUND * sizes.max()
        assert np.abs(surrogate - expected)[:-1].max() < bound
        assert prediction == pytest.approx(outputs[0], rel=1e-5, abs=2e-5 if target == "probability" else 2e-4)
        assert surrogate[-1] == pytest.approx(expected[-1], rel=1e-5, abs=2e-5 if target == "probability" else 2e-4)

        order, ours = np.argsort(-sizes), np.argsort(-np.abs(surrogate[:-1]))
        for first in range(
            1, min(6, len(sizes))
        ):  # the first so many are the same, unless the next one is as large but for the bound
            if sizes[order[first - 1]] - sizes[order[first]] > 2 * bound:
                assert set(order[:first]) == set(ours[:first])
        if sizes.max() > 2e-4:  # of a model that does not react, R² is that of the roundings
            fit = case.design.fit(prediction, surrogate[:-1], surrogate[-1], *squares, target=target)
            assert fit.r_squared == pytest.approx(score, abs=1e-3)
            plain = case.design.operator / (1 << OPERATOR_BITS) @ outputs[1:]
            sums = case.design.squares(outputs[1:] - outputs[0])
            direct = case.design.fit(outputs[0], plain[:-1], plain[-1], *sums, target=target)
            record = ring.decode(ring.encode(x))
            _, known = known_result(case.imported.kind, case.imported.tensors, case.design, record, target)
            known = known[0, len(surrogate) :]
            assert np.all(np.abs(squares - known) < case.design.squares_error(known, target) / 2)
            off = np.abs(fit.intervals - direct.intervals).max() * case.design.step
            assert off < max(bound, INTERVAL_BOUND * sizes.max())


def test_extreme_log_odds_are_among_them():
    outputs = fitted("cancer", "linear").outputs(fitted("cancer", "linear").patients("log-odds"), "log-odds")
    assert outputs.min() < -50
    assert outputs.max() > 15
