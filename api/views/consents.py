"""Consents, which the asking institution signs for the person, and how they end."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api.openapi import SLUG
from api.scopes import Scope
from api.views.base import AFTER, Resource, Shape, body, listed, one, paged, short_name
from concordat import clock
from concordat.reasons import Reason, Refused
from concordat.signatures import peek
from governance.models import Consent, Institution
from governance.services import consent as consents


class ConsentStatement(Shape):
    consent = serializers.CharField(help_text="The signed consent (JWS).")


class WithdrawalStatement(Shape):
    withdrawal = serializers.CharField(help_text="The signed withdrawal (JWS).")


class CapacityStatement(Shape):
    capacity = serializers.CharField(help_text="The signed statement that the person decides for themself (JWS).")


class ConsentAnswer(Shape):
    consent = serializers.CharField(help_text="The consent's UUID.")
    study = serializers.CharField(help_text="Short name of the study.")
    purposes = serializers.ListField(
        child=serializers.CharField(), help_text="The purposes to which the person agreed, by name."
    )
    given = serializers.CharField(help_text="When it was given (RFC 3339, UTC).")
    until = serializers.CharField(help_text="Until when it counts (RFC 3339, UTC).")
    reconsent = serializers.CharField(help_text="When the person decides for themself; empty where no day is known.")
    withdrawn = serializers.CharField(help_text="Empty unless the person has withdrawn.")
    lapsed = serializers.CharField(help_text="Empty unless the person was said to decide for themself.")


FILTERS = {"study": lambda value: Q(study__slug=short_name(value))}
FILTERED = [OpenApiParameter("study", SLUG, description="Only those for the study of this short name.")]


class Consents(Resource):
    """A consent is recorded before anything is computed on the strength of it."""

    scopes: ClassVar = {"GET": Scope.CONSENTS_READ, "POST": Scope.CONSENTS_WRITE}

    @extend_schema(operation_id="consents_list", parameters=[AFTER, *FILTERED], responses=paged(ConsentAnswer))
    def get(self, request: Request) -> Response:
        """The institution's own consents, and where they stand. Nothing here says whose they are."""
        return Response(listed(request, _own(self.caller), _shown, key="uuid", filters=FILTERS))

    @extend_schema(request=ConsentStatement, responses={201: ConsentAnswer})
    def post(self, request: Request) -> Response:
        given = consents.give(institution=self.caller, token=body(request, ConsentStatement)["consent"])
        return Response(_shown(given), status=status.HTTP_201_CREATED)


class OneConsent(Resource):
    """One of the institution's own consents, and where it stands. Nothing here says whose it is."""

    scopes: ClassVar = {"GET": Scope.CONSENTS_READ}

    @extend_schema(responses=ConsentAnswer)
    def get(self, request: Request, consent: UUID) -> Response:
        return Response(_shown(one(_own(self.caller), uuid=consent)))


class Withdrawal(Resource):
    """From now on nothing is computed on the strength of this consent, and what runs is withheld."""

    scopes: ClassVar = {"POST": Scope.CONSENTS_WRITE}

    @extend_schema(request=WithdrawalStatement, responses=ConsentAnswer)
    def post(self, request: Request, consent: UUID) -> Response:
        token = _statement(self.caller, consent, request, WithdrawalStatement, "withdrawal")
        return Response(_shown(consents.withdraw(institution=self.caller, token=token)))


class Capacity(Resource):
    """The person for whom another gave this consent decides for themself from now on; only their own counts."""

    scopes: ClassVar = {"POST": Scope.CONSENTS_WRITE}

    @extend_schema(request=CapacityStatement, responses=ConsentAnswer)
    def post(self, request: Request, consent: UUID) -> Response:
        token = _statement(self.caller, consent, request, CapacityStatement, "capacity")
        return Response(_shown(consents.lapse(institution=self.caller, token=token)))


def _own(caller: Institution) -> QuerySet[Consent]:
    return Consent.objects.filter(institution=caller).select_related("study")


def _statement(caller: Institution, consent: UUID, request: Request, shape: type[Shape], field: str) -> str:
    """The statement in the body, which is about this consent of the caller's own."""
    one(_own(caller), uuid=consent)
    token: str = body(request, shape)[field]
    if peek(token)[1].get("consent") != str(consent):
        raise Refused(Reason.CONFLICT, detail="The statement is about another consent.", field=field)
    return token


def _shown(consent: Consent) -> dict[str, Any]:
    return {
        "consent": str(consent.uuid),
        "study": consent.study.slug,
        "purposes": consent.purposes,
        "given": clock.rfc3339(consent.given),
        "until": clock.rfc3339(consent.until),
        "reconsent": _time(consent.reconsent),
        "withdrawn": _time(consent.withdrawn),
        "lapsed": _time(consent.lapsed),
    }


def _time(moment: datetime | None) -> str:
    return clock.rfc3339(moment) if moment else ""
