"""The local web process: hooks for the EHR, pages for the clinician, on loopback and under one name only."""

from typing import Any
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from concordat.bedside.bedside import Bedside
from concordat.bedside.ehr import Ehrs
from concordat.bedside.hooks import Hooks
from concordat.bedside.http import Guard
from concordat.bedside.pages import Pages
from concordat.reasons import Refused

HOST = "127.0.0.1"
PATIENCE = 0.15
"""Seconds that an answer waits for somebody else's write: a hook has half a second."""


def build(bedside: Bedside, ehrs: Ehrs) -> Starlette:
    """The application. A Host header other than the configured address's is refused, whatever a DNS server says."""
    pages = Pages(bedside)

    def refuse(request: Request, error: Refused) -> Response:
        if not request.url.path.startswith("/cds-services"):
            return pages.refusal(request, error)
        return JSONResponse(_problem(error), status_code=error.info.status, media_type="application/problem+json")

    host = urlsplit(bedside.address).hostname or ""
    return Starlette(
        routes=[*Hooks(bedside, ehrs).routes, *pages.routes],
        middleware=[
            Middleware(Guard, refuse=refuse),
            Middleware(TrustedHostMiddleware, allowed_hosts=[host], www_redirect=False),
        ],
        exception_handlers={Refused: refuse},  # type: ignore[dict-item]  # it is called for these only
    )


def serve(bedside: Bedside, *, port: int) -> None:
    """Serve until the process is told to stop. No access log: an address may hold a link's token."""
    uvicorn.run(
        build(bedside, Ehrs(bedside.config, bedside.store)),
        host=HOST,
        port=port,
        access_log=False,
        server_header=False,
        log_level="warning",
        proxy_headers=False,
    )


def _problem(refused: Refused) -> dict[str, Any]:
    """Problem details (RFC 9457)."""
    return {
        "type": f"urn:concordat:reason:{refused.reason}",
        "title": refused.info.sentence,
        "status": refused.info.status,
        "detail": refused.detail,
        "field": refused.field,
    }
