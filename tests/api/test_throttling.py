"""One caller may not sign in, ask or read without end; the count is the same for every process."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.test import Client

from api.models import CallCount
from concordat import clock
from tests.api.conftest import SAMPLES
from tests.api.test_sweep import OPERATIONS, SCHEMA

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _two_a_minute(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stands still, so that no minute ends in the middle of a test."""
    now = clock.now()
    monkeypatch.setattr("api.throttling.clock.now", lambda: now)
    settings.CALLS_A_MINUTE = dict.fromkeys(settings.CALLS_A_MINUTE, 2)


def limited(answers: list[Any]) -> None:
    assert 429 not in [answer.status_code for answer in answers[:2]]
    assert answers[2].status_code == 429
    assert answers[2].json()["type"] == "urn:concordat:reason:rate-limited"
    assert answers[2].headers["Retry-After"] == "60"


def test_sign_in_is_limited_by_address() -> None:
    limited([Client().post("/api/v1/token", {"grant_type": "a guess"}) for _ in range(3)])
    assert Client(REMOTE_ADDR="192.0.2.9").post("/api/v1/token", {}).status_code != 429


def test_the_proxy_s_word_counts_and_not_the_caller_s(settings: Any) -> None:
    settings.PRODUCTION, settings.SECURE_SSL_REDIRECT = True, False
    ways = [f"198.51.100.{number}, 192.0.2.1" for number in range(3)]
    limited([Client().post("/api/v1/token", {}, headers={"X-Forwarded-For": way}) for way in ways])


def test_predictions_are_limited_by_institution_and_following_one_is_not(signed_in: Callable[..., Any]) -> None:
    caller, other = signed_in("long-beach"), signed_in("mayo")
    limited([caller.post("predictions", {}) for _ in range(3)])
    assert other.post("predictions", {}).status_code != 429
    assert {caller.get("predictions").status_code for _ in range(4)} == {200}


def test_whatever_else_changes_something_is_limited_together(signed_in: Callable[..., Any]) -> None:
    caller, other = signed_in("zurich"), signed_in("mayo")
    calls = [partial(caller.post, "rosters", {}), partial(caller.call, "DELETE", f"webhooks/{SAMPLES['webhook']}")]
    limited([call() for call in (*calls, partial(caller.post, "node/status", {}))])
    assert other.post("rosters", {}).status_code != 429


def test_every_operation_that_changes_something_says_so_and_a_read_only_where_it_counts() -> None:
    unsaid = [(method, path) for method, path, each in OPERATIONS if "429" not in each["responses"]]
    assert {method for method, _ in unsaid} == {"GET"}
    assert "429" in SCHEMA["paths"]["/api/v1/dossiers/{record}"]["get"]["responses"]


def test_dossiers_are_limited(signed_in: Callable[..., Any]) -> None:
    limited([signed_in("zurich").get("dossiers/C-0000042-3") for _ in range(3)])


def test_the_next_minute_begins_anew_and_forgets_the_last() -> None:
    minute = clock.now().replace(second=0, microsecond=0)
    assert [CallCount.objects.add("token", "zurich", minute) for _ in range(3)] == [1, 2, 3]
    assert CallCount.objects.add("token", "zurich", minute + timedelta(minutes=1)) == 1
    assert CallCount.objects.count() == 1
