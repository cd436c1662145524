import io
import json

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from concordat import model
from concordat.importers import DEEPEST, Imported, Split, ensemble, from_file, from_lightgbm, from_sklearn, from_xgboost
from concordat.kinds import KINDS
from concordat.kinds.kind import softmax
from concordat.reasons import Reason, Refused


@pytest.fixture(scope="module")
def data():
    X, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(X).astype(np.float32).astype(np.float64), y


def forward(imported, X):
    given = {name: np.shape(tensor) for name, tensor in imported.tensors.items()}
    shapes = model.shapes_of(imported.kind, given, X.shape[1])
    assert [(name, np.shape(imported.tensors[name])) for name, _ in shapes] == shapes
    return model.forward(imported.kind, imported.tensors, X)


def log_odds(estimator, X):
    p = estimator.predict_proba(X)[:, 1]
    return np.log(p / (1 - p))


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(C=0.1),
        MLPClassifier((16,), max_iter=60, random_state=0),
        MLPClassifier((8, 6, 4), max_iter=60, random_state=0),
        GradientBoostingClassifier(n_estimators=10, random_state=0),
        GradientBoostingClassifier(n_estimators=5, max_depth=5, random_state=0),
        GradientBoostingClassifier(n_estimators=5, init="zero", random_state=0),
    ],
    ids=lambda estimator: repr(estimator)[:40],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_scikit_learn_estimator_computes_the_same_after_its_import(data, estimator):
    X, y = data
    estimator.fit(X, y)
    assert forward(from_sklearn(estimator), X) == pytest.approx(log_odds(estimator, X), abs=1e-5)


@pytest.mark.parametrize(
    ("estimator", "field"),
    [
        (AdaBoostClassifier(n_estimators=2), "kind"),
        (DecisionTreeClassifier(), "kind"),
        (MLPClassifier((4,), activation="tanh", max_iter=2), "model"),
        (GradientBoostingClassifier(n_estimators=1, loss="exponential"), "model"),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_is_no_kind_is_refused(data, estimator, field):
    with pytest.raises(Refused) as caught:
        from_sklearn(estimator.fit(*data))
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, field)


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(7, max_depth=6, random_state=0),
        RandomForestClassifier(3, max_depth=4, class_weight="balanced", min_samples_leaf=9, random_state=0),
        RandomForestClassifier(2, max_depth=1, max_samples=20, random_state=0),
        ExtraTreesClassifier(7, max_depth=6, random_state=0),
    ],
    ids=lambda estimator: repr(estimator)[:40],
)
def test_a_forest_answers_with_scikit_learns_probability(data, estimator):
    X, y = data
    imported = from_sklearn(estimator.fit(X, y))
    assert model.KINDS[imported.kind].scale == "probability"
    assert forward(imported, X) == pytest.approx(estimator.predict_proba(X)[:, 1], abs=1e-12)


def test_a_forest_that_grew_too_deep_is_refused():
    X = np.arange(64.0)[:, None]
    forest = RandomForestClassifier(1, bootstrap=False, random_state=0).fit(X, np.arange(64) % 2)
    with pytest.raises(Refused, match=f"deeper than {DEEPEST}"):
        from_sklearn(forest)


def test_more_than_one_target_is_refused(data):
    X, y = data
    with pytest.raises(Refused):
        from_sklearn(RandomForestClassifier(2).fit(X, np.column_stack([y, y])))


