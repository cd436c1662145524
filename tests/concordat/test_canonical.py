"""Canonical JSON: one value, one byte string, and no document that two readers would read differently."""

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from concordat import canonical
from concordat.reasons import Reason, Refused

LARGEST = 2**53 - 1
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_reads_back_and_agrees_with_the_rfcs_implementation(value: Any) -> None:
    written = canonical.encode(value)
    assert canonical.decode(written) == value
    assert written == rfc8785.dumps(value)


@given(st.dictionaries(st.text(st.characters(min_codepoint=1, max_codepoint=127)), TEXT))
def test_what_has_ascii_keys_agrees_with_the_rfcs_implementation_too(value: Any) -> None:
    assert canonical.encode(value) == rfc8785.dumps(value)


@given(VALUES)
def test_the_bytes_do_not_depend_on_how_the_value_was_written(value: Any) -> None:
    assert canonical.encode(canonical.decode(json.dumps(value, indent=3))) == canonical.encode(value)


def test_keys_are_sorted_by_utf_16_as_rfc_8785_has_it() -> None:
    assert canonical.encode({"\ue000": 1, "😀": 2, "a": 3}).decode() == '{"a":3,"😀":2,"\ue000":1}'


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{"a":{"b":1,"b":1}}',
        "1.0",
        "1e2",
        "NaN",
        "-Infinity",
        "9007199254740992",
        "{",
        "",
        "[1] [2]",
        '"\\ud800"',
        '{"\\udfff":1}',
        '{"a":["\\u0000"]}',
        '{"\\u0000":1}',
        "[" * 100000,
    ],
)
def test_documents_that_can_be_read_in_two_ways_are_refused(text: str) -> None:
    with pytest.raises(Refused) as no:
        canonical.decode(text)
    assert no.value.reason is Reason.MALFORMED


@pytest.mark.parametrize(
    "value",
    [0.5, {"a": [1.0]}, {1: "a"}, b"bytes", object(), 2**53, "\ud800", {"\0": 1}, "a\0", {"a": {2, 3}}],
)
def test_values_without_a_canonical_form_are_refused(value: Any) -> None:
    with pytest.raises(Refused) as no:
        canonical.encode(value)
    assert no.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig"])
def test_bytes_are_utf_8(encoding: str) -> None:
    with pytest.raises(Refused):
        canonical.decode('{"a":"é"}'.encode(encoding))


def test_a_text_about_the_escape_of_a_nul_is_none() -> None:
    value = {"a": "\\u0000"}
    written = canonical.encode(value)
    assert canonical.decode(written) == canonical.decode_exact(written) == value
    with pytest.raises(Refused):
        canonical.decode_exact(b'{"a":"\\u0000"}')


def test_a_refusal_names_the_place() -> None:
    with pytest.raises(Refused) as no:
        canonical.encode({"a": [{"b": 0.5}]})
    assert no.value.field == "a[0].b"


class CountedKey(str):
    """A key that counts how often it is written into another text, which takes time by its length."""

    written = 0

    def __format__(self, form: str) -> str:
        CountedKey.written += 1
        return super().__format__(form)


def test_an_elements_place_is_written_out_for_a_refusal_only() -> None:
    """Else a megabyte that is half a key and half elements below it would keep a reader busy for hours."""
    CountedKey.written = 0
    canonical.encode({CountedKey("key"): [0] * 1000})
    assert CountedKey.written == 0
    with pytest.raises(Refused):
        canonical.encode({CountedKey("key"): [*range(1000), 0.5]})
    assert CountedKey.written == 1


@pytest.mark.parametrize(("open_", "close"), [("[", "]"), ('{"a":', "}")])
def test_a_document_is_64_levels_deep_at_most(open_: str, close: str) -> None:
    def nested(depth: int) -> str:
        return open_ * depth + "0" + close * depth

    assert canonical.encode(canonical.decode(nested(64))).decode() == nested(64)
    for read, deeper in ((canonical.decode, nested(65)), (canonical.encode, json.loads(nested(65)))):
        with pytest.raises(Refused) as no:
            read(deeper)
        assert no.value.reason is Reason.MALFORMED


def test_a_digest_is_of_bytes_as_they_are_or_of_a_values_canonical_bytes() -> None:
    assert canonical.digest({"b": 1, "a": 2}) == canonical.digest(b'{"a":2,"b":1}')
    assert canonical.digest(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert canonical.digest_bytes(canonical.digest(b"x")).hex() == canonical.digest(b"x").removeprefix("sha256:")


@pytest.mark.parametrize("text", ["", "sha256:", "sha256:" + "A" * 64, "md5:" + "0" * 64, "sha256:" + "0" * 63, None])
def test_what_is_no_digest_is_refused(text: Any) -> None:
    with pytest.raises(Refused):
        canonical.digest_bytes(text)


@given(st.binary(max_size=64))
def test_base64url_goes_there_and_back_without_padding(data: bytes) -> None:
    text = canonical.b64(data)
    assert canonical.unb64(text) == data
    assert not set(text) & set("+/=")


@pytest.mark.parametrize("text", ["QQ==", "QR", "Q", "+A", "a b", "é", "QQ\n"])
def test_other_spellings_of_base64_are_refused(text: str) -> None:
    with pytest.raises(Refused) as no:
        canonical.unb64(text)
    assert no.value.reason is Reason.MALFORMED


def exact(data: bytes) -> Any:
    """What `decode_exact` stands for, in two steps; None where it refuses."""
    try:
        value = canonical.decode(data)
    except Refused:
        return None
    return [value] if canonical.encode(value) == data else None


def read_exactly(data: bytes) -> Any:
    try:
        return [canonical.decode_exact(data)]
    except Refused:
        return None


@given(VALUES)
def test_canonical_bytes_are_read_and_no_others(value: Any) -> None:
    data = canonical.encode(value)
    assert read_exactly(data) == exact(data) == [value]
    for other in (data + b" ", b" " + data, json.dumps(value, indent=1).encode() + b"\n", data[:-1]):
        assert read_exactly(other) == exact(other)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"a":1,"a":2}',
        '{"b":1,"a":2}',
        '{"a": 1}',
        '{"a":1.0}',
        '{"a":1e2}',
        '{"a":-0}',
        '{"a":01}',
        '{"a":9007199254740992}',
        '{"a":NaN}',
        '{"a":"\\u0041"}',
        '{"a":"\\/"}',
        '{"a":"\\u00e9"}',
        '{"a":"\\ud800"}',
        '{"\u00e9":"\ud83d\ude00"}'.encode("utf-16", "surrogatepass").decode("utf-16"),
        "[" * 65 + "]" * 65,
        "[" * 64 + "]" * 64,
        "[" * 100_000,
        '{"a":"' + "[" * 100 + '"}',
        "",
    ],
)
def test_what_can_be_read_in_two_ways_or_written_in_two_is_told_from_what_cannot(text: str) -> None:
    assert read_exactly(text.encode()) == exact(text.encode())
