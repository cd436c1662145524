import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from concordat import canonical, documents, model, ring, sealing, signatures
from concordat.client.models import import_model
from concordat.kinds.kind import UNCLAMPED
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema
from concordat.sealing import SealingKey

PARTIES = ["cleveland", "budapest", "zurich"]


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(5)
    X = generator.normal(size=(200, 4))
    return X, (X @ [1.0, -2.0, 0.5, 0.0] + generator.normal(size=200) > 0).astype(int)


def test_linear_is_logistic_regressions_decision_function(data):
    X, y = data
    fitted = LogisticRegression().fit(X, y)
    tensors = {"weight": fitted.coef_[0], "bias": fitted.intercept_[0]}
    assert np.allclose(model.forward("linear", tensors, X), fitted.decision_function(X), atol=1e-12)


def test_mlp_is_scikit_learns_with_sixteen_hidden_units(data):
    X, y = data
    fitted = MLPClassifier(hidden_layer_sizes=(16,), max_iter=2000, solver="lbfgs", random_state=0).fit(X, y)
    tensors = {
        "hidden.weight": fitted.coefs_[0].T,
        "hidden.bias": fitted.intercepts_[0],
        "output.weight": fitted.coefs_[1][:, 0],
        "output.bias": fitted.intercepts_[1][0],
    }
    probability = 1 / (1 + np.exp(-model.forward("mlp", tensors, X)))
    assert np.allclose(probability, fitted.predict_proba(X)[:, 1], atol=1e-9)


@pytest.mark.parametrize(("kind", "count"), [("linear", 14), ("mlp", 16 * 13 + 16 + 16 + 1)])
def test_the_number_of_parameters(kind, count):
    assert model.parameters(model.KINDS[kind].shapes(13)) == count


def test_all_shares_together_are_the_model(study):
    _, sealed = study.published
    shares = [model.open_share(sealed[party], study.manifest, party, study.sealing[party]) for party in PARTIES]
    for name, tensor in study.tensors.items():
        together = ring.decode(ring.combine([share[name] for share in shares]))
        assert together.shape == tensor.shape
        assert np.abs(together - tensor).max() <= 2.0**-17


def test_two_of_three_shares_are_noise(study):
    _, sealed = study.published
    shares = [model.open_share(sealed[party], study.manifest, party, study.sealing[party]) for party in PARTIES[:2]]
    together = ring.combine([share["hidden.weight"] for share in shares])
    assert np.abs(ring.decode(together)).min() > 1e3


def test_a_share_opens_for_its_own_party_only(study):
    _, sealed = study.published
    with pytest.raises(Refused) as caught:
        model.open_share(sealed["zurich"], study.manifest, "budapest", study.sealing["budapest"])
    assert caught.value.reason is Reason.SEAL_BROKEN
    with pytest.raises(Refused) as caught:
        model.open_share(sealed["zurich"], study.manifest, "zurich", SealingKey.generate())
    assert caught.value.reason is Reason.SEAL_BROKEN
    with pytest.raises(Refused) as caught:
        model.open_share(sealed["zurich"], study.manifest, "notary", study.sealing["zurich"])
    assert caught.value.reason is Reason.WRONG_PARTY


def test_a_share_of_another_model_is_refused(study):
    _, sealed = study.published
    other = {**study.manifest, "version": "2"}
    with pytest.raises(Refused) as caught:
        model.open_share(sealed["zurich"], other, "zurich", study.sealing["zurich"])
    assert caught.value.reason is Reason.SEAL_BROKEN


def test_another_share_than_the_committed_one_is_refused(study):
    context = {"label": "model", "party": "zurich", "model": canonical.digest(study.manifest)}
    forged = sealing.seal(study.party_keys["zurich"], bytes(32 + 8 * study.manifest["parameters"]), context=context)
    with pytest.raises(Refused) as caught:
        model.open_share(forged, study.manifest, "zurich", study.sealing["zurich"])
    assert caught.value.reason is Reason.COMMITMENT_MISMATCH


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tensors", [{"name": "weight", "shape": [4]}, {"name": "bias", "shape": []}]),
        ("tensors", []),
        ("parameters", 96),
        ("parties", ["cleveland", "budapest"]),
        ("parties", ["cleveland", "cleveland", "zurich"]),
        ("commitments", {}),
        ("kind", "oracle"),
        ("bits", 20),
        ("clamped", 1),
    ],
)
def test_a_manifest_that_does_not_fit_together_is_refused(study, field, value):
    token = signatures.sign({**study.manifest, field: value}, kind="model", key=study.keys["cleveland"])
    with pytest.raises(Refused) as caught:
        model.check_manifest(token, study.keyring)
    assert caught.value.reason is Reason.FIELD_INVALID


