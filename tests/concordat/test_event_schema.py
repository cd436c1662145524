"""Every event has a schema; the schemas are JSON Schema, and refuse what no entry says. That they fit what is recorded,
every test that records something shows (`tests/conftest.py`)."""

import pytest
from jsonschema import Draft202012Validator, ValidationError

from concordat import event_schema
from concordat.events import EVENTS, Event

ENTRY = {
    "v": 1,
    "event": "consent.given",
    "id": "00000000-0000-4000-8000-000000000001",
    "time": "2026-03-02T09:00:00Z",
    "public": {"study": "heart", "institution": "zurich", "consent": "00000000-0000-4000-8000-000000000002"},
    "documents": {},
    "commitments": {"subject": "sha256:" + "0" * 64},
}


def test_every_public_name_has_one_form() -> None:
    assert set(event_schema.PUBLIC) == {name for info in EVENTS.values() for name in info.public}


def test_it_is_a_schema_with_one_for_each_event() -> None:
    Draft202012Validator.check_schema(event_schema.schema())
    assert set(event_schema.schema()["$defs"]) == {event.value for event in Event}


def test_an_entry_fits_its_events_schema_alone() -> None:
    Draft202012Validator(event_schema.schema()).validate(ENTRY)
    assert [event for event in Event if Draft202012Validator(event_schema.of(event)).is_valid(ENTRY)] == [
        Event.CONSENT_GIVEN
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"event": "consent.found"},
        {"id": ""},
        {"time": "2026-03-02"},
        {"public": {"study": "Heart"}},
        {"public": {"subject": "P-1"}},
        {"commitments": {"subject": "P-1"}},
        {"documents": {"statement": "sha256:" + "0" * 64}},
        {"more": 1},
    ],
)
def test_what_no_entry_says_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Draft202012Validator(event_schema.schema()).validate(ENTRY | change)
