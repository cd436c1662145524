"""A body that would cost much to read is refused before it is read."""

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.parsers import MOST_VALUES, check_extent
from concordat import canonical
from concordat.reasons import Reason, Refused
from tests.api.conftest import FORM, Caller

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


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(b"[" * 100_000, 400, "malformed"), (b"[" + b"1," * MOST_VALUES + b"1,1]", 413, "too-large")],
)
def test_the_api_answers_with_a_problem(signed_in: Callable[..., Caller], body: bytes, status: int, code: str) -> None:
    caller = signed_in("long-beach")
    answer = caller.client.post("/api/v1/consents", body, content_type="application/json", headers=caller.headers)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:concordat:reason:{code}")
    assert answer.json()["detail"]


def test_what_announces_more_than_the_limit_is_refused_unread(signed_in: Callable[..., Caller], settings: Any) -> None:
    caller = signed_in("long-beach")
    headers = caller.headers | {"Content-Length": str(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)}
    answer = caller.client.post("/api/v1/consents", b"{}", content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:concordat:reason:too-large")


def test_a_form_with_too_many_fields_buys_no_token(client: Any, db: None) -> None:
    answer = client.post("/api/v1/token", "&".join(f"f{n}=1" for n in range(2000)), content_type=FORM)
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:concordat:reason:too-large")
