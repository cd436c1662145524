"""Long polling: a GET waits for news, for whoever says by If-None-Match what it knows (RFC 7240, `Prefer: wait`)."""

import re
import threading
import time
from collections.abc import Callable
from typing import Any

from django.utils.http import parse_etags, quote_etag
from drf_spectacular.utils import OpenApiParameter
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from concordat.canonical import digest

LONGEST = 20
"""Seconds that one call waits, at most."""

PAUSE_SECONDS = 0.25

AT_ONCE = threading.BoundedSemaphore(4)
"""How many calls of one process may wait: half of its threads stay free. Whoever comes then is answered at once."""

PARAMETERS = [
    OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="The ETag of what the caller knows."),
    OpenApiParameter(
        "Prefer",
        str,
        OpenApiParameter.HEADER,
        description=f"`wait=N` (RFC 7240): answer when there is news, or after N seconds ({LONGEST} at most) with 304.",
    ),
]

_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,5})"?\s*(?=$|[,;])', re.IGNORECASE)


def answer(request: Request, look: Callable[[], dict[str, Any]]) -> Response:
    """What `look` finds, with its ETag: at once if that is news to the caller, or when it has become so, or time is up.

    A preference that is not understood, or that cannot be met now, is passed over; `Preference-Applied` says what was.
    """
    known = parse_etags(request.headers.get("If-None-Match", ""))
    seconds = _preferred(request.headers.get("Prefer", ""))
    shown, headers = look(), {}
    if seconds and _tag(shown) in known and AT_ONCE.acquire(blocking=False):
        headers["Preference-Applied"] = f"wait={seconds}"
        try:
            shown = _news(shown, look, seconds)
        finally:
            AT_ONCE.release()
    headers["ETag"] = _tag(shown)
    if headers["ETag"] in known:  # said here: Django's own 304 would leave Preference-Applied out
        return Response(status=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return Response(shown, headers=headers)


def _news(shown: dict[str, Any], look: Callable[[], dict[str, Any]], seconds: int) -> dict[str, Any]:
    until, found = time.monotonic() + seconds, shown
    while found == shown and time.monotonic() < until:
        time.sleep(PAUSE_SECONDS)
        found = look()
    return found


def _preferred(header: str) -> int:
    found = _WAIT.search(header)
    return min(int(found[1]), LONGEST) if found else 0


def _tag(shown: dict[str, Any]) -> str:
    return quote_etag(digest(shown))
