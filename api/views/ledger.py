"""The log and its proofs. Nothing in it is about a person, so every institution may read all of it."""

from typing import ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.scopes import Scope
from api.views.base import Resource, Shape, number
from concordat import clock
from concordat.canonical import b64
from ledger import selectors, witnesses


class CheckpointAnswer(Shape):
    size = serializers.IntegerField()
    note = serializers.CharField(help_text="The signed head of the log with its cosignatures (C2SP tlog-checkpoint).")
    time = serializers.CharField()
    cosigned = serializers.ListField(child=serializers.CharField(), help_text="The witnesses that have cosigned it.")
    witnesses = serializers.ListField(child=serializers.CharField(), help_text="All witnesses of this head.")
    needed = serializers.IntegerField(help_text="How many cosignatures are enough.")


class EntryAnswer(Shape):
    index = serializers.IntegerField()
    record = serializers.CharField(help_text="The number under which people know the entry.")
    leaf = serializers.CharField(help_text="The exact bytes that were hashed into the log (base64url).")
    status = serializers.CharField(help_text="logged, published, queued, sent, mined or final.")


class ProofAnswer(Shape):
    proof = serializers.ListField(child=serializers.CharField(), help_text="RFC 9162 hashes (base64url).")


class Checkpoint(Resource):
    """The latest signed head of the log."""

    scopes: ClassVar = {"GET": Scope.LEDGER_READ}

    @extend_schema(responses=CheckpointAnswer)
    def get(self, request: Request) -> Response:
        latest = selectors.published_head()
        found = witnesses.witnessed(latest)
        return Response(
            {
                "size": latest.size,
                "note": witnesses.note(latest),
                "time": clock.rfc3339(latest.time),
                "cosigned": found.cosigned,
                "witnesses": found.of,
                "needed": found.needed,
            }
        )


class Entry(Resource):
    """One entry, and how far it has come on its way to the chain."""

    scopes: ClassVar = {"GET": Scope.LEDGER_READ}

    @extend_schema(responses=EntryAnswer)
    def get(self, request: Request, index: int) -> Response:
        entry = selectors.entry(index)
        return Response(
            {
                "index": entry.index,
                "record": entry.record_number,
                "leaf": b64(bytes(entry.leaf)),
                "status": selectors.status(index),
            }
        )


class Inclusion(Resource):
    """The proof that an entry is in the tree of a size."""

    scopes: ClassVar = {"GET": Scope.LEDGER_READ}

    @extend_schema(
        parameters=[OpenApiParameter("index", int, required=True), OpenApiParameter("size", int, required=True)],
        responses=ProofAnswer,
    )
    def get(self, request: Request) -> Response:
        return _proof(selectors.inclusion(number(request, "index"), number(request, "size")))


class Consistency(Resource):
    """The proof that the tree of one size begins with the tree of a smaller one."""

    scopes: ClassVar = {"GET": Scope.LEDGER_READ}

    @extend_schema(
        parameters=[OpenApiParameter("first", int, required=True), OpenApiParameter("second", int, required=True)],
        responses=ProofAnswer,
    )
    def get(self, request: Request) -> Response:
        return _proof(selectors.consistency(number(request, "first"), number(request, "second")))


def _proof(hashes: list[bytes]) -> Response:
    return Response({"proof": [b64(each) for each in hashes]})
