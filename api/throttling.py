"""How often one caller may do what is costly or changes something, or is worth guessing at: counted by the minute, in
the database.

In the database, since several web processes share the count, and since it is there when the broker is not.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from api.models import CallCount
from concordat import clock
from config.addresses import client_address

if TYPE_CHECKING:  # rest_framework.views imports this module
    from rest_framework.views import APIView


WRITES = "writes"
"""What every method that changes something counts towards, unless its view names a limit of its own."""


def limit_of(view: "APIView", method: str) -> str | None:
    """The limit towards which a method counts: the one that the view's `limited` names, or `WRITES`; none of a read."""
    limited: Mapping[str, str] = getattr(view, "limited", {})
    return limited.get(method, None if method in SAFE_METHODS else WRITES)


class ByTheMinute(BaseThrottle):
    """Counts each call towards its limit (:func:`limit_of`); `settings.CALLS_A_MINUTE` says how many there may be."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        name = limit_of(view, request.method or "")
        if name is None:
            return True
        caller = request.auth.institution.slug if request.auth else client_address(request._request)
        minute: datetime = clock.now().replace(second=0, microsecond=0)
        return CallCount.objects.add(name, caller, minute) <= settings.CALLS_A_MINUTE[name]

    def wait(self) -> float:
        """Seconds: by then another minute has begun."""
        return timedelta(minutes=1).total_seconds()