def test_only_the_owner_publishes(study):
    token = documents.sign(study.manifest, model.Manifest, kind="model", key=study.keys["zurich"])
    with pytest.raises(Refused) as caught:
        model.check_manifest(token, study.keyring)
    assert caught.value.reason is Reason.KEY_UNKNOWN


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"output.bias": np.zeros(1)}, Reason.FIELD_INVALID, "output.bias"),
        ({"extra": np.zeros(1)}, Reason.FIELD_UNKNOWN, "extra"),
        ({"output.bias": np.float64("nan")}, Reason.VALUE_OUT_OF_RANGE, ""),
    ],
)
def test_weights_that_do_not_fit_are_refused_before_anything_is_signed(study, change, reason, field):
    study.tensors.update(change)
    with pytest.raises(Refused) as caught:
        _ = study.published
    assert (caught.value.reason, caught.value.field) == (reason, field)


NAMES = ["healthy", "ischaemia", "heart failure"]


def of_classes(study, names, kind="mlp-classes"):
    shapes = model.KINDS[kind].shapes(4)
    return model.publish(
        model="heart",
        version="1",
        owner="cleveland",
        kind=kind,
        schema=study.schema,
        columns=4,
        tensors={name: np.zeros(shape) for name, shape in shapes},
        party_keys=study.party_keys,
        key=study.keys["cleveland"],
        classes=names,
    )


def test_the_names_of_several_classes_are_public_and_in_their_order(study):
    manifest = model.check_manifest(of_classes(study, NAMES)[0], study.keyring)
    assert manifest["classes"] == NAMES
    assert (model.answers_of(manifest), model.answers_of(study.manifest)) == (3, 1)
    assert study.manifest["classes"] == []


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("mlp-classes", []),
        ("mlp-classes", NAMES[:2]),
        ("mlp-classes", [*NAMES, "other"]),
        ("mlp-classes", [*NAMES[:2], NAMES[0]]),
        ("mlp-classes", [*NAMES[:2], " "]),
        ("mlp-classes", [*NAMES[:2], "heart\x1b[2Jfailure"]),
        ("mlp-classes", [*NAMES[:2], "x" * 61]),
        ("mlp", NAMES),
        ("mlp", ["yes", "no"]),
    ],
)
def test_names_that_do_not_fit_are_refused_by_the_owner_and_by_whoever_reads(study, kind, names):
    with pytest.raises(Refused) as caught:
        of_classes(study, names, kind)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "classes")
    right = of_classes(study, NAMES if kind == "mlp-classes" else [], kind)[0]
    false = signatures.peek(right)[1] | {"classes": names}
    with pytest.raises(Refused) as caught:
        model.check_manifest(signatures.sign(false, kind="model", key=study.keys["cleveland"]), study.keyring)
    assert (caught.value.reason, caught.value.field.partition(".")[0]) == (Reason.FIELD_INVALID, "classes")


class Handed:
    """An interface that takes a model, and keeps its manifest."""

    def sign_in(self):
        """Whoever asks here may own models."""

    def import_model(self, manifest, sealed):
        self.manifest = manifest


@pytest.mark.parametrize(("scale", "clamped"), [(0.1, False), (4.0, True)])
def test_the_manifest_says_whether_log_odds_might_leave_the_range_of_the_logistic_function(
    study, scale, clamped, tmp_path
):
    schema = json.loads((Path(__file__).parents[2] / "examples/heart_disease/schema.json").read_text())
    features = FeatureSchema.from_json(schema)
    tensors = {"weight": np.full(len(features.columns), scale), "bias": np.float64(0)}
    assert (model.prove("linear", tensors, features) > UNCLAMPED) == clamped
    keys, handed = study.keys["cleveland"], Handed()
    pins = SimpleNamespace(sealing=study.party_keys.get, keyring=study.keyring)
    home = SimpleNamespace(
        institution="cleveland", keys=SimpleNamespace(identity=keys), pins=pins, models=tmp_path / "models"
    )
    published = import_model(
        home, handed, model="heart", version="1", kind="linear", schema=schema, tensors=tensors, parties=PARTIES
    )
    assert published.manifest == model.check_manifest(handed.manifest, study.keyring)
    assert published.manifest["clamped"] is clamped


def test_a_model_is_clamped_unless_its_owner_says_otherwise(study):
    assert study.manifest["clamped"]
    old = {name: value for name, value in study.manifest.items() if name != "clamped"}
    with pytest.raises(Refused) as caught:
        model.check_manifest(signatures.sign(old, kind="model", key=study.keys["cleveland"]), study.keyring)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_MISSING, "clamped")
