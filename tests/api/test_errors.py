"""Every refusal has one shape, whatever raised it, and tells nobody how it came about."""

import io
import json
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, RequestDataTooBig, ValidationError
from django.http import Http404, UnreadablePostError
from django.test import Client, RequestFactory
from rest_framework import exceptions, serializers

from api import errors
from api.errors import RETRY_AFTER, as_refused, problem, problem_response
from concordat import logs
from concordat.reasons import REASONS, Reason, Refused
from tests.api.conftest import Caller

FIELDS = {"type", "title", "status", "detail", "field", "remedy", "instance"}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_becomes_a_problem_of_its_own_status(reason: Reason) -> None:
    response = problem_response(Refused(reason, detail="why", field="what"), {})
    info = REASONS[reason]
    assert set(response.data) == FIELDS
    assert response.data["type"] == f"urn:concordat:reason:{reason}"
    assert (response.data["title"], response.data["remedy"]) == (info.sentence, info.remedy)
    assert (response.data["detail"], response.data["field"]) == ("why", "what")
    assert response.status_code == response.data["status"] == info.status
    assert response.content_type == "application/problem+json"


def test_each_problem_has_its_own_reference() -> None:
    first, second = (problem(Refused(Reason.NOT_FOUND))["instance"] for _ in range(2))
    assert uuid.UUID(first) != uuid.UUID(second)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Http404(), Reason.NOT_FOUND),
        (ObjectDoesNotExist(), Reason.NOT_FOUND),
        (PermissionDenied(), Reason.SCOPE_MISSING),
        (ValidationError("no"), Reason.FIELD_INVALID),
        (RequestDataTooBig(), Reason.TOO_LARGE),
        (UnreadablePostError(), Reason.MALFORMED),
        (exceptions.ParseError(), Reason.MALFORMED),
        (exceptions.NotAuthenticated(), Reason.SIGN_IN_REQUIRED),
        (exceptions.AuthenticationFailed(), Reason.SIGN_IN_REQUIRED),
        (exceptions.PermissionDenied(), Reason.SCOPE_MISSING),
        (exceptions.NotFound(), Reason.NOT_FOUND),
        (exceptions.MethodNotAllowed("PUT"), Reason.METHOD_NOT_ALLOWED),
        (exceptions.UnsupportedMediaType("text/csv"), Reason.MEDIA_TYPE_WRONG),
        (exceptions.NotAcceptable(), Reason.MEDIA_TYPE_WRONG),
        (exceptions.Throttled(), Reason.RATE_LIMITED),
        (KeyError("secret"), Reason.INTERNAL),
    ],
)
def test_exceptions_of_the_frameworks_have_reasons(error: Exception, reason: Reason) -> None:
    assert as_refused(error).reason is reason


def test_what_broke_inside_stays_inside() -> None:
    written = io.StringIO()
    logs.configure(stream=written)
    try:
        raise_for("patient 4711")
    except RuntimeError as error:
        response = problem_response(error, {})
    finally:
        logs.configure()
    assert response.status_code == 500
    assert "4711" not in json.dumps(response.data) + written.getvalue()
    line = json.loads(written.getvalue())
    assert line["error"] == "RuntimeError"
    assert line["reference"] == response.data["instance"]
    assert re.match(r"test_errors\.py:\d+:raise_for < ", line["where"]), "whoever looks for the fault finds the place"


def raise_for(patient: str) -> None:
    raise RuntimeError(patient)


class Inner(serializers.Serializer):
    deep = serializers.IntegerField()


class Outer(serializers.Serializer):
    name = serializers.CharField()
    inner = Inner(required=False)


