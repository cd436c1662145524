"""Reading a request's body in exactly one way."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from concordat import canonical


class StrictJSON(BaseParser):
    """JSON without duplicate keys, floats and integers beyond 2^53 - 1, so that what we store is what was signed.

    Raises Refused(MALFORMED), and RequestDataTooBig beyond DATA_UPLOAD_MAX_MEMORY_SIZE.
    """

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        assert parser_context is not None
        return canonical.decode(parser_context["request"]._request.body)
