"""Models as other libraries have them, turned into a kind and its tensors. Nothing is unpickled or called by name.

scikit-learn estimators are taken as live objects, XGBoost models as the JSON and LightGBM models as the text that they
save, and any model as an archive of its tensors. All of them have to classify two classes, and answer in log-odds;
random forests of scikit-learn answer with a probability, and its networks may tell several classes apart.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from concordat import model_file
from concordat.kinds import KINDS, mlp_classes
from concordat.kinds.kind import Floats, Tensors
from concordat.model import shapes_of
from concordat.reasons import Reason, Refused

DEEPEST = 10
"""A complete tree of that many levels has a thousand leaves; a deeper one has to be trained shallower."""

BELOW = 0.75 * 2.0**-16
"""Less than one unit of fixed point, more than half: *below t* is *at most t - BELOW* for encoded numbers."""


@dataclass(frozen=True)
class Imported:
    """What `concordat.model.publish` wants to know. `classes` are the names of several, in the order of the answers,
    and none of two."""

    kind: str
    tensors: Tensors
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Split:
    """A node that sends a record left where its column is at most the threshold."""

    column: int
    threshold: float
    left: "Split | float"
    right: "Split | float"


Tree = Split | float
"""A leaf is its value."""


def from_file(data: bytes, columns: int) -> Imported:
    """What a file holds, whatever it is called: XGBoost's JSON, LightGBM's text, or an archive (`.npz`) of tensors
    named as in their kind, such as ``numpy.savez("model.npz", **from_sklearn(estimator).tensors)`` writes.

    Raises:
        Refused: FILE_UNREADABLE for anything else, and what :func:`from_xgboost`, :func:`from_lightgbm` and
            :func:`from_tensors` refuse.
    """
    if model_file.is_archive(data):
        return from_tensors(model_file.arrays(data), columns)
    try:
        text = data.decode()
        if text.startswith("tree\n"):
            return from_lightgbm(text, columns)
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        detail = "This is neither XGBoost's JSON, nor LightGBM's text, nor an .npz archive of tensors."
        raise Refused(Reason.FILE_UNREADABLE, detail=detail, field="model")
    return from_xgboost(document, columns)


def from_tensors(tensors: Tensors, columns: int) -> Imported:
    """Tensors of whichever kind has just these names and shapes; classes have no names in them.

    Raises:
        Refused: FIELD_INVALID if there is no such kind for so many columns.
    """
    given = {name: np.shape(tensor) for name, tensor in tensors.items()}
    fitting = [kind for kind in KINDS if dict(shapes_of(kind, given, columns)) == given]
    if len(fitting) != 1:
        there = ", ".join(f"{name} {shape}" for name, shape in given.items())
        raise _unknown(f"For {columns} columns no kind of model ({', '.join(KINDS)}) has the tensors: {there}.")
    return Imported(fitting[0], dict(tensors))


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
        raise _unknown(f"A {name} is none of: {', '.join(readers)}.")
    if name == "MLPClassifier" and estimator.out_activation_ == "softmax":
        return _perceptron(estimator)
    if getattr(estimator, "n_outputs_", 1) != 1 or len(estimator.classes_) != 2:
        raise _invalid("One target of two classes is expected, or of several with an MLPClassifier.")
    return readers[name](estimator)


def from_xgboost(document: Mapping[str, Any], columns: int) -> Imported:
    """The parsed JSON of ``Booster.save_model("model.json")``, of objective ``binary:logistic``.

    A forest (``num_parallel_tree``) is one too: its leaves are saved as parts of the sum. XGBoost sends a
    value left where it is *below* the threshold. Missing values do not occur: the schema imputes them.

    Raises:
        Refused: FIELD_INVALID, likewise.
    """
    try:
        learner = document["learner"]
        if learner["objective"]["name"] != "binary:logistic":
            raise _unknown("Only the objective binary:logistic answers in log-odds of two classes.")
        score = float(str(learner["learner_model_param"]["base_score"]).strip("[]"))
        trees = [_xgboost_tree(tree, 0) for tree in learner["gradient_booster"]["model"]["trees"]]
        return ensemble(trees, math.log(score / (1 - score)), columns)
    except (LookupError, TypeError, ValueError, ZeroDivisionError) as error:
        raise _invalid("This is no XGBoost model in JSON.") from error


def from_lightgbm(text: str, columns: int) -> Imported:
    """The text of ``Booster.save_model("model.txt")``, of objective ``binary`` without a sigmoid's own slope.

    With ``boosting=rf`` the log-odds are the mean of the trees. Before version 4 they were not always.

    Raises:
        Refused: FIELD_INVALID, likewise, and for splits on categories.
    """
    head, *blocks = text.split("\nTree=")
    if "objective=binary sigmoid:1\n" not in f"{head}\n":
        raise _unknown("Only the objective binary, with sigmoid:1, answers in log-odds of two classes.")
    averaged = "average_output" in head.splitlines()
    if averaged and "version=v4" not in head.splitlines():
        raise _unknown("A forest is expected in the format of LightGBM 4.")
    try:
        rate = 1 / len(blocks) if averaged else 1.0
        return ensemble([_lightgbm_tree(block, rate) for block in blocks], 0.0, columns)
    except (LookupError, ValueError, ZeroDivisionError) as error:
        raise _invalid("This is no LightGBM model in text.") from error


def ensemble(trees: Sequence[Tree], base: float, columns: int) -> Imported:
    """Trees of any shape, whose leaves add up to log-odds. Raises Refused(FIELD_INVALID)."""
    return Imported("trees", {**_complete(trees, columns), "base": np.array(base)})


def _complete(trees: Sequence[Tree], columns: int) -> dict[str, Any]:
    """Trees as complete ones of the depth of the deepest (see `concordat.kinds.trees`)."""
    depth = max(1, *(_depth(tree) for tree in trees)) if trees else 1
    if not trees or depth > DEEPEST:
        raise _invalid(f"There is a tree, and none is deeper than {DEEPEST} levels.")
    nodes = (1 << depth) - 1
    tensors: dict[str, Any] = {
        "features": np.zeros((len(trees), nodes, columns)),
        "thresholds": np.zeros((len(trees), nodes)),
        "leaves": np.zeros((len(trees), nodes + 1)),
    }
    for index, tree in enumerate(trees):
        level: list[Tree] = [tree]
        for first in ((1 << level_) - 1 for level_ in range(depth)):
            below: list[Tree] = []
            for node, each in enumerate(level, start=first):
                # A leaf above the last level asks for any column, and is the same on both sides.
                split = each if isinstance(each, Split) else Split(0, 0.0, each, each)
                tensors["features"][index, node, split.column] = 1
                tensors["thresholds"][index, node] = split.threshold
                below += [split.left, split.right]
            level = below
        tensors["leaves"][index] = level
    return tensors


def _logistic_regression(estimator: Any) -> Imported:
    return Imported("linear", {"weight": estimator.coef_[0], "bias": np.asarray(estimator.intercept_[0])})


def _perceptron(estimator: Any) -> Imported:
    if estimator.activation != "relu":
        raise _invalid("Hidden layers have the activation relu.")
    *hidden, (weight, bias) = zip(estimator.coefs_, estimator.intercepts_, strict=True)
    tensors: dict[str, Any] = {}
    for depth, (layer, offset) in enumerate(hidden, start=1):
        name = "hidden" if depth == 1 else f"hidden{depth}"
        tensors |= {f"{name}.weight": layer.T, f"{name}.bias": offset}
    if estimator.out_activation_ == "softmax":
        if not mlp_classes.FEWEST <= len(estimator.classes_) <= mlp_classes.MOST:
            raise _invalid(f"There are at most {mlp_classes.MOST} classes.")
        names = tuple(map(str, estimator.classes_))
        return Imported("mlp-classes", tensors | {"output.weight": weight.T, "output.bias": bias}, names)
    return Imported("mlp", tensors | {"output.weight": weight[:, 0], "output.bias": np.asarray(bias[0])})


def _gradient_boosting(estimator: Any) -> Imported:
    if estimator.loss != "log_loss":
        raise _invalid("The loss is log_loss.")
    prior = estimator.init_.class_prior_[1] if estimator.init_ != "zero" else 0.5
    rate = estimator.learning_rate
    trees = [_sklearn_tree(each.tree_, 0, lambda value: value[0] * rate) for each in estimator.estimators_[:, 0]]
    return ensemble(trees, math.log(prior / (1 - prior)), estimator.n_features_in_)


def _random_forest(estimator: Any) -> Imported:
    trees = [_sklearn_tree(each.tree_, 0, lambda value: value[1] / value.sum()) for each in estimator.estimators_]
    return Imported("forest", _complete(trees, estimator.n_features_in_))


def _sklearn_tree(tree: Any, node: int, leaf: Callable[[Floats], float]) -> Tree:
    """`leaf` makes one number of what the tree has at a leaf: (1,) of a regression, (2,) parts or counts of classes."""
    left, right = int(tree.children_left[node]), int(tree.children_right[node])
    if left == right:
        return float(leaf(tree.value[node, 0]))
    sides = (_sklearn_tree(tree, side, leaf) for side in (left, right))
    return Split(int(tree.feature[node]), float(tree.threshold[node]), *sides)


def _xgboost_tree(tree: Mapping[str, Any], node: int) -> Tree:
    left, right = int(tree["left_children"][node]), int(tree["right_children"][node])
    condition = float(tree["split_conditions"][node])
    if left < 0:
        return condition
    if any(tree.get("split_type", ())):
        raise _invalid("No split is on categories.")
    sides = (_xgboost_tree(tree, side) for side in (left, right))
    return Split(int(tree["split_indices"][node]), condition - BELOW, *sides)


def _lightgbm_tree(block: str, rate: float) -> Tree:
    fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
    values = [float(value) * rate for value in fields["leaf_value"].split()]
    if int(fields["num_leaves"]) == 1:
        return values[0]
    columns, lefts, rights, decisions = (
        [int(number) for number in fields[name].split()]
        for name in ("split_feature", "left_child", "right_child", "decision_type")
    )
    thresholds = [float(number) for number in fields["threshold"].split()]
    if any(decision & 1 for decision in decisions):
        raise _invalid("No split is on categories.")

    def tree(node: int) -> Tree:
        if node < 0:
            return values[~node]
        return Split(columns[node], thresholds[node], tree(lefts[node]), tree(rights[node]))

    return tree(0)


def _depth(tree: Tree) -> int:
    return 1 + max(_depth(tree.left), _depth(tree.right)) if isinstance(tree, Split) else 0


def _invalid(detail: str) -> Refused:
    return Refused(Reason.FIELD_INVALID, detail=detail, field="model")


def _unknown(detail: str) -> Refused:
    return Refused(Reason.FIELD_INVALID, detail=detail, field="kind")
