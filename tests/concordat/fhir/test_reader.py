import copy
import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from concordat import clock
from concordat.fhir import read_bundle
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema

HEART = Path(__file__).parents[3] / "examples" / "heart_disease"
SCHEMA = FeatureSchema.from_json(json.loads((HEART / "schema.json").read_text()))


def values_of(bundle, schema):
    return dict(read_bundle(bundle, schema, now=clock.now()).values)


@pytest.fixture
def bundle():
    return json.loads((HEART / "bundle.json").read_text())


def observation(bundle, code):
    return next(
        entry["resource"]
        for entry in bundle["entry"]
        if entry["resource"].get("code", {}).get("coding", [{}])[0].get("code") == code
    )


def refusal(bundle):
    with pytest.raises(Refused) as caught:
        values_of(bundle, SCHEMA)
    return caught.value.reason, caught.value.field


def test_the_bundle_and_the_table_row_it_was_made_of_give_the_same_vector(bundle):
    with (HEART / "uci_heart_4_hospitals.csv").open(newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["id"] == "756")
    assert row["dataset"] == "VA Long Beach"
    from_bundle = SCHEMA.encode_row(values_of(bundle, SCHEMA))
    from_row = SCHEMA.encode_row(SCHEMA.from_row(row))
    assert from_bundle.vector.tolist() == from_row.vector.tolist()
    assert from_bundle.imputed == from_row.imputed == ("chol",)


def test_the_example_patient_has_no_name(bundle):
    patient = bundle["entry"][0]["resource"]
    assert set(patient) == {"resourceType", "identifier", "gender", "birthDate"}


@pytest.mark.parametrize(("timestamp", "age"), [("2026-10-13T23:59:59Z", 64), ("2026-10-14T00:00:00Z", 65)])
def test_age_counts_completed_years_at_the_bundles_time(bundle, timestamp, age):
    assert values_of({**bundle, "timestamp": timestamp}, SCHEMA)["age"] == age


def test_without_a_timestamp_age_counts_completed_years_now(bundle):
    del bundle["timestamp"]
    assert read_bundle(bundle, SCHEMA, now=datetime(2036, 1, 1, tzinfo=UTC)).values["age"] == 74


def test_a_year_of_birth_is_not_enough(bundle):
    bundle["entry"][0]["resource"]["birthDate"] = "1961"
    assert refusal(bundle) == (Reason.FIELD_INVALID, "age")


@pytest.mark.parametrize(
    ("code", "system"), [("mmol/L", "http://unitsofmeasure.org"), ("mm[Hg]", "urn:other"), ("kPa", None)]
)
def test_another_unit_is_refused_by_name(bundle, code, system):
    observation(bundle, "8480-6")["valueQuantity"].update(code=code, system=system)
    assert refusal(bundle) == (Reason.UNIT_WRONG, "trestbps")


def test_what_the_schema_does_not_ask_for_is_left_out(bundle):
    observation(bundle, "8480-6")["code"]["coding"][0]["code"] = "8462-4"
    assert "trestbps" not in values_of(bundle, SCHEMA)


def test_an_unknown_level_is_refused_by_name(bundle):
    observation(bundle, "cp")["valueCodeableConcept"]["coding"][0]["code"] = "cp-other"
    assert refusal(bundle) == (Reason.CODE_UNKNOWN, "cp")


def test_a_value_of_the_wrong_type_is_refused_by_name(bundle):
    fbs = observation(bundle, "fbs")
    del fbs["valueBoolean"]
    fbs["valueString"] = "no"
    assert refusal(bundle) == (Reason.FIELD_INVALID, "fbs")


def test_less_than_is_no_value(bundle):
    observation(bundle, "thalch")["valueQuantity"]["comparator"] = "<"
    assert refusal(bundle) == (Reason.FIELD_INVALID, "thalch")


def test_a_preliminary_observation_is_left_out(bundle):
    observation(bundle, "oldpeak")["status"] = "preliminary"
    assert "oldpeak" not in values_of(bundle, SCHEMA)


def test_an_observation_of_somebody_else_is_refused(bundle):
    observation(bundle, "exang")["subject"]["reference"] = "Patient/another"
    assert refusal(bundle) == (Reason.FIELD_INVALID, "exang")


def test_two_values_for_one_feature_are_refused(bundle):
    another = copy.deepcopy(bundle["entry"][2])
    another["resource"]["valueQuantity"]["value"] += 1
    bundle["entry"].append(another)
    assert refusal(bundle) == (Reason.FIELD_INVALID, "trestbps")


def test_a_feature_left_out_is_imputed_or_refused_by_the_schema(bundle):
    bundle["entry"] = [entry for entry in bundle["entry"] if entry["resource"] is not observation(bundle, "cp")]
    values = values_of(bundle, SCHEMA)
    with pytest.raises(Refused) as caught:
        SCHEMA.encode_row(values)
    assert (caught.value.reason, caught.value.field) == (Reason.FEATURE_MISSING, "cp")


@pytest.mark.parametrize("patients", [0, 2])
def test_a_bundle_holds_exactly_one_patient(bundle, patients):
    patient, *rest = bundle["entry"]
    bundle["entry"] = [{**patient, "fullUrl": f"urn:uuid:{number}"} for number in range(patients)] + rest
    assert refusal(bundle) == (Reason.BUNDLE_INVALID, "Patient")


@pytest.mark.parametrize("document", [{}, {"resourceType": "Patient"}, {"resourceType": "Bundle", "type": 3}])
def test_what_is_no_bundle_is_refused(document):
    assert refusal(document)[0] is Reason.BUNDLE_INVALID
