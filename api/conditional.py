"""Changes on a condition (RFC 9110, section 13.1.1): whoever changes something says which state of it they read."""

from typing import Any

from django.utils.http import parse_etags, quote_etag
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from concordat.canonical import digest
from concordat.reasons import Reason, Refused

IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, required=True, description="The ETag of what was read."
)
ETAG = OpenApiParameter("ETag", str, OpenApiParameter.HEADER, response=[200, 201], description="Of what is answered.")


def tag(shown: dict[str, Any]) -> str:
    """The ETag of what is shown."""
    return quote_etag(digest(shown))


def check(request: Request, shown: dict[str, Any]) -> None:
    """Raises Refused: PRECONDITION_MISSING without If-Match, `*` included, which names no state; PRECONDITION_FAILED
    unless it names what is shown now. To be called where nobody else can change it in between."""
    known = parse_etags(request.headers.get("If-Match", ""))
    if not known or known == ["*"]:
        raise Refused(Reason.PRECONDITION_MISSING, field="If-Match")
    if tag(shown) not in known:
        raise Refused(Reason.PRECONDITION_FAILED, field="If-Match")
