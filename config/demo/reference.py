"""The same prediction and explanation in plaintext, by scikit-learn and by the `lime` package: what the secure job is
held against. Only the demonstration may do this, because it plays every institution at once."""

from dataclasses import dataclass

import numpy as np
from lime.lime_base import LimeBase
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from concordat.design import WEIGHT_BITS, MaskDesign
from concordat.kinds.kind import Scale
from config.demo.training import Trained


@dataclass(frozen=True)
class Reference:
    """`probability` by the estimator; `coefficients` (d,), `intercept` and `r_squared` by `LimeBase`, on the scale that
    was asked for."""

    probability: float
    coefficients: NDArray[np.float64]
    intercept: float
    r_squared: float


def explain(model: Trained, design: MaskDesign, record: NDArray[np.float64], target: Scale) -> Reference:
    """LIME of one encoded record (columns,) on exactly the design's masks, of the answers on the scale `target`.

    `LimeBase` takes the first row for the record itself, so it gets a row of ones in front with zero weight. The other
    rows' weights are the design's: LIME's own kernel, rounded to whole numbers.
    """
    masks = np.vstack([np.ones((1, design.masks.shape[1]), dtype=np.int64), design.masks])
    columns = np.vstack([np.ones((1, design.column_masks.shape[1]), dtype=np.int64), design.column_masks])
    answers = model.answers(columns * record, target)
    distances = np.sqrt((1 - masks).sum(axis=1))
    weights = np.concatenate([[0.0], design.weights / (1 << WEIGHT_BITS)])
    base = LimeBase(lambda distance: weights, random_state=np.random.RandomState(0))
    intercept, ranked, score, _ = base.explain_instance_with_data(
        masks,
        answers[:, None],
        distances,
        0,
        masks.shape[1],
        feature_selection="none",
        model_regressor=Ridge(alpha=design.ridge, fit_intercept=True),
    )
    coefficients = np.zeros(masks.shape[1])
    for feature, weight in ranked:
        coefficients[feature] = weight
    probability = float(model.answers(record[None, :], "probability")[0])
    return Reference(probability, coefficients, float(intercept), float(score))
