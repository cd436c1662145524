"""Slope designs: mirrored, orthogonal or a net, reproducible, and found out where anything was chosen by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, kstest, norm

from concordat import canonical, design
from concordat.design import WEIGHT_BITS, SlopeDesign, read_design
from concordat.design.offsets import orthogonal_gaussian, sobol
from concordat.model import KINDS, prove
from concordat.reasons import Reason, Refused
from concordat.schema import NUMBER_MARGIN, FeatureSchema
from tests.support.reference import lime

HEART = Path(__file__).parents[2] / "examples" / "heart_disease"
SCHEMA = FeatureSchema.from_json(json.loads((HEART / "schema.json").read_text()))
SAMPLERS = ["orthogonal-gaussian", "sobol"]
NUMBERS = ["age", "trestbps", "chol", "thalch", "oldpeak"]


@pytest.fixture(scope="module", params=SAMPLERS)
def document(request):
    return design.build_slopes(SCHEMA, seed="a public seed", sampler=request.param)


@pytest.fixture(scope="module")
def heart(document):
    return read_design(document)


def labels(heart, seed=3):
    """Log-odds of an ordinary non-linear model at the perturbed records of an ordinary one: (n,)."""
    generator = np.random.default_rng(seed)
    record = generator.normal(size=len(heart.columns))
    hidden = np.maximum(heart.perturbed(record) @ generator.normal(size=(len(record), 16)) + 0.3, 0)
    return hidden @ generator.normal(size=16) * 0.5


def fitted(heart, y):
    """The fit, from what the engine opens, which works on differences from the prediction."""
    prediction = y.mean() + 0.1
    opened, sums = heart.operator @ (y - prediction) / 2.0**20, heart.squares(y - prediction)
    return heart.fit(prediction, opened[:-1], opened[-1] + prediction, *sums, target="log-odds")


def test_only_numbers_move(heart):
    assert heart.groups == tuple(NUMBERS)
    moved = {column for column, offsets in zip(SCHEMA.columns, heart.offsets.T, strict=True) if offsets.any()}
    assert moved == set(NUMBERS)
    assert [each.name for (each,) in heart.features(SCHEMA)] == NUMBERS


def test_the_usual_sizes():
    assert read_design(design.build_slopes(SCHEMA, seed="x")).n == 240
    assert read_design(design.build_slopes(SCHEMA, seed="x", sampler="sobol")).n == 1024


@given(d=st.integers(1, 12), half=st.integers(1, 40), seed=st.text(max_size=8))
@settings(max_examples=40)
def test_directions_of_a_block_are_orthogonal(d, half, seed):
    rows = orthogonal_gaussian(d, half, seed)
    assert rows.shape == (half, d)
    for start in range(0, half, d):
        block = rows[start : start + d]
        gram = block @ block.T
        assert np.abs(gram - np.diag(np.diag(gram))).max() < 1e-9


def test_lengths_and_entries_are_those_of_gaussian_vectors():
    rows = orthogonal_gaussian(5, 4000, "x")
    assert kstest((rows**2).sum(axis=1), chi2(5).cdf).pvalue > 0.001
    assert kstest(rows.ravel()[::7], "norm").pvalue > 0.001


@given(d=st.integers(1, 12), power=st.integers(0, 8), seed=st.text(max_size=8))
@settings(max_examples=40)
def test_a_net_has_one_point_in_each_part_of_every_axis(d, power, seed):
    points = sobol(d, 1 << power, seed)
    for axis in points.T:  # rank of the point among equal parts of a normal distribution
        cells = np.floor(norm.cdf(axis) * (1 << power)).astype(int)
        assert sorted(cells) == list(range(1 << power))


def test_the_integers_of_a_seed_are_pinned():
    """Published explanations name a seed: its stream is part of the format. One unit is another machine's last bit."""
    for sampler, first in FIRST.items():
        offsets = design.build_slopes(SCHEMA, seed="concordat", sampler=sampler)["offsets"]
        assert np.abs(np.array(offsets[0]) - first).max() <= 1


FIRST = {
    "orthogonal-gaussian": [-7510, -19378, -16562, 6018, 3876],
    "sobol": [-12315, -16685, -22517, 4221, 4055],
}


@given(
    seed=st.text(st.characters(exclude_categories=["C"]), max_size=8).filter(str.strip),
    sampler=st.sampled_from(SAMPLERS),
    power=st.integers(2, 6),
    sigma=st.sampled_from([0.05, 0.2, 0.25]),
)
@settings(max_examples=30)
def test_every_document_is_mirrored_and_can_be_rebuilt(seed, sampler, power, sigma):
    document = design.build_slopes(SCHEMA, seed=seed, sampler=sampler, n=2 << power, sigma=sigma)
    checked = design.check_design(canonical.decode(canonical.encode(document)), SCHEMA)
    half = checked.n // 2
    assert np.array_equal(checked.offsets[:half], -checked.offsets[half:])
    assert np.array_equal(checked.weights[:half], checked.weights[half:])
    assert not checked.operator[:-1].sum(axis=1).any()  # what does not change cancels to the bit
    assert checked.operator[-1].sum() == 2**20
    assert checked.digest == canonical.digest(document)
    assert np.abs(checked.offsets).max() <= NUMBER_MARGIN * 2**16


def test_the_operator_is_limes(heart):
    """`LimeBase` on offsets in units of sigma, as LIME standardises what it samples around an instance."""
    weights = heart.weights / 2.0**WEIGHT_BITS
    y = labels(heart)
    expected, score = lime(heart, y, lambda _: weights)
    opened = heart.operator @ y / 2.0**20
    assert np.abs(opened - expected).max() < 1e-5 * np.abs(y).max()
    assert fitted(heart, y).r_squared == pytest.approx(score, abs=1e-4)


