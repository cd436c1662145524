"""What the `lime` package itself makes of a design."""

import numpy as np
from lime.lime_base import LimeBase
from sklearn.linear_model import Ridge

from concordat.design import MaskDesign


def lime(design, labels, kernel=None):
    """(d + 1,) coefficients and, last, the intercept, and R², of the same regressors, distances and labels (n,); with
    LIME's own kernel, unless `kernel` makes weights (n,) of the distances (n,)."""
    regressors = design.regressors
    own = float(isinstance(design, MaskDesign))  # the record's own row: it keeps everything, and is moved by nothing
    distances = np.linalg.norm(regressors - own, axis=1)
    width = 0.75 * np.sqrt(regressors.shape[1])
    base = LimeBase(kernel or (lambda distance: np.sqrt(np.exp(-(distance**2) / width**2))))
    intercept, pairs, score, _ = base.explain_instance_with_data(
        regressors,
        np.column_stack([-labels, labels]),
        distances,
        1,
        regressors.shape[1],
        feature_selection="none",
        model_regressor=Ridge(alpha=1.0, fit_intercept=True),
    )
    return np.array([value for _, value in sorted(pairs)] + [intercept]), score
