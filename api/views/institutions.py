"""Institutions and their public keys."""

from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Q, TextField
from django.db.models.functions import Cast
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.models import AccessToken
from api.scopes import Scope
from api.views.base import AFTER, Resource, Shape, among, body, listed, one, paged
from concordat.enrolment import ROLES
from concordat.reasons import Reason, Refused
from concordat.signatures import peek
from governance.models import Institution, InstitutionKey, KeyChange
from governance.services import institutions


class InstitutionAnswer(Shape):
    institution = serializers.CharField(help_text="The institution's short name.")
    name = serializers.CharField(help_text="The institution's full name.")
    jurisdiction = serializers.CharField(help_text="The country whose law it is under (ISO 3166-1, two letters).")
    roles = serializers.ListField(child=serializers.CharField(), help_text="What it is enrolled as.")
    enrolment = serializers.CharField(help_text="The signed enrolment (JWS) with the public keys.")


class RosterStatement(Shape):
    roster = serializers.CharField(help_text="The roster (JWS), signed by the institution's offline key.")


class RosterAnswer(Shape):
    institution = serializers.CharField(help_text="Short name of the institution whose roster it is.")
    version = serializers.IntegerField(help_text="The roster's version.")


class KeyChangeStatement(Shape):
    change = serializers.CharField(help_text="The key change (JWS), signed by the institution's offline key.")


class KeyChangeAnswer(Shape):
    digest = serializers.CharField(help_text="Digest of the signed change.")
    institution = serializers.CharField(help_text="Short name of the institution whose key it is.")
    sequence = serializers.IntegerField(help_text="The number of the change among the institution's own, from 1.")
    kind = serializers.CharField(help_text="Which of its keys: identity, offline, sealing, chain or client.")
    ground = serializers.CharField(help_text="rotation, loss or compromise.")
    change = serializers.CharField(help_text="The signed change (JWS). Believe nothing else that stands here.")


def _with_role(value: str) -> Q:
    return Q(as_text__contains=f'"{among(value, ROLES)}"')


FILTERS = {"role": _with_role}
FILTERED = [OpenApiParameter("role", str, enum=ROLES, description="Only those enrolled as this.")]


class Institutions(Resource):
    """Every enrolled institution."""

    scopes: ClassVar = {"GET": Scope.INSTITUTIONS_READ}

    @extend_schema(operation_id="institutions_list", parameters=[AFTER, *FILTERED], responses=paged(InstitutionAnswer))
    def get(self, request: Request) -> Response:
        rows = Institution.objects.alias(as_text=Cast("roles", TextField()))  # a list, as text alike in both databases
        return Response(listed(request, rows, _shown, key="slug", filters=FILTERS))


class OneInstitution(Resource):
    """One institution. Compare its keys with the institution itself before you pin them."""

    scopes: ClassVar = {"GET": Scope.INSTITUTIONS_READ}

    @extend_schema(responses=InstitutionAnswer)
    def get(self, request: Request, institution: str) -> Response:
        return Response(_shown(one(Institution.objects.all(), slug=institution)))


class KeyChanges(Resource):
    """Every institution's key changes. They count because the pinned offline key signed them, and for no other
    reason."""

    scopes: ClassVar = {"GET": Scope.INSTITUTIONS_READ}

    @extend_schema(operation_id="key_changes_list", parameters=[AFTER], responses=paged(KeyChangeAnswer))
    def get(self, request: Request) -> Response:
        return Response(listed(request, KeyChange.objects.select_related("institution"), _change, key="digest"))


class NewKeyChange(APIView):
    """Hand in a key change. Without sign-in: the document says all by its signature, and whoever must revoke a stolen
    client key has none to sign in with. Limited by address."""

    authentication_classes = ()
    permission_classes = ()
    limited: ClassVar = {"POST": "key-changes"}
    http_method_names = ("post",)

    @extend_schema(request=KeyChangeStatement, responses={201: KeyChangeAnswer})
    @transaction.atomic
    def post(self, request: Request) -> Response:
        token = body(request, KeyChangeStatement)["change"]
        known = KeyChange.objects.filter(statement=token).exists()
        change = institutions.change_key(token=token)
        if change.kind == InstitutionKey.Kind.CLIENT and not known:  # or anybody could end tokens by saying it again
            AccessToken.objects.filter(institution=change.institution).delete()
        return Response(_change(change), status=status.HTTP_201_CREATED)


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
        "enrolment": institution.enrolment,
    }


def _change(change: KeyChange) -> dict[str, Any]:
    return {
        "digest": change.digest,
        "institution": change.institution.slug,
        "sequence": change.sequence,
        "kind": change.kind,
        "ground": change.ground,
        "change": change.statement,
    }
