"""What all resources have in common."""

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from django.db.models import Model, QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from api.authentication import Client
from api.openapi import ApiSchema
from api.parsers import StrictJSON
from api.scopes import Scope
from concordat.reasons import Reason, Refused
from governance.models import Institution

M = TypeVar("M", bound=Model)


class Shape(serializers.Serializer):
    """The fields of a body or an answer. Shape only: what the fields mean is the services' business."""

    def to_internal_value(self, data: Any) -> Any:
        """Raises Refused(FIELD_UNKNOWN): a misspelt field is never silently left out."""
        if isinstance(data, Mapping) and (unknown := sorted(set(data) - set(self.fields))):
            raise Refused(Reason.FIELD_UNKNOWN, field=unknown[0])
        return super().to_internal_value(data)


class Resource(APIView):
    """One address. `scopes` says which scope each method needs; a method that is not in it is closed."""

    scopes: ClassVar[Mapping[str, Scope]]
    parser_classes = (StrictJSON,)
    http_method_names = ("get", "post")
    schema = ApiSchema()

    @property
    def caller(self) -> Institution:
        """The institution whose token came with the request."""
        client: Client = self.request.auth
        return client.institution


def body(request: Request, shape: type[Shape]) -> dict[str, Any]:
    """The request's body in this shape. Raises DRF's ValidationError, which names the field."""
    serializer = shape(data=request.data)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


def one(rows: QuerySet[M], **lookup: Any) -> M:
    """The row, or Refused(NOT_FOUND): what is not there and what is another institution's look the same."""
    row = rows.filter(**lookup).first()
    if row is None:
        raise Refused(Reason.NOT_FOUND)
    return row
