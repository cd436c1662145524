"""What every answer of the bedside has in common: its headers, how much it reads, and how it says no."""

import logging
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from concordat.reasons import Reason, Refused

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Nobody else learns an address; without any referrer at all, browsers would not say that a form is our own.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


_LOG = logging.getLogger(__name__)


class Guard:
    """Puts the headers on every answer, refusals included, and answers for what should not have failed by `refuse`.

    Of an unexpected error only the kind is logged: its text and traceback could hold a patient's values.
    """

    def __init__(self, app: ASGIApp, refuse: Callable[[Request, Refused], Response]) -> None:
        self._app, self._refuse = app, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def put(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        try:
            await self._app(scope, receive, put)
        except Exception as error:  # noqa: BLE001  (whatever it is, the server would print it)
            _LOG.error("an unexpected %s", type(error).__name__)
            if scope["type"] == "http":
                await self._refuse(Request(scope), Refused(Reason.INTERNAL))(scope, receive, put)


async def body(request: Request, largest: int) -> bytes:
    """The request's body. Raises Refused(TOO_LARGE) before more than `largest` bytes are read."""
    read, chunks = 0, []
    async for chunk in request.stream():
        read += len(chunk)
        if read > largest:
            raise Refused(Reason.TOO_LARGE)
        chunks.append(chunk)
    return b"".join(chunks)
