"""Reading a request's body in exactly one way."""

from collections.abc import Mapping
from typing import IO, Any

from django.http import QueryDict
from rest_framework.parsers import BaseParser

from concordat import canonical
from concordat.extent import check_extent


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
