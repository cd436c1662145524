"""The document of a data steward's decision has exactly its fields."""

from typing import Any

import pytest

from concordat.canonical import digest
from concordat.data_use_decision import check
from concordat.reasons import Reason, Refused

DOCUMENT = {
    "v": 1,
    "study": "chest-pain",
    "institution": "zurich",
    "base": digest(b"protocol"),
    "terms": ["DUO:0000007"],
    "uses": ["DUO:0000006"],
    "allowed": True,
    "reason": "It is about that disease.",
}


def test_a_whole_decision_is_taken() -> None:
    assert check(DOCUMENT)["allowed"] is True


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"allowed": 1}, "allowed"),
        ({"reason": " "}, "reason"),
        ({"base": "latest"}, "base"),
        ({"v": 2}, "v"),
        ({"terms": "DUO:0000007"}, "terms"),
    ],
)
def test_a_field_of_another_form_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as caught:
        check(DOCUMENT | changes)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, field)


@pytest.mark.parametrize("field", DOCUMENT)
def test_no_field_is_missing(field: str) -> None:
    with pytest.raises(Refused) as caught:
        check({name: value for name, value in DOCUMENT.items() if name != field})
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_MISSING, field)
