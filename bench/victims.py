"""Secret models that are attacked, on real patients: whose model it is, who asks, and on whom fidelity is judged.

The owner trains on its own patients. The requester asks about others, at most 256, and knows their records. How well
what it has learnt stands in for the model is judged on patients that neither has used. For the four hospitals
(examples/heart_disease), the owner is Cleveland and the rest are shuffled; for breast cancer (scikit-learn's Wisconsin
data), a third of the patients is the owner's.
"""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from concordat import design, ring
from concordat.design import OPERATOR_BITS, WEIGHT_BITS, MaskDesign
from concordat.importers import from_sklearn
from concordat.kinds import KINDS
from concordat.kinds.kind import Scale
from concordat.schema import FeatureSchema
from config.demo.consortium import CLEVELAND, STUDY_FOLDER
from config.demo.training import encode, read_rows

Floats = NDArray[np.float64]
Data = Literal["heart", "cancer"]

ASKED = 256
"""The most patients that the requester asks about."""

ESTIMATORS: dict[str, Callable[[], Any]] = {
    "linear": lambda: LogisticRegression(max_iter=1000),
    "mlp": lambda: MLPClassifier((16,), alpha=1.0, max_iter=4000, tol=1e-5, random_state=0),
    "mlp-overfitted": lambda: MLPClassifier((16,), alpha=1e-4, max_iter=4000, tol=1e-5, random_state=0),
    "trees": lambda: GradientBoostingClassifier(n_estimators=50, random_state=0),
    "forest": lambda: RandomForestClassifier(50, max_depth=4, random_state=0),
}
"""`mlp` is the demonstration's; `mlp-overfitted` fits its owner's patients to the last one and is far from linear."""


@dataclass(frozen=True)
class Seen:
    """What a requester has of q explanations: its own `records` (q, k), and the d + 3 opened numbers of each:
    `predictions` (q,), `coefficients` with the intercept (q, d + 1), total sums of squares `totals` (q,):
    they follow from what is opened."""

    records: Floats
    predictions: Floats
    coefficients: Floats
    totals: Floats


@dataclass(frozen=True)
class Victim:
    """A secret model with its public design. Records are as the engine gets them, rounded to fixed point.

    Attributes:
        asked: (256, k) the requester's patients, in the order in which it asks, and `diagnoses` (256,) of them.
        held_out: (m, k) patients on whom fidelity is judged.
        undecided: the output at which a decision turns.
    """

    data: Data
    name: str
    kind: str
    tensors: dict[str, Floats]
    design: MaskDesign
    asked: Floats
    diagnoses: NDArray[np.int64]
    held_out: Floats

    @property
    def undecided(self) -> float:
        return 0.0 if KINDS[self.kind].scale == "log-odds" else 0.5

    def outputs(self, records: Floats) -> Floats:
        """(n,) on the kind's own scale."""
        return KINDS[self.kind].forward(self.tensors, records)

    def explain(self, records: Floats, scale: Scale | None = None) -> Seen:
        """What is opened of these records, by the plaintext reference and rounded as the engine's results are; on the
        kind's own scale, unless probabilities are asked for."""
        own = scale in (None, KINDS[self.kind].scale)
        perturbed = self.design.column_masks * records[:, None]
        rows = np.concatenate([records[:, None], perturbed], axis=1)
        outputs = self.outputs(rows.reshape(-1, records.shape[1])).reshape(len(records), -1)
        predictions, outputs = np.split(outputs if own else 1 / (1 + np.exp(-outputs)), [1], axis=1)
        weights = self.design.weights / (1 << WEIGHT_BITS)
        deviations = outputs - np.average(outputs, axis=1, weights=weights)[:, None]
        opened = (
            predictions[:, 0],
            outputs @ (self.design.operator / (1 << OPERATOR_BITS)).T,
            deviations**2 @ weights,
        )
        return Seen(records, *(ring.decode(ring.encode(part, ring.RESULT_BITS), ring.RESULT_BITS) for part in opened))


@cache
def victim(data: Data, name: str) -> Victim:
    """The same for the same arguments, on one machine."""
    schema, records, diagnoses, owned = _patients(data)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):  # what overfits never converges
        estimator = ESTIMATORS[name]().fit(records[owned], diagnoses[owned])
    others = np.random.default_rng(0).permutation(np.flatnonzero(~owned))
    asked, held_out = others[:ASKED], others[ASKED:]
    imported = from_sklearn(estimator)
    return Victim(
        data=data,
        name=name,
        kind=imported.kind,
        tensors={each: ring.decode(ring.encode(np.asarray(tensor))) for each, tensor in imported.tensors.items()},
        design=MaskDesign.from_json(design.build(schema, seed="extraction")),
        asked=records[asked],
        diagnoses=diagnoses[asked],
        held_out=records[held_out],
    )


def _patients(data: Data) -> tuple[FeatureSchema, Floats, NDArray[np.int64], NDArray[np.bool_]]:
    """Schema, records (n, k), diagnoses (n,) of 0 and 1, and which patients are the owner's (n,)."""
    if data == "heart":
        schema = FeatureSchema.from_json(json.loads((STUDY_FOLDER / "schema.json").read_text()))
        rows = read_rows(STUDY_FOLDER / "uci_heart_4_hospitals.csv")
        diseased = np.array([row["num"] != "0" for row in rows], dtype=np.int64)
        owned = np.array([row["dataset"] == CLEVELAND.dataset for row in rows])
        return schema, ring.decode(ring.encode(encode(rows, schema))), diseased, owned
    raw, benign = load_breast_cancer(return_X_y=True)
    records = StandardScaler().fit_transform(raw)
    owned = np.random.default_rng(1).permutation(len(records)) < len(records) // 3
    return _numbers(records.shape[1]), ring.decode(ring.encode(records)), 1 - benign, owned


def _numbers(count: int) -> FeatureSchema:
    """A schema of that many numbers, already standardised."""
    number = {"kind": "number", "codes": [], "range": ["-100", "100"], "centre": "0", "scale": "1", "missing": "refuse"}
    features = [number | dict.fromkeys(("name", "label", "words", "group"), f"x{index}") for index in range(count)]
    text = dict.fromkeys(("name", "version", "title", "source", "standardisation"), "numbers")
    return FeatureSchema.from_json({"v": 1, **text, "left_out": {}, "features": features})
