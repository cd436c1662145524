"""A body that would cost much to read is refused before it is read."""

from collections.abc import Callable
from typing import Any

import pytest

from concordat.extent import MOST_VALUES
from tests.api.conftest import FORM, Caller


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
