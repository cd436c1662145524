"""Questions about a record: what they change, and how their answers read."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat import what_if
from concordat.reasons import Reason, Refused
from tests.support.engines import SCHEMA

VALUES = {"age": 63.0, "trestbps": 145.0, "chol": 233.0, "exang": True, "cp": "asymptomatic"}


def parse(text, values=VALUES):
    return what_if.parse(text, SCHEMA, values)


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("trestbps=120", {"trestbps": 120.0}),
        ("trestbps-=20", {"trestbps": 125.0}),
        (" age += 10 ", {"age": 73.0}),
        ("exang=false", {"exang": False}),
        ("trestbps-=20, chol=180", {"trestbps": 125.0, "chol": 180.0}),
    ],
)
def test_a_question_changes_what_it_names(text, change):
    assert parse(text) == change


@pytest.mark.parametrize(
    ("text", "reason", "field"),
    [
        ("", Reason.FIELD_INVALID, "what_if"),
        ("trestbps", Reason.FIELD_INVALID, "what_if"),
        ("pressure=120", Reason.FIELD_INVALID, "what_if"),
        ("trestbps=120,", Reason.FIELD_INVALID, "what_if"),
        ("trestbps=low", Reason.FIELD_INVALID, "trestbps"),
        ("trestbps=2000", Reason.VALUE_OUT_OF_RANGE, "trestbps"),
        ("trestbps-=140", Reason.VALUE_OUT_OF_RANGE, "trestbps"),
        ("exang+=1", Reason.FIELD_INVALID, "exang"),
        ("cp=elbow", Reason.CODE_UNKNOWN, "cp"),
    ],
)
def test_what_cannot_be_asked_is_refused_and_named(text, reason, field):
    with pytest.raises(Refused) as caught:
        parse(text)
    assert (caught.value.reason, caught.value.field) == (reason, field)


def test_a_difference_needs_a_recorded_number():
    with pytest.raises(Refused, match="give the value itself"):
        parse("trestbps-=20", values=VALUES | {"trestbps": None})


@given(st.text(max_size=40))
def test_whatever_is_typed_is_a_change_or_a_refusal(text):
    with suppress(Refused):
        assert set(parse(text)) <= {feature.name for feature in SCHEMA.features}


@pytest.mark.parametrize(("target", "prediction"), [("log-odds", 0.0), ("probability", 0.5)])
def test_answers_are_probabilities_beside_the_records_own(target, prediction):
    answers = what_if.answer([{"trestbps": 125.0}], [prediction], schema=SCHEMA, values=VALUES, target=target)
    text = what_if.render_text(answers, 0.62)
    assert "50.0% (-12.0 points)" in text
    assert "145 mmHg → 125 mmHg" in text
    assert "not a promise" in text


def test_a_value_that_was_not_measured_is_called_so():
    said = what_if.say({"trestbps": 125.0, "chol": 180.0}, SCHEMA, VALUES, imputed=("chol",))
    assert "145 mmHg → 125 mmHg" in said
    assert "(not measured: reference value) → 180 mg/dL" in said
    assert said.count("not measured") == 1


def test_nothing_is_said_where_nothing_was_asked():
    assert what_if.render_text((), 0.62) == ""