@pytest.mark.parametrize("hidden", [(16,), (8, 6)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_network_of_several_classes_answers_with_scikit_learns_probabilities(data, hidden):
    X, _ = data
    names = np.array(["healthy", "ischaemia", "heart failure", "other"])
    estimator = MLPClassifier(hidden, max_iter=60, random_state=0).fit(X, names[np.arange(len(X)) % 4])
    imported = from_sklearn(estimator)
    assert (imported.kind, imported.classes) == ("mlp-classes", tuple(sorted(names)))
    assert softmax(forward(imported, X)) == pytest.approx(estimator.predict_proba(X), abs=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_more_than_sixteen_classes_and_labels_that_go_together_are_refused(data):
    X, y = data
    for labels in (np.arange(len(X)) % 17, np.column_stack([y, 1 - y, y])):
        with pytest.raises(Refused, match="classes"):
            from_sklearn(MLPClassifier((4,), max_iter=2).fit(X, labels))


def test_more_than_two_classes_are_refused(data):
    X, _ = data
    classifier = LogisticRegression(max_iter=500).fit(X[:90], np.arange(90) % 3)
    with pytest.raises(Refused):
        from_sklearn(classifier)


def xgboost(**changes):
    """Two trees: x0 < 0.5 ? (x1 < 1 ? 0.1 : 0.2) : 0.3, and the leaf 0.05."""
    trees = [
        {
            "left_children": [1, 3, -1, -1, -1],
            "right_children": [2, 4, -1, -1, -1],
            "split_indices": [0, 1, 0, 0, 0],
            "split_conditions": [0.5, 1.0, 0.3, 0.1, 0.2],
            "split_type": [0, 0, 0, 0, 0],
        },
        {"left_children": [-1], "right_children": [-1], "split_indices": [0], "split_conditions": [0.05]},
    ]
    learner = {
        "objective": {"name": "binary:logistic"},
        "learner_model_param": {"base_score": "5E-1"},
        "gradient_booster": {"model": {"trees": trees}},
    }
    return {"learner": learner | changes}


def test_xgboost_sends_what_is_below_the_threshold_left():
    X = np.array([[0.0, 0.0], [0.0, 1.0], [0.5, 0.0], [0.49, 0.99]])
    expected = [0.15, 0.25, 0.35, 0.15]
    imported = from_xgboost(xgboost(), 2)
    assert forward(imported, X) == pytest.approx(expected)
    # and on the grid of fixed point, where the engine compares
    rounded = imported.tensors | {"thresholds": np.rint(imported.tensors["thresholds"] * 2**16) / 2**16}
    assert model.forward("trees", rounded, np.rint(X * 2**16) / 2**16) == pytest.approx(expected)


@pytest.mark.parametrize(
    "document", [{}, xgboost(objective={"name": "reg:squarederror"}), xgboost(gradient_booster={"model": {}})]
)
def test_another_xgboost_document_is_refused(document):
    with pytest.raises(Refused) as caught:
        from_xgboost(document, 2)
    assert caught.value.reason is Reason.FIELD_INVALID


LIGHTGBM = """tree
version=v4
num_class=1
objective=binary sigmoid:1

Tree=0
num_leaves=3
num_cat=0
split_feature=0 1
threshold=0.5 1
decision_type=2 2
left_child=1 -1
right_child=-2 -3
leaf_value=0.1 0.3 0.2
shrinkage=1

Tree=1
num_leaves=1
num_cat=0
leaf_value=0.05
shrinkage=1

end of trees
"""


def test_lightgbm_sends_what_equals_the_threshold_left():
    X = np.array([[0.0, 0.0], [0.5, 1.0], [0.51, 0.0], [0.5, 1.01]])
    assert forward(from_lightgbm(LIGHTGBM, 2), X) == pytest.approx([0.15, 0.15, 0.35, 0.25])


def test_a_lightgbm_forest_averages_the_log_odds_of_its_trees():
    X = np.array([[0.0, 0.0], [0.51, 0.0]])
    text = LIGHTGBM.replace("sigmoid:1\n", "sigmoid:1\naverage_output\n")
    assert forward(from_lightgbm(text, 2), X) == pytest.approx([0.075, 0.175])
    with pytest.raises(Refused):
        from_lightgbm(text.replace("version=v4", "version=v2"), 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        LIGHTGBM.replace("binary sigmoid:1", "regression"),
        LIGHTGBM.replace("decision_type=2 2", "decision_type=2 1"),
    ],
)
def test_another_lightgbm_text_is_refused(text):
    with pytest.raises(Refused) as caught:
        from_lightgbm(text, 2)
    assert caught.value.reason is Reason.FIELD_INVALID


def test_a_tree_that_is_too_deep_is_refused():
    tree = 1.0
    for _ in range(DEEPEST + 1):
        tree = Split(0, 0.0, tree, 0.0)
    with pytest.raises(Refused):
        ensemble([tree], 0.0, 1)


def archive(**tensors):
    file = io.BytesIO()
    np.savez(file, **tensors)
    return file.getvalue()


LINEAR = {"weight": np.array([0.5, -1.0]), "bias": np.array(0.25)}


def test_a_file_is_read_by_what_it_holds(data):
    X, _ = data
    for name, content, expected in (
        ("XGBoost", json.dumps(xgboost()).encode(), from_xgboost(xgboost(), 2)),
        ("LightGBM", f"tree\n{LIGHTGBM}".encode(), from_lightgbm(LIGHTGBM, 2)),
        ("tensors", archive(**LINEAR), Imported("linear", LINEAR)),
    ):
        found = from_file(content, 2)
        assert (found.kind, found.tensors.keys()) == (expected.kind, expected.tensors.keys()), name
        assert forward(found, X[:, :2]) == pytest.approx(forward(expected, X[:, :2])), name


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_of_any_kind_is_known_by_its_tensors(kind):
    shapes = KINDS[kind].shapes(7)
    assert from_file(archive(**{name: np.zeros(shape) for name, shape in shapes}), 7).kind == kind


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.FILE_UNREADABLE),
        (b"\xff\xfe", Reason.FILE_UNREADABLE),
        (b"[1, 2]", Reason.FILE_UNREADABLE),
        (b"[" * 100_000, Reason.FILE_UNREADABLE),
        (b"PK\x03\x04 and no archive", Reason.FILE_UNREADABLE),
        (b"{}", Reason.FIELD_INVALID),
        (archive(weight=np.zeros(3), bias=np.zeros(())), Reason.FIELD_INVALID),  # of other columns
        (archive(**LINEAR, more=np.zeros(2)), Reason.FIELD_INVALID),
        (archive(), Reason.FILE_UNREADABLE),
    ],
)
def test_what_is_no_model_s_file_is_refused(content, reason):
    with pytest.raises(Refused) as caught:
        from_file(content, 2)
    assert caught.value.reason is reason
