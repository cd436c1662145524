"""What the model's owner does on its own machine: train two models on its own rows, in plaintext."""

import csv
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from concordat.files import write_private
from concordat.kinds.kind import Scale
from concordat.kinds.mlp import HIDDEN
from concordat.schema import FeatureSchema

_LABEL = "num"  # 0: no coronary disease at angiography; 1 to 4: its extent


@dataclass(frozen=True)
class Trained:
    """A fitted estimator and its tensors by the names of `concordat.model`."""

    kind: str
    estimator: Any
    tensors: dict[str, NDArray[np.float64]]

    def answers(self, X: NDArray[np.float64], target: Scale) -> NDArray[np.float64]:  # noqa: N803
        """(n,) on the scale `target`, by scikit-learn itself, not by our own forward pass."""
        probability = np.asarray(self.estimator.predict_proba(X)[:, 1])
        return probability if target == "probability" else np.log(probability) - np.log1p(-probability)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    table = StringIO(newline="")
    writer = csv.DictWriter(table, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    write_private(path, table.getvalue().encode(), replace=True)


def with_outcome(row: dict[str, str]) -> dict[str, str]:
    """The row with the column that an audit counts by (`examples/heart_disease/audit.json`)."""
    return {**row, "coronary-disease": str(int(row[_LABEL]) > 0).upper()}


def encode(rows: list[dict[str, str]], schema: FeatureSchema) -> NDArray[np.float64]:
    """(n, columns) of the rows, missing values imputed by the schema's rule."""
    return np.array([schema.encode_row(schema.from_row(row)).vector for row in rows])


def labels(rows: list[dict[str, str]]) -> NDArray[np.int64]:
    """(n,) 1 where there was any coronary disease."""
    return np.array([int(row[_LABEL]) > 0 for row in rows], dtype=np.int64)


def train(rows: list[dict[str, str]], schema: FeatureSchema) -> dict[str, Trained]:
    """An `mlp` and a `linear` model, reproducible: the same rows give the same weights."""
    X, y = encode(rows, schema), labels(rows)  # noqa: N806
    network = MLPClassifier((HIDDEN,), activation="relu", alpha=1.0, max_iter=4000, tol=1e-5, random_state=0).fit(X, y)
    regression = LogisticRegression(C=1.0, max_iter=1000).fit(X, y)
    return {
        "mlp": Trained(
            "mlp",
            network,
            {
                "hidden.weight": network.coefs_[0].T,
                "hidden.bias": network.intercepts_[0],
                "output.weight": network.coefs_[1][:, 0],
                "output.bias": network.intercepts_[1][0],
            },
        ),
        "linear": Trained("linear", regression, {"weight": regression.coef_[0], "bias": regression.intercept_[0]}),
    }
