"""What the `lime` package itself makes of a design."""

import numpy as np
from lime.lime_base import LimeBase
from sklearn.linear_model import Ridge


def lime(design, labels, kernel=None):
    """(d + 1,) coefficients and, last, the intercept, and R², of the same masks, distances and labels (n,); with LIME's
    own kernel, unless `kernel` makes weights (n,) of the distances (n,)."""
    distances = np.sqrt((1 - design.masks).sum(axis=1))
    width = 0.75 * np.sqrt(design.masks.shape[1])
    base = LimeBase(kernel or (lambda distance: np.sqrt(np.exp(-(distance**2) / width**2))))
    intercept, pairs, score, _ = base.explain_instance_with_data(
        design.masks.astype(float),
        np.column_stack([-labels, labels]),
        distances,
        1,
        design.masks.shape[1],
        feature_selection="none",
        model_regressor=Ridge(alpha=1.0, fit_intercept=True),
    )
    return np.array([value for _, value in sorted(pairs)] + [intercept]), score
