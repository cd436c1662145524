"""What every answer of the bedside has in common: its headers, how much it reads, and how it says no."""

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
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


class Headers:
    """Puts the headers on every answer, refusals included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def put(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, put)


async def body(request: Request, largest: int) -> bytes:
    """The request's body. Raises Refused(TOO_LARGE) before more than `largest` bytes are read."""
    read, chunks = 0, []
    async for chunk in request.stream():
        read += len(chunk)
        if read > largest:
            raise Refused(Reason.TOO_LARGE)
        chunks.append(chunk)
    return b"".join(chunks)
