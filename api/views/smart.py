"""What a client finds out before it signs in: SMART's discovery document, for the part of SMART that is here."""

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.oauth import ClientCredentials, token_url
from api.scopes import Scope
from api.views.base import Shape
from concordat.client_keys import ALGORITHMS


class SmartAnswer(Shape):
    token_endpoint = serializers.URLField(help_text="The address that hands out tokens.")
    grant_types_supported = serializers.ListField(
        child=serializers.CharField(), help_text="The grants of OAuth 2.0 that it takes."
    )
    token_endpoint_auth_methods_supported = serializers.ListField(
        child=serializers.CharField(), help_text="How a client may show who it is."
    )
    token_endpoint_auth_signing_alg_values_supported = serializers.ListField(
        child=serializers.CharField(), help_text="The algorithms with which assertions may be signed."
    )
    scopes_supported = serializers.ListField(
        child=serializers.CharField(), help_text="All there are; which of them an institution gets its roles say."
    )
    capabilities = serializers.ListField(
        child=serializers.CharField(), help_text="The capabilities of SMART App Launch that are here."
    )


class SmartConfiguration(APIView):
    """How to sign in (SMART App Launch 2, section 2.1.4). Backend Services only: nobody is sent to a page to allow
    anything, so that there is no authorization endpoint."""

    authentication_classes = ()
    permission_classes = ()
    limited: ClassVar = {"GET": "tiles"}
    http_method_names = ("get", "head")

    @extend_schema(operation_id="smart_configuration", auth=[], responses=SmartAnswer)
    def get(self, request: Request) -> Response:
        answer = {
            "token_endpoint": token_url(),
            "grant_types_supported": [ClientCredentials.GRANT_TYPE],
            "token_endpoint_auth_methods_supported": list(ClientCredentials.TOKEN_ENDPOINT_AUTH_METHODS),
            "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
            "scopes_supported": [scope.value for scope in Scope],
            "capabilities": ["client-confidential-asymmetric"],
        }
        return Response(answer, headers={"Cache-Control": "public, max-age=300"})