def test_rounding_the_kernel_moves_nothing_that_is_shown(heart):
    y = labels(heart)
    expected, score = lime(heart, y)
    fit = fitted(heart, y)
    assert np.abs(fit.coefficients * heart.step - expected[:-1]).max() < 1e-3 * np.abs(expected[:-1]).max()
    assert fit.r_squared == pytest.approx(score, abs=1e-4)


def test_a_coefficient_is_the_slope_of_a_linear_model_but_for_the_ridge(heart):
    generator = np.random.default_rng(1)
    slopes = generator.normal(size=len(heart.columns))
    y = heart.perturbed(generator.normal(size=len(slopes))) @ slopes
    fit = fitted(heart, y)
    assert fit.coefficients == pytest.approx(slopes[list(heart.group_columns)], rel=0.03)
    assert fit.r_squared > 0.999
    assert fit.reliable


def test_curvature_does_not_touch_the_slopes(heart):
    y = 7 + (heart.perturbed(np.zeros(len(heart.columns))) ** 2).sum(axis=1)
    assert np.abs(fitted(heart, y).coefficients).max() < 1e-9
    assert not fitted(heart, y).reliable


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("offsets", lambda rows: [[rows[0][0] + 2, *rows[0][1:]], *rows[1:]]),
        ("offsets", lambda rows: [[2**20, *rows[0][1:]], *rows[1:]]),
        ("offsets", lambda rows: rows[:2]),
        ("offsets", lambda rows: rows[:-1]),
        ("operator", lambda rows: [[rows[0][0] + 2, *rows[0][1:]], *rows[1:]]),
        ("operator", lambda rows: rows[1:]),
        ("weights", lambda weights: [weights[0] + 2, *weights[1:]]),
        ("weights", lambda weights: [0, *weights[1:]]),
        ("groups", lambda groups: ["sex", *groups[1:]]),
        ("columns", lambda columns: columns[::-1]),
        ("group_columns", lambda columns: [1, *columns[1:]]),
        ("group_columns", lambda columns: [columns[1], *columns[1:]]),
        ("group_columns", lambda columns: [13, *columns[1:]]),
        ("sigma", lambda sigma: "5"),
        ("kernel_width", lambda width: "0.01"),
        ("ridge", lambda ridge: "0"),
        ("method", lambda method: "component-lime"),
        ("sampler", lambda sampler: "by-hand"),
    ],
)
def test_perturbations_chosen_by_hand_are_found_out(document, field, change):
    with pytest.raises(Refused) as refusal:
        design.check_design({**document, field: change(document[field])}, SCHEMA)
    named = {"offsets", "operator", "weights"} if field == "offsets" else {field}  # one row less leaves the others over
    assert refusal.value.reason is Reason.FIELD_INVALID
    assert refusal.value.field in named


@pytest.mark.parametrize(
    ("change", "field"),
    [({"seed": "another"}, "offsets"), ({"sigma": "0.2"}, "offsets"), ({"ridge": "2"}, "operator")],
)
def test_another_seed_or_parameter_is_another_design(document, change, field):
    with pytest.raises(Refused) as refusal:
        design.check_design({**document, **change}, SCHEMA)
    assert (refusal.value.reason, refusal.value.field) == (Reason.FIELD_INVALID, field)


def test_a_design_for_another_schema_is_refused(document, heart):
    with pytest.raises(Refused) as refusal:
        design.check_design({**document, "schema": "sha256:" + "0" * 64}, SCHEMA)
    assert (refusal.value.reason, refusal.value.field) == (Reason.DIGEST_MISMATCH, "schema")
    changed = json.loads((HEART / "schema.json").read_text())
    changed["features"] = changed["features"][1:]
    with pytest.raises(Refused) as refusal:
        heart.features(FeatureSchema.from_json(changed))
    assert refusal.value.reason is Reason.DIGEST_MISMATCH


def test_a_method_that_no_engine_runs_is_refused_by_name(document):
    with pytest.raises(Refused, match="by the methods reference-contrast-lime, mirrored-slope-lime"):
        read_design({**document, "method": "private-lime"})


@pytest.mark.parametrize(
    "arguments",
    [{"n": 7}, {"n": 0}, {"sampler": "sobol", "n": 240}, {"sigma": 0.5, "sampler": "sobol", "n": 8192}],
)
def test_what_gives_no_design_is_said(arguments):
    with pytest.raises(ValueError, match=r"even number|power of two|moves by more"):
        design.build_slopes(SCHEMA, seed="x", **arguments)


def test_a_model_is_proven_for_what_a_design_makes_of_a_record():
    """Log-odds that stay below the limit for every record in range, and exceed it an offset further, are refused."""
    age = SCHEMA.columns.index("age")
    weight = np.zeros(len(SCHEMA.columns))
    highest = SCHEMA.bounds[1][age]
    weight[age] = 250 / highest
    tensors = {"weight": weight, "bias": np.float64(0)}
    KINDS["linear"].prove(tensors, *SCHEMA.bounds)
    with pytest.raises(Refused) as refusal:
        prove("linear", tensors, SCHEMA)
    assert refusal.value.reason is Reason.MODEL_OUT_OF_RANGE
    weight[age] = 250 / (highest + NUMBER_MARGIN)
    prove("linear", tensors, SCHEMA)


def test_no_design_reaches_further_than_models_are_proven_for(heart):
    lowest, highest = SCHEMA.reach
    for end in SCHEMA.bounds:
        perturbed = heart.perturbed(end)
        assert (perturbed >= lowest).all()
        assert (perturbed <= highest).all()
    assert isinstance(heart, SlopeDesign)
