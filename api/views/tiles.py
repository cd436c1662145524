"""The log as third parties' tools read it: C2SP tlog-tiles below one prefix.

The head and the tiles of hashes are public: they show how the log grows and nothing of what is in it, as every leaf
holds a random identifier. The bundles of entries are for institutions: an entry names nobody, but says when an
institution asked, for which study, and when a consent ended.
"""

from typing import Any, ClassVar

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from api.scopes import Scope
from api.views.base import Resource
from concordat.tiles import TilePath
from ledger import selectors, witnesses

NOTE, TILE = "text/plain; charset=utf-8", "application/octet-stream"
_FOR_EVER = "max-age=31536000, immutable"
_PATH = OpenApiParameter("path", str, OpenApiParameter.PATH, description="For example x001/x234/067.p/12.")


class _WhateverIsAccepted(DefaultContentNegotiation):
    """A file has one form. Refusals are JSON, whatever the reader says that it takes."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class LogCheckpoint(APIView):
    """The latest signed head with its witnesses' cosignatures, as a note."""

    content_negotiation_class = _WhateverIsAccepted
    authentication_classes = ()
    permission_classes = ()
    http_method_names = ("get", "head")
    limited: ClassVar = {"GET": "tiles"}

    @extend_schema(operation_id="log_checkpoint", auth=[], responses={(200, NOTE): OpenApiTypes.STR})
    def get(self, request: Request) -> HttpResponse:
        latest = selectors.published_head()
        return HttpResponse(witnesses.note(latest), content_type=NOTE, headers={"Cache-Control": "no-cache"})


class HashTile(APIView):
    """A tile of hashes; its last part may be a width, for a tile that is not full yet."""

    content_negotiation_class = _WhateverIsAccepted
    authentication_classes = ()
    permission_classes = ()
    http_method_names = ("get", "head")
    limited: ClassVar = {"GET": "tiles"}

    @extend_schema(
        operation_id="log_tile",
        auth=[],
        parameters=[OpenApiParameter("level", str, OpenApiParameter.PATH, description="0 to 63."), _PATH],
        responses={(200, TILE): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, level: str, path: str) -> HttpResponse:
        return _tile(f"tile/{level}/{path}", f"public, {_FOR_EVER}")


class EntryBundle(Resource):
    """The entries of a tile, each behind its length in two bytes."""

    content_negotiation_class = _WhateverIsAccepted
    scopes: ClassVar = {"GET": Scope.LEDGER_READ}

    @extend_schema(operation_id="log_entries", parameters=[_PATH], responses={(200, TILE): OpenApiTypes.BINARY})
    def get(self, request: Request, path: str) -> HttpResponse:
        return _tile(f"tile/entries/{path}", f"private, {_FOR_EVER}")


def _tile(path: str, caching: str) -> HttpResponse:
    content = selectors.tile(TilePath.parse(path))
    return HttpResponse(content, content_type=TILE, headers={"Cache-Control": caching})