@pytest.mark.parametrize(
    ("data", "reason", "field"),
    [
        ({}, Reason.FIELD_MISSING, "name"),
        ({"name": ""}, Reason.FIELD_INVALID, "name"),
        ({"name": "n", "inner": {}}, Reason.FIELD_MISSING, "inner.deep"),
        ({"name": "n", "inner": {"deep": "no"}}, Reason.FIELD_INVALID, "inner.deep"),
        ("text", Reason.FIELD_INVALID, ""),
    ],
)
def test_a_bodys_first_bad_field_is_named_by_its_path(data: Any, reason: Reason, field: str) -> None:
    serializer = Outer(data=data)
    with pytest.raises(exceptions.ValidationError) as caught:
        serializer.is_valid(raise_exception=True)
    refused = as_refused(caught.value)
    assert (refused.reason, refused.field) == (reason, field)


@pytest.mark.parametrize("reason", RETRY_AFTER)
def test_what_passes_by_itself_says_when_to_come_back(reason: Reason) -> None:
    assert int(problem_response(Refused(reason), {})["Retry-After"]) > 0


def test_what_does_not_pass_says_nothing_of_coming_back() -> None:
    assert "Retry-After" not in problem_response(Refused(Reason.CONSENT_WITHDRAWN), {})


@pytest.mark.parametrize(
    ("handler", "arguments", "status"),
    [
        (errors.not_found, (Http404(),), 404),
        (errors.bad_request, (RequestDataTooBig(),), 413),
        (errors.bad_request, (ValueError(),), 400),
        (errors.server_error, (), 500),
    ],
)
def test_djangos_own_pages_are_problems_below_api_and_pages_elsewhere(
    handler: Callable[..., Any], arguments: tuple[Exception, ...], status: int
) -> None:
    below = handler(RequestFactory().get("/api/v1/nowhere"), *arguments)
    assert (below.status_code, below["Content-Type"]) == (status, "application/problem+json")
    assert set(json.loads(below.content)) == FIELDS
    assert "html" in handler(RequestFactory().get("/admin/nowhere"), *arguments)["Content-Type"]


class TestBodies:
    """What is read as JSON is read in one way only."""

    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b"nonsense",
            b'{"consent": 0.5}',
            b'{"consent": "a", "consent": "b"}',
            b'{"consent": NaN}',
            b"\xff",
        ],
    )
    def test_what_is_not_one_json_value_is_refused(self, signed_in: Callable[..., Caller], body: bytes) -> None:
        caller = signed_in("long-beach")
        answer = caller.client.post(
            "/api/v1/consents", data=body, content_type="application/json", headers=caller.headers
        )
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:concordat:reason:malformed")

    def test_a_bottomless_body_is_refused(self, signed_in: Callable[..., Caller]) -> None:
        caller = signed_in("long-beach")
        body = b"[" * 100_000
        answer = caller.client.post(
            "/api/v1/consents", data=body, content_type="application/json", headers=caller.headers
        )
        assert answer.status_code == 400

    def test_a_misspelt_field_is_named(self, signed_in: Callable[..., Caller]) -> None:
        answer = signed_in("long-beach").post("consents", {"consent": "x", "purpse": "y"})
        assert (answer.status_code, answer.json()["field"]) == (422, "purpse")

    def test_a_form_is_refused(self, signed_in: Callable[..., Caller]) -> None:
        caller = signed_in("long-beach")
        answer = caller.client.post("/api/v1/consents", data={"consent": "x"}, headers=caller.headers)
        assert (answer.status_code, answer.json()["type"]) == (415, "urn:concordat:reason:media-type-wrong")

    def test_more_than_the_limit_is_refused(self, signed_in: Callable[..., Caller], settings: Any) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
        answer = signed_in("long-beach").post("consents", {"consent": "x" * 1000})
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:concordat:reason:too-large")


@pytest.mark.parametrize("path", ["nowhere", "predictions/not-a-uuid", "definitions/sha256:short"])
def test_an_address_that_does_not_exist_is_a_problem_too(client: Client, path: str) -> None:
    answer = client.get(f"/api/v1/{path}")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert "sha256: and 64 lower-case hexadecimal digits" in answer.json()["detail"]
