"""What a node needs in order to witness the log, and what it signs. Any witness protocol beside this one is its own."""

from typing import ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api.openapi import WHOLE
from api.scopes import Scope
from api.views.base import Resource, Shape, body, number
from concordat import clock
from ledger.services import cosign


class WitnessCall(Shape):
    call = serializers.CharField(help_text="The body of an add-checkpoint call (C2SP tlog-witness).")


class Signed(Shape):
    size = serializers.IntegerField(min_value=1, help_text="How many entries the head covers.")
    cosignature = serializers.CharField(trim_whitespace=False, help_text="Signature lines (C2SP tlog-cosignature).")


class Kept(Shape):
    size = serializers.IntegerField(help_text="How many entries the head covers.")
    witness = serializers.CharField(help_text="Short name of the institution whose node cosigned it.")
    time = serializers.CharField(help_text="The time in the cosignature that is kept.")


class WitnessCheckpoint(Resource):
    """The log's latest head, with the proof that it extends the one that the calling node cosigned last."""

    scopes: ClassVar = {"GET": Scope.NODE}

    @extend_schema(
        parameters=[OpenApiParameter("old", WHOLE, required=True, description="0 if it never cosigned one.")],
        responses=WitnessCall,
    )
    def get(self, request: Request) -> Response:
        return Response({"call": cosign.call(number(request, "old"))})


class NewCosignature(Resource):
    """The calling node's cosignature of a head."""

    scopes: ClassVar = {"POST": Scope.NODE}

    @extend_schema(operation_id="node_cosignature", request=Signed, responses={201: Kept})
    def post(self, request: Request) -> Response:
        said = body(request, Signed)
        kept = cosign.take(size=said["size"], lines=said["cosignature"], by=self.caller.slug)
        answer = {"size": kept.checkpoint_id, "witness": kept.witness, "time": clock.rfc3339(kept.time)}
        return Response(answer, status=status.HTTP_201_CREATED)
