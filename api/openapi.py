"""The schema's house rules: how sign-in works, which scope each operation needs, what every refusal looks like."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

from api.scopes import SCOPES

SCHEME = "machine"
PROBLEM_TYPE = "application/problem+json"


class Problem(serializers.Serializer):
    """RFC 9457 problem details."""

    type = serializers.CharField(help_text="urn:concordat:reason:<code>; docs/reference/reasons.md lists the codes.")
    title = serializers.CharField(help_text="The reason's sentence.")
    status = serializers.IntegerField()
    detail = serializers.CharField()
    field = serializers.CharField(help_text="Which field it is about; empty if none.")
    remedy = serializers.CharField(help_text="What to do about it.")
    instance = serializers.CharField(help_text="A reference to quote when asking for help.")


class BearerTokenScheme(OpenApiAuthenticationExtension):
    target_class = "api.authentication.BearerToken"
    name = SCHEME

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        scopes = {scope.value: text for scope, text in SCOPES.items()}
        return {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "/api/v1/token", "scopes": scopes}}}


class ApiSchema(AutoSchema):
    """Names each operation's scope, and problem details as its every other answer."""

    def get_auth(self) -> list[dict[str, list[str]]]:
        scope = getattr(self.view, "scopes", {}).get(self.method)
        return [{SCHEME: [scope.value]}] if scope else []

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        refused = self._get_response_for_code(Problem, "default", media_types=[PROBLEM_TYPE])
        return {**super()._get_response_bodies(direction), "default": refused}
