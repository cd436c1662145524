"""Institutions and their public keys."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api.scopes import Scope
from api.views.base import AFTER, Resource, Shape, body, listed, one, paged
from concordat.reasons import Reason, Refused
from concordat.signatures import peek
from governance.models import Institution
from governance.services import institutions


class InstitutionAnswer(Shape):
    institution = serializers.CharField()
    name = serializers.CharField()
    jurisdiction = serializers.CharField()
    roles = serializers.ListField(child=serializers.CharField())
    reviewing_board = serializers.CharField(help_text="The institution whose board reviews for this one.")
    enrolment = serializers.CharField(help_text="The signed enrolment (JWS) with the public keys.")


class RosterStatement(Shape):
    roster = serializers.CharField(help_text="The roster (JWS), signed by the institution's offline key.")


class RosterAnswer(Shape):
    institution = serializers.CharField()
    version = serializers.IntegerField()


class Institutions(Resource):
    """Every enrolled institution."""

    scopes: ClassVar = {"GET": Scope.INSTITUTIONS_READ}

    @extend_schema(operation_id="institutions_list", parameters=[AFTER], responses=paged(InstitutionAnswer))
    def get(self, request: Request) -> Response:
        return Response(listed(request, Institution.objects.select_related("reviewing_board"), _shown, key="slug"))


class OneInstitution(Resource):
    """One institution. Compare its keys with the institution itself before you pin them."""

    scopes: ClassVar = {"GET": Scope.INSTITUTIONS_READ}

    @extend_schema(responses=InstitutionAnswer)
    def get(self, request: Request, institution: str) -> Response:
        return Response(_shown(one(Institution.objects.select_related("reviewing_board"), slug=institution)))


class Rosters(Resource):
    """Which officers' passkeys count. Published by the institution itself, for itself."""

    scopes: ClassVar = {"POST": Scope.INSTITUTIONS_WRITE}

    @extend_schema(request=RosterStatement, responses={201: RosterAnswer})
    def post(self, request: Request) -> Response:
        token = body(request, RosterStatement)["roster"]
        if peek(token)[1].get("institution") != self.caller.slug:
            raise Refused(Reason.WRONG_INSTITUTION, field="roster")
        roster = institutions.publish_roster(token=token)
        answer = {"institution": self.caller.slug, "version": roster.version}
        return Response(answer, status=status.HTTP_201_CREATED)


def _shown(institution: Institution) -> dict[str, Any]:
    return {
        "institution": institution.slug,
        "name": institution.name,
        "jurisdiction": institution.jurisdiction,
        "roles": institution.roles,
        "reviewing_board": institution.board.slug,
        "enrolment": institution.enrolment,
    }
