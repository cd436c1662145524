"""LIME's own tabular samplers as a document: row for row what the `lime` package draws, and what is refused."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from concordat import design, ring
from concordat.canonical import digest
from concordat.design import TabularDesign, check_design, check_secret, read_design, sampling, tabular, training
from concordat.kinds import KINDS
from concordat.reasons import Reason, Refused
from tests.support.engines import COLUMNS, SCHEMA
from tests.support.tabular import SEED, document, encoded, lime, patients, table

SAMPLERS = ["quartiles", "gaussian"]
NUMBERS = [place for place, each in enumerate(SCHEMA.features) if each.kind == "number"]


def drawn(explainer, place, samples):
    """What `lime` makes for a patient: rows with numbers for categories, and regressors; the first is the patient."""
    data, inverse = explainer._LimeTabularExplainer__data_inverse(table()[place], samples)
    return inverse, (data - explainer.scaler.mean_) / explainer.scaler.scale_


def record(place):
    return SCHEMA.encode_row(patients()[place]).vector


def refused(call, *arguments, **given_):
    with pytest.raises(Refused) as caught:
        call(*arguments, **given_)
    return caught.value.reason, caught.value.field


# --- the rows


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("seed", [0, 3, 2**32 - 1])
@pytest.mark.parametrize("place", [0, 40])
def test_rows_are_limes_row_for_row(sampler, seed, place):
    plan = read_design(document(sampler, samples=300, seed=seed))
    rows, _ = drawn(lime(table(), sampler=sampler, seed=seed), place, 300)
    assert np.array_equal(plan.rows, ring.encode(encoded(rows[1:])))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_before_rounding_they_are_limes_to_the_last_digits(sampler):
    statistics = training.summarise(patients(), SCHEMA, sampler)
    rows, _ = drawn(lime(table(), sampler=sampler), 0, 1000)
    ours = sampling.draw(statistics, samples=1000, sampler=sampler, seed=SEED)
    assert np.abs(ours.codes - rows[1:]).max() < 1e-9


@settings(max_examples=15)
@given(
    st.lists(st.sampled_from([0.0, 0.5, 0.5000001, 1.0, 2.0, 3.5]), min_size=4, max_size=30),
    st.integers(0, 2**32 - 1),
    st.sampled_from(SAMPLERS),
)
def test_also_of_data_with_ties_and_bins_without_width(column, seed, sampler):
    """Where the lowest value is the first quartile, too, `lime` draws zero. So do we."""
    data = np.tile(np.array(column)[:, None], (1, 10))
    categories = [place for place in range(10) if place not in NUMBERS]
    data[:, categories] = (data[:, categories] > 0.5).astype(float)
    explainer = lime(data, sampler=sampler, seed=seed)
    _, inverse = explainer._LimeTabularExplainer__data_inverse(data[0], 50)
    ours = sampling.draw(training.summarise_codes(data, SCHEMA, sampler), samples=50, sampler=sampler, seed=seed)
    assert np.abs(ours.codes - inverse[1:]).max() < 1e-6


@given(st.data())
@settings(max_examples=30)
def test_codes_and_columns_are_each_others_inverse(data):
    codes = np.array(
        [
            data.draw(st.floats(-3, 3))
            if each.kind == "number"
            else float(data.draw(st.integers(0, (len(each.levels) or 2) - 1)))
            for each in SCHEMA.features
        ]
    )
    (columns,) = encoded(codes[None])
    assert columns.shape == (COLUMNS,)
    assert np.array_equal(training.codes(SCHEMA, columns), codes)


def test_a_category_is_the_index_of_its_level_and_a_truth_value_one_where_it_is_not_the_reference():
    values = {each.name: each.reference_value for each in SCHEMA.features} | {"cp": "typical-angina", "fbs": True}
    codes = dict(zip([each.name for each in SCHEMA.features], table_of(values), strict=True))
    assert (codes["cp"], codes["fbs"], codes["sex"], codes["exang"]) == (3, 1, 0, 0)


def table_of(values):
    return training.codes(SCHEMA, SCHEMA.encode_row(values).vector)


# --- the surrogate of a record


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("place", [0, 7, 40, 91])
def test_regressors_distances_and_weights_are_limes(sampler, place):
    local = read_design(document(sampler, samples=300)).at(record(place))
    _, regressors = drawn(lime(table(), sampler=sampler), place, 300)
    assert np.abs(local.own - regressors[0]).max() < 3e-5  # a record is explained as it is shared, at 16 bits
    assert np.abs(local.regressors - regressors[1:]).max() < 3e-5
    distances = np.linalg.norm(regressors - regressors[0], axis=1)
    weights = np.sqrt(np.exp(-(distances**2) / (0.75**2 * 10)))
    assert local.kernel == pytest.approx(weights[1:], rel=1e-4)
    assert local.weights / (1 << 10) / local.magnified == pytest.approx(weights[1:], abs=1e-4)
    assert local.weights.max() == tabular.MOST_WEIGHT


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_coefficients_and_fit_are_those_of_explain_instance(sampler):
    generator = np.random.default_rng(2)
    tensors = {name: generator.normal(size=shape) for name, shape in KINDS["mlp"].shapes(COLUMNS)}
    plan, explainer = read_design(document(sampler, samples=200)), lime(table(), sampler=sampler)
    x = record(12)
    found = explainer.explain_instance(
        table()[12],
        lambda codes: KINDS["mlp"].forward(tensors, encoded(codes)),
        num_features=10,
        num_samples=200,
        model_regressor=Ridge(alpha=1.0),
    )
    local = plan.at(x)
    (p, *y) = KINDS["mlp"].forward(tensors, np.vstack([x, plan.perturbed(x)]))
    b = local.operator / (1 << local.operator_bits) @ (np.array(y) - p)
    b[-1] += p
    total = local.weights / (1 << design.WEIGHT_BITS) @ (np.array(y) - p) ** 2
    fit = local.fit(p, b[:-1], b[-1], total, target="log-odds")
    assert fit.coefficients == pytest.approx([value for _, value in sorted(found.local_exp[1])], abs=2e-3)
    assert fit.intercept == pytest.approx(found.intercept[0], abs=2e-3)
    assert fit.r_squared == pytest.approx(found.score, abs=1e-3)


def test_a_value_on_a_quartile_belongs_to_the_bin_below_it():
    """Ages are whole years, and so is a median of theirs: a boundary is hit every day."""
    plan = read_design(document())
    (of,) = [each for each in plan.statistics if each["feature"] == "age"]
    values = {each.name: each.reference_value for each in SCHEMA.features}
    boundaries = [float(SCHEMA.features[0].decode(np.array(float(each)))) for each in of["boundaries"]]
    for place, age in enumerate(boundaries):
        local = plan.at(SCHEMA.encode_row(values | {"age": age}).vector)
        assert np.array_equal(local.regressors[:, 0], plan.bins[:, 0] == place)
        older = plan.at(SCHEMA.encode_row(values | {"age": age + 1}).vector)
        assert not np.array_equal(older.regressors[:, 0], local.regressors[:, 0])


def test_the_rows_are_the_same_for_all_records_and_the_operator_is_not():
    plan = read_design(document())
    one, other = plan.at(record(0)), plan.at(record(40))
    assert np.array_equal(plan.perturbed(record(0)), plan.perturbed(record(40)))
    assert not np.array_equal(one.operator, other.operator)
    assert len(one.secret) == plan.secrets == (10 + 2) * plan.n


def test_an_operator_that_is_too_large_for_the_arithmetic_is_refused():
    """Few rows and hardly a penalty: numbers that fit anything."""
    plan = replace(read_design(document(samples=12)), ridge=0.001)
    assert refused(plan.at, record(0))[0] is Reason.VALUE_OUT_OF_RANGE


# --- what was shared, seen again


def shared(plan, place=0):
    return np.concatenate([ring.encode(record(place)), plan.at(record(place)).secret])


def test_what_a_client_shares_is_what_the_design_gives():
    plan = read_design(document())
    check_secret(plan, shared(plan))
    check_secret(plan, np.concatenate([shared(plan)[:COLUMNS], ring.encode(record(3)), shared(plan)[COLUMNS:]]))
    check_secret(read_design(design.build(SCHEMA, seed="tests")), ring.encode(record(0)))


@pytest.mark.parametrize("change", [2, -2, 1 << 40, -(1 << 63)])
@pytest.mark.parametrize("at", [0, -1])
def test_another_operator_or_weight_is_not(change, at):
    plan = read_design(document())
    altered = shared(plan)
    altered[[-plan.secrets if at == 0 else at]] += np.array([change])
    assert refused(check_secret, plan, altered)[0] is Reason.OPERATOR_FALSE


def test_nor_is_that_of_another_record():
    plan = read_design(document())
    swapped = np.concatenate([ring.encode(record(0)), plan.at(record(40)).secret])
    assert refused(check_secret, plan, swapped)[0] is Reason.OPERATOR_FALSE


# --- the document


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_everybody_draws_the_rows_again(sampler):
    plan = check_design(document(sampler), SCHEMA)
    assert isinstance(plan, TabularDesign)
    assert (plan.n, len(plan.groups), plan.digest) == (59, 10, digest(document(sampler)))


def alter(path, change):
    altered = deepcopy(document())
    *folders, last = path
    place = altered
    for folder in folders:
        place = place[folder]
    place[last] = change(place[last]) if callable(change) else change
    return altered


@pytest.mark.parametrize(
    ("path", "change", "field"),
    [
        (("rows", 5, 0), lambda row: row + 2, "rows"),
        (("rows", 5, 1), lambda row: (1 << 16) - row, "rows"),
        (("rows", 5), [0], "rows"),
        (("bins", 5, 0), lambda chosen: (chosen + 1) % 4, "bins"),
        (("seed",), "4", "bins"),
        (("seed",), "4294967296", "seed"),
        (("seed",), "a seed", "seed"),
        (("samples",), 59, "rows"),
        (("samples",), 5001, "samples"),
        (("sampler",), "gaussian", "statistics.0"),
        (("statistics", 0, "means", 1), "1.5", "statistics.0"),
        (("statistics", 0, "means", 1), lambda mean: f"{float(mean) + 0.01:.6f}", "rows"),
        (("statistics", 0, "boundaries"), ["0.5", "0.25", "0.75"], "statistics.0"),
        (("statistics", 0, "deviations", 1), "0", "statistics.0"),
        (("statistics", 0, "counts"), [1, 2, 3], "statistics.0"),
        (("statistics", 0, "kind"), "levels", "statistics.0.levels.lowest"),
        (("statistics", 1, "counts"), [0, 0], "statistics.1"),
        (("statistics", 1, "counts", 0), lambda count: count + 40, "bins"),
        (("kernel_width",), "0.1", "kernel_width"),
        (("ridge",), "0", "ridge"),
        (("operator_bits",), 20, "operator_bits"),
        (("column_groups", 2), 1, "design"),
    ],
)
def test_a_document_that_was_altered_is_refused(path, change, field):
    assert refused(check_design, alter(path, change), SCHEMA)[1] == field


def test_a_unit_of_another_machines_arithmetic_is_not():
    check_design(alter(("rows", 5, 0), lambda row: row + 1), SCHEMA)


def test_rows_for_which_models_are_not_proven_are_refused_where_they_are_made_and_where_they_are_read():
    statistics = training.summarise(patients(), SCHEMA, "gaussian")
    wide = [deepcopy(each) for each in statistics]
    wide[0]["deviation"] = "4"
    reason = refused(tabular.build, SCHEMA, wide, seed=1, sampler="gaussian")
    assert reason == (Reason.FIELD_INVALID, "rows")
    plan = read_design(alter(("rows", 5, 0), 20 << 16))
    assert refused(plan.features, SCHEMA) == (Reason.FIELD_INVALID, "rows")


def test_a_seed_is_numpys():
    statistics = training.summarise(patients(), SCHEMA, "quartiles")
    for seed in (-1, 2**32):
        assert refused(tabular.build, SCHEMA, statistics, seed=seed) == (Reason.FIELD_INVALID, "seed")


def test_training_data_are_checked_as_records_are():
    assert refused(training.summarise, [], SCHEMA, "quartiles") == (Reason.FIELD_INVALID, "statistics")
    impossible = dict(patients()[0]) | {"age": 4}
    assert refused(training.summarise, [impossible], SCHEMA, "quartiles") == (Reason.VALUE_OUT_OF_RANGE, "age")


# --- its words


def test_a_coefficient_says_which_bin_it_compares():
    plan = read_design(document())
    local = plan.at(record(0))  # a man of 63 years
    age, sex = SCHEMA.features[0], SCHEMA.features[1]
    assert patients()[0]["age"] == 63
    assert local.wording.compared([age]) == "compared with values that are not above 61 years"
    assert local.wording.compared([sex]) == "compared with every other value"
    assert plan.wording.compared([age]) == "compared with values in other quartiles"
    gaussian = read_design(document("gaussian")).at(record(0))
    assert gaussian.wording.compared([age]) == "for each standard deviation of the training data more"
