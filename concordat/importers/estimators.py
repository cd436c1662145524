"""Fitted estimators of scikit-learn, as live objects."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from concordat.importers.ensembles import Imported, Node, Tree, complete, ensemble, grow, invalid, unknown
from concordat.kinds import mlp_classes
from concordat.kinds.kind import Floats


def from_sklearn(estimator: Any) -> Imported:
    """A fitted LogisticRegression, MLPClassifier (ReLU), GradientBoostingClassifier, RandomForestClassifier or
    ExtraTreesClassifier. Of several classes, up to 16, the names are the estimator's own, as text.

    Raises:
        Refused: FIELD_INVALID for any other object, more classes than two (an MLPClassifier's may be up to 16), more
            targets than one, another activation, or trees that are too deep.
    """
    name = type(estimator).__name__
    readers = {
        "LogisticRegression": _logistic_regression,
        "MLPClassifier": _perceptron,
        "GradientBoostingClassifier": _gradient_boosting,
        "RandomForestClassifier": _random_forest,
        "ExtraTreesClassifier": _random_forest,
    }
    if name not in readers:
        raise unknown(f"A {name} is none of: {', '.join(readers)}.")
    if name == "MLPClassifier" and estimator.out_activation_ == "softmax":
        return _perceptron(estimator)
    if getattr(estimator, "n_outputs_", 1) != 1 or len(estimator.classes_) != 2:
        raise invalid("One target of two classes is expected, or of several with an MLPClassifier.")
    return readers[name](estimator)


def _logistic_regression(estimator: Any) -> Imported:
    return Imported("linear", {"weight": estimator.coef_[0], "bias": np.asarray(estimator.intercept_[0])})


def _perceptron(estimator: Any) -> Imported:
    if estimator.activation != "relu":
        raise invalid("Hidden layers have the activation relu.")
    *hidden, (weight, bias) = zip(estimator.coefs_, estimator.intercepts_, strict=True)
    tensors: dict[str, Any] = {}
    for depth, (layer, offset) in enumerate(hidden, start=1):
        name = "hidden" if depth == 1 else f"hidden{depth}"
        tensors |= {f"{name}.weight": layer.T, f"{name}.bias": offset}
    if estimator.out_activation_ == "softmax":
        if not mlp_classes.FEWEST <= len(estimator.classes_) <= mlp_classes.MOST:
            raise invalid(f"There are at most {mlp_classes.MOST} classes.")
        names = tuple(map(str, estimator.classes_))
        return Imported("mlp-classes", tensors | {"output.weight": weight.T, "output.bias": bias}, names)
    return Imported("mlp", tensors | {"output.weight": weight[:, 0], "output.bias": np.asarray(bias[0])})


def _gradient_boosting(estimator: Any) -> Imported:
    if estimator.loss != "log_loss":
        raise invalid("The loss is log_loss.")
    if estimator.init not in (None, "zero"):
        raise invalid("What the trees are added to (init) is the share of the classes, or zero: no other estimator.")
    prior = estimator.init_.class_prior_[1] if estimator.init_ != "zero" else 0.5
    rate, columns = estimator.learning_rate, estimator.n_features_in_
    trees = _trees(estimator.estimators_[:, 0], columns, lambda value: value[0] * rate)
    return ensemble(trees, math.log(prior / (1 - prior)), columns)


def _random_forest(estimator: Any) -> Imported:
    columns = estimator.n_features_in_
    trees = _trees(estimator.estimators_, columns, lambda value: value[1] / value.sum())
    return Imported("forest", complete(trees, columns))


def _trees(estimators: Any, columns: int, leaf: Callable[[Floats], float]) -> list[Tree]:
    """`leaf` makes one number of what a tree has at a leaf: (1,) of a regression, (2,) parts or counts of classes."""
    return [grow(_nodes(each.tree_, leaf), columns, tree=index) for index, each in enumerate(estimators)]


def _nodes(tree: Any, leaf: Callable[[Floats], float]) -> Callable[[int], Node]:
    def node(number: int) -> Node:
        left, right = int(tree.children_left[number]), int(tree.children_right[number])
        if left == right:
            return float(leaf(tree.value[number, 0]))
        return int(tree.feature[number]), float(tree.threshold[number]), left, right

    return node
