"""Machine sign-in: an assertion in, a token out."""

from typing import ClassVar

from django.http import HttpResponse, QueryDict
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.views import APIView

from api.oauth import build_server
from api.openapi import Problem, Repeated
from api.parsers import Form
from api.views.base import Shape

server = build_server()


class TokenQuestion(Shape):
    grant_type = serializers.CharField(help_text="`client_credentials`.")
    scope = serializers.CharField(help_text="Scopes, separated by spaces.")
    client_assertion_type = serializers.CharField(help_text="`urn:ietf:params:oauth:client-assertion-type:jwt-bearer`.")
    client_assertion = serializers.CharField(
        help_text="A JWT (ES384 or RS384): iss and sub the institution, aud this address, exp within five minutes, jti."
    )


class TokenAnswer(Shape):
    token_type = serializers.CharField(help_text="`Bearer`.")
    access_token = serializers.CharField(help_text="What goes into the Authorization header, behind `Bearer`.")
    expires_in = serializers.IntegerField(help_text="For how many seconds the token is good.")
    scope = serializers.CharField(help_text="Those of the scopes that the institution's roles include.")


class TokenRefusal(Problem):
    """RFC 6749, section 5.2, and the problem details beside it; as `application/json`, which that standard asks for."""

    error = serializers.CharField(help_text="invalid_client, invalid_scope, unsupported_grant_type or invalid_request.")
    error_description = serializers.CharField(required=False, help_text="What is wrong, in a sentence for developers.")


class Token(APIView):
    """The token endpoint of RFC 6749; its refusals carry that standard's `error` beside the problem details."""

    authentication_classes = ()
    permission_classes = ()
    limited: ClassVar = {"POST": "token"}
    repeated: ClassVar = Repeated.ONCE
    parser_classes = (Form,)
    http_method_names = ("post",)

    @extend_schema(request=TokenQuestion, responses={200: TokenAnswer, 400: TokenRefusal, 401: TokenRefusal})
    def post(self, request: Request) -> HttpResponse:
        if not isinstance(request.data, QueryDict):  # nothing was sent, and not as a form
            raise UnsupportedMediaType(request.content_type)
        return server.create_token_response(request._request)
