"""The web application as the server calls it, with headers that Django itself cannot read."""

from typing import Any

import pytest
from django.test import RequestFactory

CANNOT_BE_DECODED = ["a/b; charset*=UTF-8''%00", "a/b; x*=undefined''x", "a/b; x* =punycode''%ff"]


def status_of(**headers: str) -> int:
    from config.wsgi import application  # which looks for the static files' folder

    statuses: list[str] = []
    environ = RequestFactory(SERVER_NAME="localhost", **headers).post("/api/v1/token", {}).environ

    def start_response(status: str, headers: Any) -> None:
        statuses.append(status)

    application({**environ, **headers}, start_response)
    return int(statuses[0].split()[0])


@pytest.mark.parametrize("header", CANNOT_BE_DECODED)
def test_a_body_of_a_type_that_cannot_be_read_is_of_none(db: None, header: str) -> None:
    assert status_of(CONTENT_TYPE=header) == 415


@pytest.mark.parametrize("header", CANNOT_BE_DECODED)
def test_a_wish_that_cannot_be_read_is_passed_over(db: None, header: str) -> None:
    usual = {"CONTENT_TYPE": "application/x-www-form-urlencoded"}
    assert status_of(HTTP_ACCEPT=header, **usual) == status_of(**usual) == 400


def test_any_type_is_still_a_wish(db: None) -> None:
    assert status_of(HTTP_ACCEPT="*/*;q=0.5", CONTENT_TYPE="application/x-www-form-urlencoded") == 400
