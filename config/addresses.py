"""From where a request comes."""

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The other end's address. In production a proxy of ours stands in between, and appends whom it saw to the header;
    what stands before that, anybody may have written."""
    direct = str(request.META.get("REMOTE_ADDR", ""))
    if not settings.PRODUCTION:
        return direct
    return str(request.META.get("HTTP_X_FORWARDED_FOR", "")).rpartition(",")[2].strip() or direct
