"""Every refusal as RFC 9457 problem details, under the reason code that it also has everywhere else.

    {"type": "urn:concordat:reason:consent-withdrawn", "title": "<the reason's sentence>", "status": 403,
     "detail": "…", "field": "consent", "remedy": "…", "instance": "urn:uuid:<reference>"}

`instance` is a random reference: it stands in our log beside the kind of failure, so that somebody who reports it can
be helped without the answer having to say what broke.
"""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import structlog
from django.core.exceptions import (
    ObjectDoesNotExist,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    ValidationError,
)
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from concordat.reasons import REASONS, Reason, Refused

CONTENT_TYPE = "application/problem+json"
API_PREFIX = "/api/"

RETRY_AFTER: dict[Reason, int] = {
    Reason.RESULT_NOT_READY: 1,
    Reason.NODE_BUSY: 5,
    Reason.BROKER_UNAVAILABLE: 10,
    Reason.CHAIN_UNAVAILABLE: 30,
    Reason.RATE_LIMITED: 60,
}
"""Seconds after which the same call may well succeed."""

_BY_EXCEPTION: tuple[tuple[type[BaseException], Reason], ...] = (
    (Http404, Reason.NOT_FOUND),
    (ObjectDoesNotExist, Reason.NOT_FOUND),
    (exceptions.NotFound, Reason.NOT_FOUND),
    (exceptions.ParseError, Reason.MALFORMED),
    (exceptions.NotAuthenticated, Reason.SIGN_IN_REQUIRED),
    (exceptions.AuthenticationFailed, Reason.SIGN_IN_REQUIRED),
    (exceptions.PermissionDenied, Reason.SCOPE_MISSING),
    (PermissionDenied, Reason.SCOPE_MISSING),
    (exceptions.MethodNotAllowed, Reason.METHOD_NOT_ALLOWED),
    (exceptions.UnsupportedMediaType, Reason.MEDIA_TYPE_WRONG),
    (exceptions.NotAcceptable, Reason.MEDIA_TYPE_WRONG),
    (exceptions.Throttled, Reason.RATE_LIMITED),
    (RequestDataTooBig, Reason.TOO_LARGE),
    (TooManyFieldsSent, Reason.TOO_LARGE),
    (SuspiciousOperation, Reason.MALFORMED),
    (UnreadablePostError, Reason.MALFORMED),
)

_NO_ADDRESS = (
    "There is no such address. In one, a digest reads sha256: and 64 lower-case hexadecimal digits, and an identifier "
    "is a UUID in lower case."
)

log = structlog.get_logger(__name__)


def problem_response(error: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's exception handler: whatever was raised, one shape comes out, and no stack trace."""
    refused = as_refused(error)
    body = problem(refused)
    if refused.reason is Reason.INTERNAL:
        log.error("request.failed", reference=body["instance"], exc_info=error)
    set_rollback()
    return Response(body, status=body["status"], headers=_headers(refused), content_type=CONTENT_TYPE)


def problem(refused: Refused) -> dict[str, Any]:
    """The problem details of a refusal, with a fresh reference."""
    info = REASONS[refused.reason]
    return {
        "type": f"urn:concordat:reason:{refused.reason}",
        "title": info.sentence,
        "status": info.status,
        "detail": refused.detail,
        "field": refused.field,
        "remedy": info.remedy,
        "instance": uuid4().urn,
    }


def as_refused(error: Exception) -> Refused:
    """The reason behind an exception of ours, of Django or of the REST framework; INTERNAL for anything else."""
    match error:
        case Refused():
            return error
        case exceptions.ValidationError():
            return _invalid(error.get_full_details())
        case ValidationError():
            return Refused(Reason.FIELD_INVALID, detail=" ".join(error.messages))
    for kind, reason in _BY_EXCEPTION:
        if isinstance(error, kind):
            return Refused(reason)
    return Refused(Reason.INTERNAL)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400: the API answers in problem details, the rest of the site as usual."""
    if not request.path.startswith(API_PREFIX):
        return defaults.bad_request(request, exception)
    refused = as_refused(exception)
    return _json(Refused(Reason.MALFORMED) if refused.reason is Reason.INTERNAL else refused)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    if not request.path.startswith(API_PREFIX):
        return defaults.page_not_found(request, exception)
    return _json(Refused(Reason.NOT_FOUND, detail=_NO_ADDRESS))


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500."""
    if not request.path.startswith(API_PREFIX):
        return defaults.server_error(request)
    return _json(Refused(Reason.INTERNAL))


def _json(refused: Refused) -> JsonResponse:
    body = problem(refused)
    return JsonResponse(body, status=body["status"], content_type=CONTENT_TYPE)


def _headers(refused: Refused) -> dict[str, str]:
    headers = {}
    if refused.info.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="concordat"'
    if refused.reason in RETRY_AFTER:
        headers["Retry-After"] = str(RETRY_AFTER[refused.reason])
    return headers


def _invalid(details: Any, path: str = "") -> Refused:
    """The first field that a serializer complains about, by its dotted path."""
    match details:
        case {"message": str(message), "code": str(code)}:
            reason = Reason.FIELD_MISSING if code == "required" else Reason.FIELD_INVALID
            return Refused(reason, detail=str(message), field=path)
        case dict() if details:
            name, inner = next(iter(details.items()))
            here = path if name == "non_field_errors" else f"{path}.{name}" if path else str(name)
            return _invalid(inner, here)
        case [first, *_]:
            return _invalid(first, path)
    return Refused(Reason.FIELD_INVALID, field=path)
