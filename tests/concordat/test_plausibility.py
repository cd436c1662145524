"""Impossible perturbed records: counted one by one here, and refused above the share that a definition allows."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from concordat import design, plausibility
from concordat.design import read_design
from concordat.plausibility import impossible, impossible_share
from concordat.reasons import Reason, Refused
from concordat.rules import Rule
from concordat.schema import FeatureSchema

HEART = json.loads((Path(__file__).parents[2] / "examples/heart_disease/schema.json").read_text())
PRESSURE = {"left": "systolic", "relation": ">", "right": "diastolic"}


def pressure_schema(*, tied=False, rules=(PRESSURE,)):
    """The heart's schema with a diastolic pressure, in a group of its own or `tied` to the systolic one."""
    document = copy.deepcopy(HEART)
    systolic = next(feature for feature in document["features"] if feature["name"] == "trestbps")
    systolic |= {"name": "systolic", "group": "pressure" if tied else "systolic"}
    diastolic = copy.deepcopy(systolic) | {
        "name": "diastolic",
        "label": "Diastolic blood pressure",
        "group": "pressure" if tied else "diastolic",
        "range": ["30", "160"],
        "centre": "80",
        "scale": "12",
    }
    document["features"].append(diastolic)
    return FeatureSchema.from_json(document | ({"rules": list(rules)} if rules else {}))


SCHEMA = pressure_schema()
VALUES = {feature.name: feature.reference_value for feature in SCHEMA.features}
DESIGNS = {
    "masks": read_design(design.build(SCHEMA, seed="x")),
    "slopes": read_design(design.build_slopes(SCHEMA, seed="x", sigma=0.25)),
    "net": read_design(design.build_slopes(SCHEMA, seed="x", sampler="sobol", n=64)),
}


def by_hand(plan, schema, vector):
    """The share, feature by feature and record by record, in the units of the features."""
    count = 0
    for record in plan.perturbed(vector):
        values = {}
        for name, value in zip(schema.columns, record, strict=True):
            feature = next(each for each in schema.features if name in each.columns)
            if feature.kind == "number":
                values[name] = feature.centre + value * feature.scale
                low, high = feature.range
                if not low - 1e-9 <= values[name] <= high + 1e-9:
                    break
        else:
            count -= not values["systolic"] > values["diastolic"] + 1e-9 * values["systolic"]
            continue
        count -= 1
    return -count / plan.n


@given(
    name=st.sampled_from(sorted(DESIGNS)),
    age=st.integers(18, 110),
    systolic=st.integers(60, 260),
    diastolic=st.integers(30, 160),
    chol=st.integers(50, 700),
)
@settings(max_examples=40)
def test_the_share_is_what_counting_gives(name, age, systolic, diastolic, chol):
    assume(systolic > diastolic)
    values = VALUES | {"age": age, "systolic": systolic, "diastolic": diastolic, "chol": chol}
    vector = SCHEMA.encode_row(values).vector
    assert impossible_share(DESIGNS[name], SCHEMA, vector[None]) == pytest.approx(
        by_hand(DESIGNS[name], SCHEMA, vector), abs=1e-12
    )


def test_masks_mix_the_patients_pressure_with_the_references():
    """Diastolic 135 is fine with the patient's 200, and impossible with the reference's 130: in the rows that keep the
    one and replace the other, a quarter of a balanced design."""
    vector = SCHEMA.encode_row(VALUES | {"systolic": 200, "diastolic": 135}).vector
    assert impossible_share(DESIGNS["masks"], SCHEMA, vector[None]) == 0.25


def test_tied_features_are_never_mixed():
    schema = pressure_schema(tied=True)
    plan = read_design(design.build(schema, seed="x"))
    vector = schema.encode_row(VALUES | {"systolic": 200, "diastolic": 135}).vector
    assert impossible_share(plan, schema, vector[None]) == 0


def test_who_stands_at_the_edge_of_a_range_is_moved_out_of_it_half_of_the_time():
    vector = SCHEMA.encode_row(VALUES | {"age": 110}).vector
    assert impossible_share(DESIGNS["slopes"], SCHEMA, vector[None]) == 0.5
    assert impossible_share(DESIGNS["masks"], SCHEMA, vector[None]) == 0


