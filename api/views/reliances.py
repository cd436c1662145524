"""Reliance agreements of the caller, to read: officers sign them on their site."""

from typing import Any, ClassVar

from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.scopes import Scope
from api.views.base import AFTER, Resource, Shape, listed, paged
from concordat import clock
from governance.models import RelianceAgreement


class RelianceAnswer(Shape):
    agreement = serializers.CharField(help_text="The agreement's UUID.")
    relying = serializers.CharField(help_text="The institution that relies on another's board.")
    reviewing = serializers.CharField(help_text="The institution whose board reviews.")
    study = serializers.CharField(help_text="The one study it is for; empty for all.")
    starts = serializers.CharField(help_text="From when it counts (RFC 3339, UTC).")
    ends = serializers.CharField(help_text="Until when it counts (RFC 3339, UTC).")
    agreed = serializers.CharField(help_text="When the second officer signed; empty before.")
    ended = serializers.CharField(help_text="When it was ended early; empty otherwise.")


class Reliances(Resource):
    """The agreements in which the institution relies on another's board, or another on its own (45 CFR 46.114)."""

    scopes: ClassVar = {"GET": Scope.STUDIES_READ}

    @extend_schema(operation_id="reliances_list", parameters=[AFTER], responses=paged(RelianceAnswer))
    def get(self, request: Request) -> Response:
        own = RelianceAgreement.objects.filter(Q(relying=self.caller) | Q(reviewing=self.caller))
        return Response(listed(request, own.select_related("relying", "reviewing"), _shown, key="uuid"))


def _shown(agreement: RelianceAgreement) -> dict[str, Any]:
    return {
        "agreement": str(agreement.uuid),
        "relying": agreement.relying.slug,
        "reviewing": agreement.reviewing.slug,
        "study": agreement.study,
        "starts": clock.rfc3339(agreement.starts),
        "ends": clock.rfc3339(agreement.ends),
        "agreed": clock.rfc3339(agreement.agreed) if agreement.agreed else "",
        "ended": clock.rfc3339(agreement.ended) if agreement.ended else "",
    }
