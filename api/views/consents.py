"""Consents, which the asking institution signs for the person, and their withdrawal."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api.scopes import Scope
from api.views.base import Resource, Shape, body, one
from concordat import clock
from concordat.reasons import Reason, Refused
from concordat.signatures import peek
from governance.models import Consent
from governance.services import consent as consents


class ConsentStatement(Shape):
    consent = serializers.CharField(help_text="The signed consent (JWS).")


class WithdrawalStatement(Shape):
    withdrawal = serializers.CharField(help_text="The signed withdrawal (JWS).")


class ConsentAnswer(Shape):
    consent = serializers.CharField()
    study = serializers.CharField()
    purposes = serializers.ListField(child=serializers.CharField())
    until = serializers.CharField()
    withdrawn = serializers.CharField(help_text="Empty while it stands.")


class Consents(Resource):
    """A consent is recorded before anything is computed on the strength of it."""

    scopes: ClassVar = {"POST": Scope.CONSENTS_WRITE}

    @extend_schema(request=ConsentStatement, responses={201: ConsentAnswer})
    def post(self, request: Request) -> Response:
        given = consents.give(institution=self.caller, token=body(request, ConsentStatement)["consent"])
        return Response(_shown(given), status=status.HTTP_201_CREATED)


class Withdrawal(Resource):
    """From now on nothing is computed on the strength of this consent, and what runs is withheld."""

    scopes: ClassVar = {"POST": Scope.CONSENTS_WRITE}

    @extend_schema(request=WithdrawalStatement, responses=ConsentAnswer)
    def post(self, request: Request, consent: UUID) -> Response:
        one(Consent.objects.filter(institution=self.caller), uuid=consent)
        token = body(request, WithdrawalStatement)["withdrawal"]
        if peek(token)[1].get("consent") != str(consent):
            raise Refused(Reason.CONFLICT, detail="The statement withdraws another consent.", field="withdrawal")
        return Response(_shown(consents.withdraw(institution=self.caller, token=token)))


def _shown(consent: Consent) -> dict[str, Any]:
    return {
        "consent": str(consent.uuid),
        "study": consent.study.slug,
        "purposes": consent.purposes,
        "until": clock.rfc3339(consent.until),
        "withdrawn": clock.rfc3339(consent.withdrawn) if consent.withdrawn else "",
    }
