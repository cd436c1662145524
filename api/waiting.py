"""Long polling: a GET waits for news, for whoever says by If-None-Match what it knows (RFC 7240, `Prefer: wait`)."""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

OF_ONE = 2
"""How many of these one institution may have, so that none of them keeps the others from waiting."""

PARAMETERS = [
    OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="The ETag of what the caller knows."),
    OpenApiParameter(
        "Prefer",
        str,
        OpenApiParameter.HEADER,
        description=f"`wait=N` (RFC 7240): answer when there is news, or after N seconds ({LONGEST} at most) with 304.",
    ),
]

_waiting: Counter[str] = Counter()
_counting = threading.Lock()

_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,5})"?\s*(?=$|[,;])', re.IGNORECASE)


def answer(request: Request, look: Callable[[], dict[str, Any]]) -> Response:
    """What `look` finds, with its ETag: at once if that is news to the caller, or when it has become so, or time is up.

    A preference that is not understood, or that cannot be met now, is passed over; `Preference-Applied` says what was.
    """
    known = parse_etags(request.headers.get("If-None-Match", ""))
    seconds = _preferred(request.headers.get("Prefer", ""))
    shown, headers = look(), {}
    if seconds and _tag(shown) in known:
        with _place(request.auth.institution.slug) as there_is_one:
            if there_is_one:
                headers["Preference-Applied"] = f"wait={seconds}"
                shown = _news(shown, look, seconds)
    headers["ETag"] = _tag(shown)
    if headers["ETag"] in known:  # said here: Django's own 304 would leave Preference-Applied out
        return Response(status=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return Response(shown, headers=headers)


@contextmanager
def _place(institution: str) -> Iterator[bool]:
    """Whether there is a place to wait for one of this institution, which has it meanwhile."""
    with _counting:
        free = _waiting[institution] < OF_ONE and AT_ONCE.acquire(blocking=False)
        _waiting[institution] += free
    try:
        yield free
    finally:
        if free:
            with _counting:
                _waiting[institution] -= 1
                AT_ONCE.release()


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
