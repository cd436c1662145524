"""Files that XGBoost and LightGBM themselves saved, with what they answered: imported, a model answers the same; what
its options make something else is refused. `boosters.json` says by which versions, and with which options."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from concordat import model
from concordat.importers import from_file, from_lightgbm, from_xgboost
from concordat.reasons import Reason, Refused

SAVED = json.loads((Path(__file__).parent / "boosters.json").read_text())
ROWS = np.array(SAVED["rows"])


def saved(library: str, name: str) -> tuple[bytes, Any]:
    found = SAVED[library][name]
    text = found["model"] if library == "LightGBM" else json.dumps(found["model"])
    return text.encode(), found["log-odds"]


@pytest.mark.parametrize(
    ("library", "name"),
    [
        *(("XGBoost", name) for name in ("gbtree", "forest", "scale")),
        *(("LightGBM", name) for name in ("gbdt", "dart", "rf", "goss", "unbalanced")),
    ],
)
def test_a_saved_model_answers_what_its_library_answered(library: str, name: str) -> None:
    data, answered = saved(library, name)
    imported = from_file(data, 3)
    assert model.forward(imported.kind, imported.tensors, ROWS) == pytest.approx(answered, abs=1e-5)


@pytest.mark.parametrize(
    ("library", "name", "said"),
    [
        ("XGBoost", "dart", "dart weighs"),
        ("XGBoost", "gblinear", "gblinear has none"),
        ("XGBoost", "targets", "num_target"),
        ("XGBoost", "vector", "num_target"),
        ("XGBoost", "categories", "Tree 0: .*split_type"),
        ("XGBoost", "early", "best_iteration is 0"),
        ("LightGBM", "linear_tree", "Tree 0: is_linear"),
        ("LightGBM", "zero_as_missing", "Tree 0, node 0: .*zero_as_missing"),
        ("LightGBM", "categories", "Tree 0, node 1: .*categories"),
        ("LightGBM", "sigmoid", "sigmoid:1"),
    ],
)
def test_an_option_that_changes_what_the_trees_mean_is_refused_by_its_name(library: str, name: str, said: str) -> None:
    with pytest.raises(Refused, match=said) as caught:
        from_file(saved(library, name)[0], 3)
    assert caught.value.reason is Reason.FIELD_INVALID


@pytest.mark.parametrize(("library", "name"), [("XGBoost", "gbtree"), ("LightGBM", "gbdt")])
def test_a_model_of_other_columns_is_refused(library: str, name: str) -> None:
    with pytest.raises(Refused, match=r"num_feature|max_feature_idx"):
        from_file(saved(library, name)[0], 4)


def test_a_text_that_was_cut_off_is_refused() -> None:
    text = saved("LightGBM", "gbdt")[0].decode()
    with pytest.raises(Refused, match="cut off"):
        from_lightgbm(text[: text.index("\nTree=2")], 3)


MANY = 64


def xgboost(**lists: list[Any]) -> dict[str, Any]:
    """A document of one tree: a split, with leaves on both sides, if nothing else is said."""
    tree = {
        "left_children": [1, -1, -1],
        "right_children": [2, -1, -1],
        "split_conditions": [0.0, 1.0, 2.0],
        "split_indices": [0, 0, 0],
    }
    return {
        "learner": {
            "objective": {"name": "binary:logistic"},
            "learner_model_param": {"base_score": "5E-1"},
            "gradient_booster": {"model": {"trees": [tree | lists]}},
        }
    }


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ({"left_children": [0, -1, -1]}, "node 0: it is reached twice"),
        ({"left_children": [2, -1, -1]}, "node 2: it is reached twice"),
        (
            {
                **{side: [*range(1, MANY), -1] for side in ("left_children", "right_children")},
                **{field: [0] * MANY for field in ("split_conditions", "split_indices")},
            },
            "deeper than 10",
        ),
        ({"left_children": [math.inf, -1, -1]}, r"left_children\[0\] is no finite number"),
        ({"left_children": [1.5, -1, -1]}, r"left_children\[0\] is no whole number"),
        ({"right_children": [-2, -1, -1]}, "has no entry -2"),
        ({"right_children": [7, -1, -1]}, "has no entry 7"),
        ({"split_indices": [-1, 0, 0]}, "node 0: it asks for column -1"),
        ({"split_indices": [2, 0, 0]}, "node 0: it asks for column 2"),
        ({"split_conditions": [0.0, math.inf, 2.0]}, r"split_conditions\[1\] is no finite number"),
        ({"split_conditions": [0.0, 1.0, "a name"]}, r"split_conditions\[2\] is no finite number"),
    ],
)
def test_lists_that_are_no_tree_are_refused_where_they_are_not(lists: dict[str, list[Any]], said: str) -> None:
    from_xgboost(xgboost(), 2)
    with pytest.raises(Refused, match=f"Tree 0.*{said}") as caught:
        from_xgboost(xgboost(**lists), 2)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "model")
    assert "a name" not in str(caught.value)


@pytest.mark.parametrize("score", ["nan", "0", "1", "inf"])
def test_a_base_score_that_is_no_probability_is_refused(score: str) -> None:
    document = xgboost()
    document["learner"]["learner_model_param"]["base_score"] = score
    with pytest.raises(Refused, match="base_score"):
        from_xgboost(document, 2)


LIGHTGBM = {
    "num_leaves": "3",
    "split_feature": "0 1",
    "threshold": "0.5 1",
    "decision_type": "2 2",
    "left_child": "1 -1",
    "right_child": "-2 -3",
    "leaf_value": "0.1 0.3 0.2",
}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"left_child": "0 -1"}, "node 0: it is reached twice"),
        ({"right_child": "-1 -3"}, "node -1: it is reached twice"),
        ({"right_child": "-9 -3"}, "leaf_value has no entry 8"),
        ({"split_feature": "0 -1"}, "node 1: it asks for column -1"),
        ({"leaf_value": "0.1 inf 0.2"}, r"leaf_value\[1\] is no finite number"),
        ({"threshold": "nan 1"}, r"threshold\[0\] is no finite number"),
        ({"decision_type": "2 6"}, "node 1: decision_type is 6"),
    ],
)
def test_a_text_whose_lists_are_no_tree_is_refused_where_they_are_not(changed: dict[str, str], said: str) -> None:
    def text(fields: dict[str, str]) -> str:
        block = "\n".join(f"{name}={value}" for name, value in fields.items())
        return f"tree\nversion=v4\nobjective=binary sigmoid:1\n\nTree=0\n{block}\n\nend of trees\n"

    from_lightgbm(text(LIGHTGBM), 2)
    with pytest.raises(Refused, match=f"Tree 0.*{said}"):
        from_lightgbm(text(LIGHTGBM | changed), 2)
