"""The schema's house rules: how sign-in works, which scope each operation needs, what every refusal looks like."""

from enum import StrEnum
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import get_lib_doc_excludes
from rest_framework import serializers

from api.scopes import SCOPES
from api.throttling import limit_of

SCHEME = "machine"

WHOLE = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
SLUG = {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,62}$"}
DIGEST = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
RECORD = {"type": "string", "pattern": "^C-[0-9]{7,19}-[0-9X]$"}
DAY = {"type": "string", "format": "date"}
"""What parameters of an address look like; a record number also has a check digit."""

PROBLEM_TYPE = "application/problem+json"


class Problem(serializers.Serializer):
    """RFC 9457 problem details."""

    type = serializers.CharField(help_text="`urn:concordat:reason:<code>`; docs/reference/reasons.md lists the codes.")
    title = serializers.CharField(help_text="The reason's sentence.")
    status = serializers.IntegerField(help_text="The HTTP status, once more.")
    detail = serializers.CharField(
        help_text="What is wrong in this case; the reason's sentence where there is no more to say."
    )
    field = serializers.CharField(help_text="Which field it is about; empty if none.")
    remedy = serializers.CharField(help_text="What to do about it.")
    instance = serializers.CharField(help_text="A reference to quote when asking for help.")


class BearerTokenScheme(OpenApiAuthenticationExtension):
    target_class = "api.authentication.BearerToken"
    name = SCHEME

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        scopes = {scope.value: text for scope, text in SCOPES.items()}
        return {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "/api/v1/token", "scopes": scopes}}}


class Repeated(StrEnum):
    """What a POST does that comes twice, since its first answer was lost: said in the schema of every one."""

    SAME = "The same again is answered with the same, and changes nothing."
    KEY = "The same again under the same Idempotency-Key is answered with the same, and changes nothing."
    REFUSED = "The same again is refused with 410, as it is done."
    ONCE = "An assertion serves once: ask again with another."
    ANEW = "Each one counts for itself; sending it again does no harm."


REFUSALS: dict[int, str] = {
    400: "The body, or a name in the address, cannot be read.",
    401: "No token that counts came with it.",
    403: "The token or the institution may not do this, or what was signed does not allow it.",
    404: "It is not there, or another institution's: the two look the same.",
    409: "It contradicts what is recorded, or comes at the wrong time.",
    410: "What it is about was erased.",
    412: "It has changed since the caller read it.",
    413: "The body is larger than is accepted here.",
    415: "The body is of another media type.",
    422: "A field is missing, unknown or wrong; `field` names it.",
    428: "It changes something, and If-Match does not say which state of it.",
    429: "The caller has called too often in this minute.",
    502: "A node has failed, or departed from the protocol: there is no result.",
    503: "Something that it needs cannot be reached now; Retry-After says when to try again.",
    504: "A node has not answered in time.",
}
"""What the refusals of each status have in common; docs/reference/reasons.md lists them."""

OF_NODES = (502, 503, 504)
"""A view that passes on what nodes have done, or not, names these as its `passed_on`."""

_OF_THE_ADDRESS = (400, 404, 409, 410, 422)
_OF_THE_BODY = (400, 404, 409, 410, 413, 415, 422, 503)


def add_refusals(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """drf-spectacular's hook: the answers that operations refer to, once."""
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    result["components"]["responses"] = {
        f"Refused{status}": {"description": text, "content": content} for status, text in REFUSALS.items()
    }
    return result


def close_bodies(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """drf-spectacular's hook: a JSON body has no fields but those that are named, as `api.views.base.Shape` has it. A
    form may have others (RFC 6749, section 3.2)."""
    shapes = result["components"]["schemas"]
    wanted = [
        content.get("application/json", {}).get("schema", {})
        for item in result["paths"].values()
        for operation in item.values()
        for content in [operation.get("requestBody", {}).get("content", {})]
    ]
    while wanted:
        match wanted.pop():
            case {"$ref": str(reference)}:
                shape = shapes[reference.rpartition("/")[2]]
                if shape.get("type") == "object" and "additionalProperties" not in shape:
                    shape["additionalProperties"] = False
                    wanted += shape["properties"].values()
            case {"items": items}:
                wanted.append(items)
            case {"allOf": parts}:
                wanted += parts
    return result


def say_nothing_of() -> list[type]:
    """drf-spectacular's hook: classes whose docstrings describe no shape of their own."""
    from api.views.base import Shape

    return [*get_lib_doc_excludes(), Shape]


class ApiSchema(AutoSchema):
    """Names each operation's scope, and what its refusals look like: those to be expected by their status, and problem
    details as its every other answer."""

    def get_auth(self) -> list[dict[str, list[str]]]:
        scope = getattr(self.view, "scopes", {}).get(self.method)
        return [{SCHEME: [scope.value]}] if scope else []

    def get_description(self) -> str:
        said: str = super().get_description()
        if self.method != "POST":
            return said
        return f"{said}\n\n{getattr(self.view, 'repeated', Repeated.SAME)}"

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        refused = self._get_response_for_code(Problem, "default", media_types=[PROBLEM_TYPE])
        expected = {str(status): {"$ref": f"#/components/responses/Refused{status}"} for status in self._refusals()}
        answers = {**expected, **super()._get_response_bodies(direction), "default": refused}
        return dict(sorted(answers.items()))

    def _refusals(self) -> list[int]:
        statuses = {401, 403} if getattr(self.view, "scopes", {}) else set()
        if self.method in {"POST", "PUT", "PATCH", "DELETE"}:
            statuses.update(_OF_THE_BODY)
            if self.method in {"PATCH", "DELETE"}:
                statuses.update((412, 428))
        elif "{" in self.path or self.get_override_parameters():
            statuses.update(_OF_THE_ADDRESS)
        statuses.update(getattr(self.view, "passed_on", ()))
        if limit_of(self.view, self.method) is not None:
            statuses.add(429)
        return sorted(statuses)