def test_the_share_of_several_records_is_their_mean():
    records = np.stack([SCHEMA.encode_row(VALUES | {"age": age}).vector for age in (54, 110)])
    assert impossible_share(DESIGNS["slopes"], SCHEMA, records) == 0.25


def test_above_the_allowed_share_a_record_is_refused_without_a_value():
    vector = SCHEMA.encode_row(VALUES | {"age": 110}).vector
    with pytest.raises(Refused, match=r"50\.0% .* 5\.0% are allowed") as caught:
        plausibility.check(DESIGNS["slopes"], SCHEMA, vector, most="0.05")
    assert caught.value.reason is Reason.DESIGN_IMPLAUSIBLE
    assert "110" not in str(caught.value)
    plausibility.check(DESIGNS["slopes"], SCHEMA, vector, most="0.5")


def test_a_design_that_fails_for_the_reference_is_refused():
    plausibility.check_reference(DESIGNS["slopes"], SCHEMA, most="0")
    narrow = copy.deepcopy(HEART)
    narrow["features"][0] |= {"range": ["53", "55"]}
    schema = FeatureSchema.from_json(narrow)
    plan = read_design(design.build_slopes(schema, seed="x"))
    with pytest.raises(Refused) as caught:
        plausibility.check_reference(plan, schema, most="0.05")
    assert caught.value.reason is Reason.DESIGN_IMPLAUSIBLE
    plausibility.check_reference(read_design(design.build(schema, seed="x")), schema, most="0")


def test_bounds_themselves_are_possible():
    for feature in SCHEMA.features:
        for end in feature.range:
            vector = replace(SCHEMA, rules=()).encode_row(VALUES | {feature.name: end}).vector
            assert not impossible(replace(SCHEMA, rules=()), vector[None]).any()


# --- rules


def test_a_schema_without_rules_keeps_its_digest_and_one_with_rules_has_another():
    assert FeatureSchema.from_json(HEART).rules == ()
    assert pressure_schema(rules=()).digest != SCHEMA.digest
    assert [str(rule) for rule in SCHEMA.rules] == ["systolic > diastolic"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"right": "systolic"}, "two numbers"),
        ({"right": "sex"}, "two numbers"),
        ({"right": "unheard-of"}, "two numbers"),
        ({"right": "chol"}, "one unit"),
        ({"left": "diastolic", "right": "systolic"}, "reference record breaks"),
    ],
)
def test_a_rule_that_can_be_none_is_refused(change, said):
    with pytest.raises(Refused, match=said) as caught:
        pressure_schema(rules=[PRESSURE | change])
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "rules")


@pytest.mark.parametrize("change", [{"relation": "<"}, {"relation": "=="}, {"unless": "dead"}])
def test_a_rule_has_exactly_its_fields(change):
    with pytest.raises(Refused) as caught:
        pressure_schema(rules=[PRESSURE | change])
    assert caught.value.field.startswith("rules.0")


def test_rules_hold_up_to_the_rounding_of_standardised_numbers():
    above, least = (Rule(left="a", relation=relation, right="b") for relation in (">", ">="))
    a, b = np.array([120.0, 120 + 1e-12, 120.001, 119.999]), np.full(4, 120.0)
    assert above.broken(a, b).tolist() == [True, True, False, True]
    assert least.broken(a, b).tolist() == [False, False, False, True]


def test_a_measured_record_that_breaks_a_rule_is_refused_at_its_source():
    with pytest.raises(Refused, match="systolic > diastolic") as caught:
        SCHEMA.encode_row(VALUES | {"systolic": 90, "diastolic": 100})
    assert (caught.value.reason, caught.value.field) == (Reason.VALUE_OUT_OF_RANGE, "systolic")


def test_an_imputed_value_breaks_no_rule_but_is_counted():
    """The reference's 130 stands in for the systolic pressure: no reason to send the clinician away, but one to say
    how many of the perturbed records are impossible."""
    record = SCHEMA.encode_row(VALUES | {"systolic": None, "diastolic": 140})
    assert record.imputed == ("systolic",)
    assert impossible_share(DESIGNS["masks"], SCHEMA, record.vector[None]) == 0.5
