"""Which questions are understood, and as what."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat.bedside.questions import LONGEST, WhatIfAsked, WhyAsked, find, understand
from concordat.reasons import Refused
from concordat.schema import FeatureSchema
from tests.concordat.client.conftest import FOLDER

SCHEMA = FeatureSchema.from_json(json.loads((FOLDER / "schema.json").read_text()))
VALUES = SCHEMA.encode_row({"age": 63, "sex": "male", "cp": "asymptomatic", "trestbps": 140}).values


def change(text: str) -> Any:
    asked = understand(text, SCHEMA, VALUES)
    assert isinstance(asked, WhatIfAsked)
    return asked.change


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("what if resting blood pressure were 120?", {"trestbps": 120.0}),
        ("What if the blood pressure was 120 mmHg?", {"trestbps": 120.0}),
        ("what if trestbps = 120", {"trestbps": 120.0}),
        ("what if the blood pressure were lower?", {"trestbps": 121.0}),
        ("what if the blood pressure were higher by 15?", {"trestbps": 155.0}),
        ("what if the blood pressure were higher by 15 mmHg?", {"trestbps": 155.0}),
        ("what if the systolic pressure were 120", {"trestbps": 120.0}),
        ("what if angina on exercise were yes?", {"exang": True}),
        ("what if chest pain were typical angina?", {"cp": "typical-angina"}),
        ("what if the cholesterol were 180 mg/dL and the blood pressure were 120?", {"chol": 180.0, "trestbps": 120.0}),
    ],
)
def test_what_if(text: str, expected: Any) -> None:
    assert change(text) == expected


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("why not low?", "raises"),
        ("Why is it high?", "raises"),
        ("why not high", "lowers"),
        ("why is the risk so low?", "lowers"),
        ("why not lower?", "raises"),
    ],
)
def test_why(text: str, direction: str) -> None:
    assert understand(text, SCHEMA, VALUES) == WhyAsked(direction)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tell me a story", "none of the forms"),
        ("what if pigs were 7?", "The names are"),
        ("what if the exercise were 7?", "Which one is meant"),
        ("what if blood pressure were 120 kPa?", "in mmHg"),
        ("what if blood pressure were much?", "is a number"),
        ("what if blood pressure were mmHg?", "is a number"),
        ("what if blood pressure were lower by 40 percent?", "in mmHg"),
        ("what if blood pressure were lower by 1 kPa?", "in mmHg"),
        ("what if blood pressure were lower by 4 every year?", "in mmHg"),
        ("what if blood pressure were 9999?", "lies between"),
        ("what if chest pain were lower?", "say which value"),
        ("what if chest pain were terrible?", "is one of"),
        ("what if angina on exercise were maybe?", "yes or no"),
        ("what if chol were 180 and cholesterol were 190?", "changed twice"),
        ("what if blood pressure", "then “were”"),
        ("what if " + "x" * LONGEST, "at most"),
    ],
)
def test_what_is_not_understood_is_said_and_not_guessed(text: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        understand(text, SCHEMA, VALUES)
    assert words in refused.value.detail
    assert "9999" not in refused.value.detail


@pytest.mark.parametrize("feature", SCHEMA.features, ids=lambda each: each.name)
def test_every_feature_is_found_by_its_label_and_its_name(feature: Any) -> None:
    assert find(feature.label, SCHEMA) is feature
    assert find(f"the {feature.name}", SCHEMA) is feature


@given(st.text(max_size=60))
def test_whatever_is_typed_it_is_understood_or_refused(text: str) -> None:
    for asked in (text, f"what if {text}", f"what if {text} were {text}", f"why {text}"):
        try:
            found = understand(asked, SCHEMA, VALUES)
        except Refused:
            continue
        if isinstance(found, WhatIfAsked):
            SCHEMA.encode_row({**VALUES, **found.change})
