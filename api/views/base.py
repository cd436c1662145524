"""What all resources have in common."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.http.response import HttpResponseBase
from django.views.decorators.http import conditional_page
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from api.authentication import Client
from api.scopes import Scope
from concordat.fields import Slug, read
from concordat.reasons import Reason, Refused
from governance.models import Institution

M = TypeVar("M", bound=Model)

PAGE = 100
"""How many items a list answers at once."""

AFTER = OpenApiParameter("after", str, description="Go on behind this item: the first field of the last one seen.")


class Shape(serializers.Serializer):
    """The fields of a body or an answer. Shape only: what the fields mean is the services' business."""

    def to_internal_value(self, data: Any) -> Any:
        """Raises Refused(FIELD_UNKNOWN): a misspelt field is never silently left out."""
        if isinstance(data, Mapping) and (unknown := sorted(set(data) - set(self.fields))):
            raise Refused(Reason.FIELD_UNKNOWN, field=unknown[0])
        return super().to_internal_value(data)


class Resource(APIView):
    """One address. `scopes` says which scope each method needs; a method that is not in it is closed.

    What is read has an ETag: whoever sends it back as If-None-Match gets 304 while nothing has changed (RFC 9110).
    """

    scopes: ClassVar[Mapping[str, Scope]]
    http_method_names: tuple[str, ...] = ("get", "post")

    @classmethod
    def as_view(cls, **initial: Any) -> Callable[..., HttpResponseBase]:
        return conditional_page(super().as_view(**initial))

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


def number(request: Request, name: str) -> int:
    """A whole number from the query. Raises Refused: FIELD_MISSING, FIELD_INVALID."""
    text = request.query_params.get(name)
    if text is None:
        raise Refused(Reason.FIELD_MISSING, field=name)
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Refused(Reason.FIELD_INVALID, detail="A whole number is expected.", field=name)
    return int(text)


def day(request: Request, name: str) -> date | None:
    """A day from the query, if it is there. Raises Refused(FIELD_INVALID)."""
    text = request.query_params.get(name)
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date() if text else None
    except ValueError:
        raise Refused(Reason.FIELD_INVALID, detail="A day reads like 2026-01-31.", field=name) from None


def paged(answer: type[Shape]) -> serializers.Serializer:
    """The shape of a list of these."""
    name = answer.__name__.removesuffix("Answer") + "Page"
    items = answer(many=True, help_text=f"At most {PAGE}, the latest first.")
    link = serializers.CharField(help_text="Where the list goes on; empty at its end.")
    return inline_serializer(name, {"items": items, "next": link})


def listed(
    request: Request,
    rows: QuerySet[M],
    show: Callable[[M], dict[str, Any]],
    *,
    key: str,
    filters: Mapping[str, Callable[[str], Q]] = MappingProxyType({}),
) -> dict[str, Any]:
    """A page of rows, the latest first, behind the one that `?after=` names by `key`, the first field of what is shown.

    Args:
        filters: by the name of a query parameter, which rows a value of it means; they refuse what is no value.

    Raises:
        Refused: NOT_FOUND for a name that is not among the rows; FIELD_UNKNOWN for a parameter that the list has not,
            since a misspelt one would widen it; and what a filter refuses.
    """
    check_parameters(request, {"after", *filters})
    asked = request.query_params.dict()
    rows = rows.order_by("-pk")
    if (after := asked.pop("after", None)) is not None:
        with _naming("after"):
            rows = rows.filter(pk__lt=one(rows, **{key: after}).pk)
    rows = rows.filter(*(_meant(filters[name], name, value) for name, value in asked.items()))
    found = list(rows[: PAGE + 1])
    more = {**asked, "after": getattr(found[PAGE - 1], key)} if len(found) > PAGE else {}
    link = f"{request.path}?{urlencode(more)}" if more else ""
    return {"items": [show(row) for row in found[:PAGE]], "next": link}


def check_parameters(request: Request, names: Collection[str]) -> None:
    """Raises Refused(FIELD_UNKNOWN) for a parameter of another name: a misspelt one would widen what is asked for."""
    if unknown := sorted(set(request.query_params) - set(names)):
        raise Refused(Reason.FIELD_UNKNOWN, field=unknown[0])


def among(value: str, values: Sequence[str]) -> str:
    """A filter's value, which must be one of these. Raises Refused(FIELD_INVALID), naming them."""
    if value not in values:
        raise Refused(Reason.FIELD_INVALID, detail=f"One of: {', '.join(values)}.")
    return value


def short_name(value: str) -> str:
    """A filter's value that names a study, an institution or a model. Raises Refused(FIELD_INVALID)."""
    return read(value, Slug)


def _meant(filter_: Callable[[str], Q], name: str, value: str) -> Q:
    with _naming(name):
        return filter_(value)


@contextmanager
def _naming(field: str) -> Iterator[None]:
    """Has a refusal name this field."""
    try:
        yield
    except Refused as refused:
        raise Refused(refused.reason, detail=refused.detail, field=field) from None


def one(rows: QuerySet[M], **lookup: Any) -> M:
    """The row, or Refused(NOT_FOUND): what is not there, what is another institution's and what is no name at all look
    the same."""
    names = [value for value in lookup.values() if isinstance(value, str)]
    row = None
    with suppress(ValidationError):  # of a name that is no UUID
        row = None if any("\0" in name for name in names) else rows.filter(**lookup).first()  # nor could PostgreSQL
    if row is None:
        raise Refused(Reason.NOT_FOUND)
    return row
