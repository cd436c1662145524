"""What reopens a decision, sealed to the requester's records key and its escrow: handed in, and asked for later."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api.scopes import Scope
from api.views.base import Resource, Shape, body
from compute import selectors
from compute.models import RecordsPackage
from compute.services import packages


class NewPackage(Shape):
    statement = serializers.CharField(help_text="What the requester signed about the package (JWS).")
    package = serializers.CharField(trim_whitespace=False, help_text="The package: canonical JSON, at most 2 MiB.")


class PackageAnswer(Shape):
    stage = serializers.CharField(help_text="`request` or `result`.")
    package = serializers.CharField(help_text="The package as it was handed in. The coordinator cannot open it.")
    statement = serializers.CharField(help_text="The requester's statement (JWS).")
    entry = serializers.IntegerField(help_text="Index in the log of the entry that names it.")


class PackagesAnswer(Shape):
    packages = PackageAnswer(many=True, help_text="Those that were handed in, of the request and of the result.")


class Packages(Resource):
    """The records packages of one of the institution's own predictions. That they are fetched is recorded."""

    scopes: ClassVar = {"GET": Scope.RECORDS_READ, "POST": Scope.PREDICTIONS_WRITE}
    limited: ClassVar = {"GET": "dossiers"}

    @extend_schema(responses=PackagesAnswer)
    def get(self, request: Request, prediction: UUID) -> Response:
        job = selectors.job_of(self.caller, prediction)
        found = packages.hand_out(job=job, role="requester", ground="own-decision")
        return Response({"packages": [_shown(each) for each in found]})

    @extend_schema(request=NewPackage, responses={201: PackageAnswer})
    def post(self, request: Request, prediction: UUID) -> Response:
        job = selectors.job_of(self.caller, prediction)
        kept = packages.keep(job=job, by=self.caller, **body(request, NewPackage))
        return Response(_shown(kept), status=status.HTTP_201_CREATED)


def _shown(package: RecordsPackage) -> dict[str, Any]:
    return {
        "stage": package.stage,
        "package": package.content,
        "statement": package.statement,
        "entry": package.entry,
    }
