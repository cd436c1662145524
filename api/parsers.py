"""Reading a request's body in exactly one way."""

import re
from collections.abc import Mapping
from itertools import accumulate
from typing import IO, Any

from django.http import QueryDict
from rest_framework.parsers import BaseParser

from concordat import canonical
from concordat.reasons import Reason, Refused

MOST_VALUES = 300_000
"""In one body, keys of objects and items of lists together: a design of 5,000 rows with 50 columns, and some more."""

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NOT_A_BRACKET = re.compile(rb"[^][{}]++")
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class StrictJSON(BaseParser):
    """JSON without duplicate keys, floats and integers beyond 2^53 - 1, so that what we store is what was signed.

    Raises Refused(MALFORMED), and RequestDataTooBig beyond DATA_UPLOAD_MAX_MEMORY_SIZE.
    """

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        assert parser_context is not None
        data: bytes = parser_context["request"]._request.body
        check_extent(data)
        return canonical.decode(data)


class Form(BaseParser):
    """A form in UTF-8 (RFC 6749, appendix B), whatever character set its header names.

    Raises RequestDataTooBig beyond DATA_UPLOAD_MAX_MEMORY_SIZE, TooManyFieldsSent beyond DATA_UPLOAD_MAX_NUMBER_FIELDS.
    """

    media_type = "application/x-www-form-urlencoded"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> QueryDict:
        assert parser_context is not None
        return QueryDict(parser_context["request"]._request.body, encoding="utf-8")


def check_extent(data: bytes) -> None:
    """Raises Refused for a JSON text that would cost much to read: TOO_LARGE for more than `MOST_VALUES` values,
    MALFORMED for a nesting beyond `canonical.DEEPEST` levels. Looks at commas and brackets only, before anything is
    built: a few megabytes of `[],[],` become some hundred as Python's objects."""
    if _brackets(data) <= canonical.DEEPEST and _values(data) <= MOST_VALUES:
        return
    bare = _STRING.sub(b"", data)
    if _values(bare) > MOST_VALUES:
        raise Refused(Reason.TOO_LARGE, detail=f"A body has at most {MOST_VALUES:,} keys and items of lists.")
    depths = accumulate(map(_STEP.__getitem__, _NOT_A_BRACKET.sub(b"", bare)))
    if max(depths, default=0) > canonical.DEEPEST:
        raise Refused(Reason.MALFORMED, detail=f"A document here is at most {canonical.DEEPEST} levels deep.")


def _brackets(data: bytes) -> int:
    return data.count(b"[") + data.count(b"{")


def _values(data: bytes) -> int:
    """At least as many as there are: each list or object has one more than commas, or none."""
    return data.count(b",") + _brackets(data)
