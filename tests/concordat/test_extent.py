"""A JSON text that would cost much to read is refused before it is read."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat import canonical
from concordat.extent import MOST_VALUES, check_extent
from concordat.reasons import Reason, Refused
from concordat.signatures import peek

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def reason_of(data: bytes) -> Reason:
    with pytest.raises(Refused) as caught:
        check_extent(data)
    return caught.value.reason


@given(JSON)
def test_what_can_be_read_is_let_pass(value: Any) -> None:
    check_extent(json.dumps(value).encode())


def test_brackets_and_commas_in_strings_do_not_count() -> None:
    check_extent(json.dumps({"text": '\\"' + "[,{" * MOST_VALUES + '"'}).encode())


@pytest.mark.parametrize(("before", "after"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_the_deepest_body_passes_and_a_deeper_one_does_not(before: bytes, after: bytes) -> None:
    deepest = before * canonical.DEEPEST + b"1" + after * canonical.DEEPEST
    check_extent(deepest)
    assert canonical.decode(deepest)
    assert reason_of(before + deepest + after) is Reason.MALFORMED


def test_what_is_deep_and_never_closed_is_refused() -> None:
    assert reason_of(b"[" * 100_000) is Reason.MALFORMED


def test_the_largest_body_passes_and_a_larger_one_does_not() -> None:
    check_extent(b"[" + b",".join([b"1"] * MOST_VALUES) + b"]")
    assert reason_of(b"[" + b",".join([b"1"] * (MOST_VALUES + 1)) + b"]") is Reason.TOO_LARGE


def test_many_keys_count_as_many_items_do() -> None:
    assert reason_of(json.dumps({str(key): 1 for key in range(MOST_VALUES + 2)}).encode()) is Reason.TOO_LARGE


def test_a_refusal_costs_no_more_memory_than_the_body() -> None:
    body = b"[" + b"[]," * (2**20) + b"[]]"
    tracemalloc.start()
    assert reason_of(body) is Reason.TOO_LARGE
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * len(body)


def test_what_counting_does_not_see_is_not_read() -> None:
    """In UTF-16 a byte of U+2200 looks like a quote, and all that follows like a string."""
    hidden = '["\u2200",' + "[]," * (MOST_VALUES + 1) + '"\u2200"]'
    for encoding in ("utf-16-le", "utf-16", "utf-32"):
        check_extent(hidden.encode(encoding))
        with pytest.raises(Refused) as caught:
            canonical.decode(hidden.encode(encoding))
        assert caught.value.reason is Reason.MALFORMED
    assert reason_of(hidden.encode()) is Reason.TOO_LARGE


def test_what_somebody_may_have_signed_is_looked_at_in_the_same_way() -> None:
    """Anybody can write something that looks like a signed document, and it is read before its signature is."""
    small, signature = canonical.b64(b"{}"), canonical.b64(64 * b"\0")
    for data, reason in (
        (b'{"a":[' + b"[]," * MOST_VALUES + b"[]]}", Reason.TOO_LARGE),
        (b"[" * 100, Reason.MALFORMED),
    ):
        large = canonical.b64(data)
        for token in (f"{small}.{large}.{signature}", f"{large}.{small}.{signature}"):
            tracemalloc.start()
            with pytest.raises(Refused) as caught:
                peek(token)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert caught.value.reason is reason
            assert peak < 8 * len(token) + 2**16
