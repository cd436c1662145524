import pytest
from pydantic import with_config
from typing_extensions import TypedDict

from concordat.fields import STRICT, DecimalText, Digest, IPv4, Jurisdiction, Slug, Text, Time, Uuid, read
from concordat.reasons import Reason, Refused


@with_config(STRICT)
class Inner(TypedDict):
    name: Slug


@with_config(STRICT)
class Document(TypedDict):
    slug: Slug
    digest: Digest
    uuid: Uuid
    time: Time
    text: Text
    decimal: DecimalText
    jurisdiction: Jurisdiction
    machine: IPv4
    number: int
    inner: list[Inner]


FINE = {
    "slug": "long-beach",
    "digest": "sha256:" + "a" * 64,
    "uuid": "6f1d1f7e-2c0b-4c3e-9d56-0b7a3a9f5a10",
    "time": "2026-01-31T12:00:00Z",
    "text": "words",
    "decimal": "-0.50",
    "jurisdiction": "CH",
    "machine": "10.0.0.5",
    "number": 3,
    "inner": [{"name": "one"}],
}


def test_a_document_comes_back_as_the_json_that_it_was():
    assert read(FINE, Document) == FINE


def test_lines_and_scripts_from_right_to_left_are_text():
    for text in ("one\r\n\tanother", "שלום, ألم في الصدر", "می\u200cخواهم"):
        assert read({**FINE, "text": text}, Document)["text"] == text


def test_a_missing_field_is_named():
    with pytest.raises(Refused) as caught:
        read({name: value for name, value in FINE.items() if name != "time"}, Document)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_MISSING, "time")


def test_an_unknown_field_is_named():
    with pytest.raises(Refused) as caught:
        read({**FINE, "extra": 1}, Document)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_UNKNOWN, "extra")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("slug", "Long Beach"),
        ("slug", "-a"),
        ("machine", "10.0.0.05"),
        ("machine", "10.0.0.256"),
        ("machine", "0.0.0.0"),
        ("machine", "224.0.0.1"),
        ("machine", "::1"),
        ("machine", "localhost"),
        ("slug", "a\n"),
        ("digest", "sha256:" + "A" * 64),
        ("digest", "a" * 64),
        ("uuid", "6F1D1F7E-2C0B-4C3E-9D56-0B7A3A9F5A10"),
        ("uuid", "{6f1d1f7e-2c0b-4c3e-9d56-0b7a3a9f5a10}"),
        ("uuid", ""),
        ("time", "2026-01-31T12:00:00+00:00"),
        ("time", "2026-02-30T12:00:00Z"),
        ("text", "  "),
        ("text", "x" * 2001),
        ("text", "an\x1b[2J escape"),
        ("text", "\u202ereversed"),
        ("text", "a \u2066 part of it"),
        ("text", "take \u200f1\u200f-\u200f2 tablets"),
        ("text", "a line\u2028another"),
        ("text", "seen\U000e0041"),
        ("decimal", "1e3"),
        ("decimal", ".5"),
        ("decimal", "NaN"),
        ("jurisdiction", "Switzerland"),
        ("number", True),
        ("number", "3"),
        ("number", 3.0),
        ("inner", {}),
    ],
)
def test_a_value_of_the_wrong_form_is_named(field, value):
    with pytest.raises(Refused) as caught:
        read({**FINE, field: value}, Document)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, field)


def test_a_nested_field_is_named_by_its_path():
    with pytest.raises(Refused) as caught:
        read({**FINE, "inner": [{"name": "one"}, {"name": "Two"}]}, Document)
    assert caught.value.field == "inner.1.name"


def test_the_refusal_does_not_repeat_the_value():
    with pytest.raises(Refused) as caught:
        read({**FINE, "number": "a secret"}, Document)
    assert "secret" not in str(caught.value)
