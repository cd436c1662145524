"""A file is what its bytes are, whatever it is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat.media import JPEG, PDF, PNG, TEXT, TYPES, media_type
from concordat.reasons import Reason, Refused

ZIP, EXECUTABLE, GIF = b"PK\x03\x04rest", b"\x7fELF\x02\x01\x01", b"GIF89a\x01\x00"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", PDF),
        (b"\x89PNG\r\n\x1a\n\x00\x00", PNG),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", JPEG),
        ("Charter: Übereinkunft.\r\n\tOne.\f".encode(), TEXT),
        (b"<script>alert(1)</script>", TEXT),
    ],
)
def test_the_first_bytes_say_it(content: bytes, expected: str) -> None:
    assert media_type(content) == expected


@pytest.mark.parametrize("content", [ZIP, EXECUTABLE, GIF, b"\xff\xfeA\x00", b"text\x00", b"\x1b[31m", b"del\x7f"])
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(Refused) as caught:
        media_type(content)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "content")


@given(st.binary(max_size=64))
def test_whatever_comes_it_is_one_of_the_types_or_refused(content: bytes) -> None:
    try:
        found = media_type(content)
    except Refused:
        return
    assert found in TYPES
    assert found != TEXT or "\0" not in content.decode()
