import copy
import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema

HEART = Path(__file__).parents[2] / "examples" / "heart_disease"
DOCUMENT = json.loads((HEART / "schema.json").read_text())
SCHEMA = FeatureSchema.from_json(DOCUMENT)
REFERENCE = {
    "age": 54,
    "sex": "male",
    "cp": "asymptomatic",
    "trestbps": 130,
    "chol": 240,
    "fbs": False,
    "restecg": "normal",
    "thalch": 140,
    "exang": False,
    "oldpeak": 0.5,
}


@pytest.fixture(scope="module")
def rows():
    with (HEART / "uci_heart_4_hospitals.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def refusal(values):
    with pytest.raises(Refused) as caught:
        SCHEMA.encode_row(values)
    return caught.value.reason, caught.value.field


def test_the_reference_record_is_the_zero_vector():
    record = SCHEMA.encode_row(REFERENCE)
    assert not record.vector.any()
    assert record.imputed == ()


def test_one_column_for_each_level_but_the_reference_in_one_group():
    assert len(SCHEMA.columns) == 13
    assert len(SCHEMA.groups) == 10
    groups = [SCHEMA.groups[index] for index in SCHEMA.column_groups]
    assert groups.count("cp") == 3
    assert groups.count("restecg") == 2


def test_numbers_are_centred_and_scaled_and_levels_are_dummies():
    record = SCHEMA.encode_row({**REFERENCE, "age": 63, "cp": "typical-angina", "fbs": True})
    expected = {"age": 1.0, "cp=typical-angina": 1.0, "fbs": 1.0}
    assert dict(zip(SCHEMA.columns, record.vector, strict=True)) == {
        column: expected.get(column, 0.0) for column in SCHEMA.columns
    }


def test_a_record_with_replaced_groups_is_the_mask_times_the_record():
    record = SCHEMA.encode_row({**REFERENCE, "age": 70, "cp": "non-anginal", "oldpeak": 2})
    without_pain = SCHEMA.encode_row({**REFERENCE, "age": 70, "oldpeak": 2})
    mask = np.array([SCHEMA.groups[group] != "cp" for group in SCHEMA.column_groups])
    assert np.array_equal(mask * record.vector, without_pain.vector)


def test_every_row_of_the_published_data_can_be_encoded(rows):
    records = [SCHEMA.encode_row(SCHEMA.from_row(row)) for row in rows]
    assert len(records) == 920
    assert max(np.abs(record.vector).max() for record in records) < 8
    assert sum("chol" in record.imputed for record in records) == 30 + 172


def test_a_missing_value_is_imputed_as_the_reference_and_says_so():
    record = SCHEMA.encode_row({**REFERENCE, "chol": None, "age": 60})
    assert record.imputed == ("chol",)
    assert record.values["chol"] == 240
    assert record.vector[SCHEMA.columns.index("chol")] == 0


def test_a_cholesterol_of_zero_was_never_measured():
    assert SCHEMA.encode_row({**REFERENCE, "chol": 0}).imputed == ("chol",)


@pytest.mark.parametrize("feature", ["age", "sex", "cp"])
@pytest.mark.parametrize(
    "leave_out", [lambda values, name: values.pop(name), lambda values, name: values.update({name: None})]
)
def test_a_required_feature_that_is_missing_is_refused_by_name(feature, leave_out):
    values = dict(REFERENCE)
    leave_out(values, feature)
    assert refusal(values) == (Reason.FEATURE_MISSING, feature)


@pytest.mark.parametrize("value", [17, 111, 10**400, float("inf"), float("-inf"), float("nan")])
def test_numbers_out_of_range_are_refused_by_name(value):
    assert refusal({**REFERENCE, "age": value}) == (Reason.VALUE_OUT_OF_RANGE, "age")


@pytest.mark.parametrize("value", ["NaN", "63", "inf", "", True, False, [63]])
def test_what_is_no_number_is_refused_by_name(value):
    assert refusal({**REFERENCE, "age": value}) == (Reason.FIELD_INVALID, "age")


@pytest.mark.parametrize("value", [0, 1, "TRUE", "false", 0.0])
def test_what_is_no_truth_value_is_refused_by_name(value):
    assert refusal({**REFERENCE, "exang": value}) == (Reason.FIELD_INVALID, "exang")


@pytest.mark.parametrize("value", ["Male", "unknown", "", 1, True])
def test_an_unknown_level_is_refused_by_name(value):
    assert refusal({**REFERENCE, "sex": value}) == (Reason.CODE_UNKNOWN, "sex")


def test_what_the_schema_does_not_ask_for_is_refused_by_name():
    assert refusal({**REFERENCE, "name": "…"}) == (Reason.FIELD_UNKNOWN, "name")


@given(st.text(max_size=20), st.sampled_from(SCHEMA.features))
def test_whatever_stands_in_a_cell_only_its_own_feature_is_refused(text, feature):
    row = {each.name: "" for each in SCHEMA.features} | {feature.name: text}
    refused_field = feature.name
    try:
        values = SCHEMA.from_row(row)
        SCHEMA.encode_row({**REFERENCE, feature.name: values[feature.name]})
    except Refused as refused:
        refused_field = refused.field
    assert refused_field == feature.name


@pytest.mark.parametrize("cell", ["NaN", "inf", "1e3", "0x10", "sixty", "1,5", "١"])
def test_odd_spellings_of_numbers_in_a_table_are_refused(cell, rows):
    with pytest.raises(Refused) as caught:
        SCHEMA.from_row({**rows[0], "age": cell})
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "age")


def test_a_table_without_a_column_is_refused(rows):
    row = {name: cell for name, cell in rows[0].items() if name != "thalch"}
    with pytest.raises(Refused) as caught:
        SCHEMA.from_row(row)
    assert (caught.value.reason, caught.value.field) == (Reason.FEATURE_MISSING, "thalch")


def test_no_refusal_repeats_the_patients_value():
    with pytest.raises(Refused) as caught:
        SCHEMA.encode_row({**REFERENCE, "trestbps": 987.125})
    assert "987" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("features", 0, "scale"), "0"),
        (("features", 0, "range"), ["18"]),
        (("features", 0, "centre"), "about fifty"),
        (("features", 0, "centre"), "5"),
        (("features", 1, "reference"), "nobody"),
        (("features", 5, "reference"), None),
        (("features", 0, "kind"), "date"),
        (("features", 1, "name"), "age"),
        (("version",), ""),
    ],
)
def test_a_schema_that_makes_no_sense_is_refused(place, value):
    document = copy.deepcopy(DOCUMENT)
    *path, last = place
    target = document
    for step in path:
        target = target[step]
    target[last] = value
    with pytest.raises(Refused) as caught:
        FeatureSchema.from_json(document)
    assert caught.value.reason is Reason.FIELD_INVALID


def test_the_same_columns_in_another_order_are_another_schema():
    document = {**DOCUMENT, "features": DOCUMENT["features"][::-1]}
    assert FeatureSchema.from_json(document).digest != SCHEMA.digest
