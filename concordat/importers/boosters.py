"""Boosted trees, and forests, in the files that XGBoost and LightGBM save.

Both libraries have options that change what a file's trees mean. Such a file is refused by the option's name:
nothing is read as something else. Options that matter while a model is fitted alone are of no interest here.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from concordat.importers.ensembles import Imported, Node, Tree, ensemble, grow, invalid, unknown

BELOW = 0.75 * 2.0**-16
"""Less than one unit of fixed point, more than half: *below t* is *at most t - BELOW* for encoded numbers."""

_DECISIONS = frozenset({0, 2, 8, 10})
"""LightGBM's `decision_type` of a split between numbers of which none is missing, whatever is done with those missing
(bits 1 and 3). Bit 0 is for categories, bit 2 says that 0 is missing."""

_ONE = "The model answers with one number."
_COLUMNS = "The model's features are the schema's columns."


def from_xgboost(document: Mapping[str, Any], columns: int) -> Imported:
    """The parsed JSON of ``Booster.save_model("model.json")``, of booster ``gbtree`` and objective ``binary:logistic``.

    A forest (``num_parallel_tree``) is one too: its leaves are saved as parts of the sum. XGBoost sends a
    value left where it is *below* the threshold. Missing values do not occur: the schema imputes them.

    Raises:
        Refused: FIELD_INVALID for anything else: another booster, several outputs, splits on categories, a model that
            stopped early and has its later trees still, and what `grow` refuses.
    """
    try:
        learner = document["learner"]
        if learner["objective"]["name"] != "binary:logistic":
            raise unknown("Only the objective binary:logistic answers in log-odds of two classes.")
        booster, about = learner["gradient_booster"], learner["learner_model_param"]
        if booster.get("name", "gbtree") != "gbtree":
            raise unknown("Only the booster gbtree adds its trees up: dart weighs them, and gblinear has none.")
        _expect(about, "num_class", "0", "1", why=_ONE)
        _expect(about, "num_target", "1", why=_ONE)
        _expect(about, "num_feature", str(columns), why=_COLUMNS)
        score = float(str(about["base_score"]).strip("[]"))
        if not 0 < score < 1:
            raise invalid("base_score is not between 0 and 1.")
        _check_whole(learner, booster["model"])
        trees = [_xgboost_tree(tree, index, columns) for index, tree in enumerate(booster["model"]["trees"])]
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise invalid("This is no XGBoost model in JSON.") from error
    return ensemble(trees, math.log(score / (1 - score)), columns)


def from_lightgbm(text: str, columns: int) -> Imported:
    """The text of ``Booster.save_model("model.txt")``, of objective ``binary`` without a sigmoid's own slope.

    With ``boosting=rf`` the log-odds are the mean of the trees. Before version 4 they were not always.

    Raises:
        Refused: FIELD_INVALID for anything else: several outputs, splits on categories, linear models in leaves
            (``linear_tree``), 0 as a missing value (``zero_as_missing``), and what `grow` refuses.
    """
    trees, end, _ = text.partition("\nend of trees")
    head, *blocks = trees.split("\nTree=")
    about = _fields(head)
    if about.get("objective") != "binary sigmoid:1":
        raise unknown("Only the objective binary, with sigmoid:1, answers in log-odds of two classes.")
    averaged = "average_output" in head.splitlines()
    if averaged and about.get("version") != "v4":
        raise unknown("A forest is expected in the format of LightGBM 4.")
    for field in ("num_class", "num_tree_per_iteration"):
        _expect(about, field, "1", why=_ONE)
    _expect(about, "max_feature_idx", str(columns - 1), why=_COLUMNS)
    if not end or not blocks:
        raise invalid("The text has no trees, or does not reach their end: it is no LightGBM model, or was cut off.")
    rate = 1 / len(blocks) if averaged else 1.0
    return ensemble([_lightgbm_tree(block, index, columns, rate) for index, block in enumerate(blocks)], 0.0, columns)


def _xgboost_tree(tree: Mapping[str, Any], index: int, columns: int) -> Tree:
    _expect(tree.get("tree_param", {}), "size_leaf_vector", "0", "1", why=_ONE, place=f"Tree {index}: ")
    if any(tree.get("split_type", ())):
        raise invalid(f"Tree {index}: no split is on categories (split_type).")

    def node(number: int) -> Node:
        left = _whole(tree, "left_children", number, index)
        condition = _number(tree, "split_conditions", number, index)
        if left == -1:
            return condition
        right = _whole(tree, "right_children", number, index)
        return _whole(tree, "split_indices", number, index), condition - BELOW, left, right

    return grow(node, columns, tree=index)


def _check_whole(learner: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    """A model that stopped early keeps trees that the classifier's own predictions leave out, and the booster's not."""
    best = learner.get("attributes", {}).get("best_iteration")
    rounds = len(model["trees"]) // int(model.get("gbtree_model_param", {}).get("num_parallel_tree", 1))
    if best is not None and int(best) + 1 != rounds:
        raise invalid(
            f"best_iteration is {int(best)}, and there are {rounds} rounds: whether the later trees count is not said. "
            "Save booster[: booster.best_iteration + 1]."
        )


def _lightgbm_tree(block: str, index: int, columns: int, rate: float) -> Tree:
    fields = _fields(block)
    linear = "A leaf is a number, and no linear model (linear_tree)."
    _expect(fields, "is_linear", "0", why=linear, place=f"Tree {index}: ")
    lists = {name: text.split() for name, text in fields.items()}

    def node(number: int) -> Node:
        if number < 0:
            return _number(lists, "leaf_value", ~number, index) * rate
        decision = _whole(lists, "decision_type", number, index)
        if decision & 1:
            raise invalid(f"Tree {index}, node {number}: no split is on categories (decision_type).")
        if decision not in _DECISIONS:
            raise invalid(
                f"Tree {index}, node {number}: decision_type is {decision}; 0 is no missing value (zero_as_missing)."
            )
        left, right = (_whole(lists, side, number, index) for side in ("left_child", "right_child"))
        return _whole(lists, "split_feature", number, index), _number(lists, "threshold", number, index), left, right

    return grow(node, columns, tree=index, root=-1 if _whole(lists, "num_leaves", 0, index) == 1 else 0)


def _fields(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _expect(found: Mapping[str, Any], field: str, *values: str, why: str, place: str = "") -> None:
    """What is not said, in files of earlier versions, is as expected."""
    if str(found.get(field, values[0])) not in values:
        raise invalid(f"{place}{field} is not {' or '.join(values)}. {why}")


def _number(lists: Mapping[str, Sequence[Any]], field: str, number: int, tree: int) -> float:
    """The entry of this number in one of a tree's lists; of what is no finite number, where it stands."""
    try:
        if not 0 <= number < len(lists[field]):
            raise invalid(f"Tree {tree}: {field} has no entry {number}.")
        value = float(lists[field][number])
    except (KeyError, TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise invalid(f"Tree {tree}: {field}[{number}] is no finite number.")
    return value


def _whole(lists: Mapping[str, Sequence[Any]], field: str, number: int, tree: int) -> int:
    value = _number(lists, field, number, tree)
    if not value.is_integer():
        raise invalid(f"Tree {tree}: {field}[{number}] is no whole number.")
    return int(value)
