import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from concordat import canonical, design
from concordat.design import WEIGHT_BITS, read_design
from concordat.design.common import ridge_operator
from concordat.design.masks import hadamard_masks, kernel
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema
from tests.support.reference import lime

MASKS_OF_CONCORDAT = "8cb7419c032a35b308f8bc1bd335d9fcac8e1de63f4441033f7bf67ba68daeb0"
HEART = Path(__file__).parents[2] / "examples" / "heart_disease"


@pytest.fixture(scope="module")
def schema():
    return FeatureSchema.from_json(json.loads((HEART / "schema.json").read_text()))


@pytest.fixture(scope="module")
def document(schema):
    return design.build(schema, seed="a public seed")


@pytest.fixture(scope="module")
def heart(document):
    return read_design(document)


@pytest.fixture(scope="module")
def labels(heart):
    """Log-odds of an ordinary non-linear model at the perturbed records: (n,)."""
    generator = np.random.default_rng(3)
    record = generator.normal(size=heart.column_masks.shape[1])
    hidden = np.maximum(heart.column_masks * record @ generator.normal(size=(len(record), 16)) + 0.3, 0)
    return hidden @ generator.normal(size=16) * 0.5


PREDICTION = 1.25
"""Of the record itself; R² does not depend on it."""


def fit(heart, opened, labels, prediction=PREDICTION):
    """What the requester makes of the opened coefficients and of the sums of squares, as the nodes compute them."""
    return heart.fit(prediction, opened[:-1], opened[-1], *heart.squares(labels - prediction), target="log-odds")


def test_the_float_operator_is_lime(heart, labels):
    operator = ridge_operator(heart.masks, kernel(heart.masks, 0.75), 1.0)
    assert np.abs(operator @ labels - lime(heart, labels)[0]).max() < 1e-9


def test_the_integer_operator_is_lime_to_five_digits(heart, labels):
    labels = labels / np.abs(labels).max()
    weights = heart.weights / 2.0**WEIGHT_BITS
    assert np.abs(heart.operator @ labels / 2.0**20 - lime(heart, labels, lambda _: weights)[0]).max() < 1e-5


def test_rounding_the_kernel_moves_nothing_that_is_shown(heart, labels):
    opened, (expected, score) = heart.operator @ labels / 2.0**20, lime(heart, labels)
    assert np.abs(opened - expected).max() < 1e-3
    assert fit(heart, opened, labels).r_squared == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize("seed", range(20))
def test_r_squared_follows_from_the_opened_numbers(heart, seed):
    """Against residuals and deviations summed up directly, with the design's own weights."""
    generator = np.random.default_rng(seed)
    slopes = generator.normal(size=heart.masks.shape[1])
    labels = heart.masks @ slopes + generator.uniform(0.1, 2.0) * generator.normal(size=len(heart.masks))
    opened = heart.operator @ labels / 2.0**20
    residuals = labels - heart.masks @ opened[:-1] - opened[-1]
    weights = heart.weights / 2.0**WEIGHT_BITS
    total = weights @ (labels - np.average(labels, weights=weights)) ** 2
    direct = 1 - weights @ residuals**2 / total
    assert fit(heart, opened, labels).r_squared == pytest.approx(direct, abs=1e-4)


def test_r_squared_is_limes(heart, labels):
    weights = heart.weights / 2.0**WEIGHT_BITS
    expected, score = lime(heart, labels, lambda _: weights)
    judged = fit(heart, expected, labels)
    assert 0.5 < score < 0.999
    n, d = heart.masks.shape
    assert judged.r_squared == pytest.approx(score, abs=1e-12)
    assert judged.adjusted_r_squared == pytest.approx(1 - (1 - score) * (n - 1) / (n - d - 1), abs=1e-12)


def test_noise_is_called_unreliable(heart):
    labels = np.random.default_rng(0).normal(size=len(heart.masks))
    assert not fit(heart, heart.operator @ labels / 2.0**20, labels).reliable


def test_a_constant_model_explains_nothing(heart):
    flat = heart.fit(1.5, np.zeros(10), 1.5, 0.0, 0.0, target="log-odds")
    assert not flat.reliable
    assert 0 < flat.intervals.max() < 0.001  # squares have roundings


def test_masks_are_balanced_and_mirrored(heart):
    half = len(heart.masks) // 2
    assert heart.masks.shape == (128, 10)
    assert np.array_equal(heart.masks[:half], 1 - heart.masks[half:])
    signs = 2 * heart.masks - 1
    assert np.array_equal(signs.T @ signs, 128 * np.eye(10))


def test_columns_of_a_group_are_masked_together(heart, schema):
    chest_pain = [index for index, column in enumerate(schema.columns) if column.startswith("cp=")]
    group = schema.groups.index("cp")
    assert len(chest_pain) == 3
    for column in chest_pain:
        assert np.array_equal(heart.column_masks[:, column], heart.masks[:, group])


def test_the_masks_of_a_seed_never_change():
    """Published explanations name a seed: the stream behind it is part of the format."""
    masks = hadamard_masks(10, 128, "concordat")
    assert hashlib.sha256(masks.astype(np.uint8).tobytes()).hexdigest() == MASKS_OF_CONCORDAT


def test_another_seed_gives_other_masks(heart, schema):
    other = read_design(design.build(schema, seed="another public seed"))
    assert not np.array_equal(heart.masks, other.masks)


@pytest.mark.parametrize("d", [1, 3, 7, 15, 31])
def test_the_order_is_above_the_number_of_groups(d):
    masks = hadamard_masks(d, 128, "x")
    assert masks.shape == (128, d)
    assert np.array_equal(masks.sum(axis=0), np.full(d, 64))


def test_a_number_of_perturbations_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="multiple of 32"):
        hadamard_masks(10, 100, "x")


def test_a_design_is_canonical_and_can_be_rebuilt(document, schema):
    received = canonical.decode(canonical.encode(document))
    assert design.check_design(received, schema).digest == canonical.digest(document)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("masks", lambda rows: [[1 - rows[0][0], *rows[0][1:]], *rows[1:]]),
        ("operator", lambda rows: [[rows[0][0] + 2, *rows[0][1:]], *rows[1:]]),
        ("weights", lambda weights: [weights[0] + 2, *weights[1:]]),
        ("reference", lambda reference: [1, *reference[1:]]),
        ("operator", lambda rows: rows[1:]),
        ("column_groups", lambda groups: [0] * len(groups)),
        ("kernel_width", lambda width: "0.000001"),
        ("kernel_width", lambda width: "-0.75"),
        ("kernel_width", lambda width: "1" + 400 * "0"),
        ("ridge", lambda ridge: "0"),
        ("ridge", lambda ridge: "1000000000"),
        ("masks", lambda rows: rows[:11]),
    ],
)
def test_perturbations_chosen_by_hand_are_found_out(document, schema, field, change):
    altered = {**document, field: change(document[field])}
    with pytest.raises(Refused) as refusal:
        design.check_design(altered, schema)
    assert (refusal.value.reason, refusal.value.field) == (Reason.FIELD_INVALID, field)


def test_a_design_for_another_schema_is_refused(document, schema):
    with pytest.raises(Refused) as refusal:
        design.check_design({**document, "schema": "sha256:" + "0" * 64}, schema)
    assert refusal.value.reason is Reason.DIGEST_MISMATCH
