"""What has happened, to be asked for; and webhooks, which are told of it."""

from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api import conditional
from api.models import Webhook
from api.openapi import WHOLE
from api.scopes import Scope
from api.views.base import AFTER, PAGE, Resource, Shape, body, listed, number, one, paged
from api.webhooks import endpoints
from api.webhooks.audience import TOLD, concerning, time_of, told
from concordat import clock
from ledger.models import LogEntry

LOOKED_AT = 2000
"""Entries of the log in one call."""

EVENTS = sorted(event.value for event in TOLD)


class NewWebhook(Shape):
    url = serializers.CharField(max_length=500, help_text="https, at a public address.")
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=EVENTS), allow_empty=False, help_text="Names of the log's events."
    )


class WebhookChange(Shape):
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=EVENTS),
        allow_empty=False,
        required=False,
        help_text="Names of the log's events, in place of those before.",
    )
    active = serializers.BooleanField(required=False, help_text="False pauses it; true begins anew, from now on.")


class WebhookAnswer(Shape):
    webhook = serializers.CharField(help_text="The webhook's UUID.")
    url = serializers.CharField(help_text="Where its messages go.")
    events = serializers.ListField(
        child=serializers.CharField(), help_text="Names of the log's events that it is told of."
    )
    state = serializers.CharField(help_text="active, paused, or disabled after days on which nothing arrived.")
    created = serializers.CharField(help_text="When it was registered (RFC 3339, UTC).")
    failing_since = serializers.CharField(help_text="The first failure since the last success; empty if none.")
    last_failure = serializers.CharField(help_text="An HTTP status, or a word for what came between; empty if none.")


class HappenedAnswer(Shape):
    type = serializers.CharField(help_text="The log's name for the event; docs/reference/events.md describes it.")
    timestamp = serializers.CharField(help_text="When it was recorded, UTC.")
    index = serializers.IntegerField(help_text="Its place in the log.")
    record = serializers.CharField(help_text="The number under which people know the entry.")
    self = serializers.CharField(help_text="Where the entry is read.")
    institution = serializers.CharField(help_text="A short name, or empty; likewise below.")
    study = serializers.CharField(help_text="Short name of the study, or empty.")
    definition = serializers.CharField(help_text="Digest of the definition, or empty.")
    model = serializers.CharField(help_text="Digest of the model's manifest, or empty.")
    job = serializers.CharField(help_text="A prediction's, an audit's or a training's id.")


class EventsAnswer(Shape):
    items = HappenedAnswer(many=True, help_text="At most 100, in the order of the log.")
    after = serializers.IntegerField(help_text="What `after` is in the next call, now if `more`, else later.")
    more = serializers.BooleanField(help_text="Whether the log goes on behind what was looked at.")


class Events(Resource):
    """What concerns the institution, in the order of the log: the same that webhooks are told. A call looks at so much
    of the log only; it may answer nothing and still say `more`."""

    scopes: ClassVar = {"GET": Scope.WEBHOOKS_READ}

    @extend_schema(
        operation_id="events_list",
        parameters=[
            OpenApiParameter(
                "after",
                WHOLE | {"minimum": -1},
                required=True,
                description="Index in the log; -1 from its beginning on.",
            )
        ],
        responses=EventsAnswer,
    )
    def get(self, request: Request) -> Response:
        after = -1 if request.query_params.get("after") == "-1" else number(request, "after")
        behind = LogEntry.objects.filter(index__gt=after, index__lte=after + LOOKED_AT)
        looked_at = behind.order_by("-index").values_list("index", flat=True).first()
        if looked_at is None:
            return Response({"items": [], "after": after, "more": False})
        found = concerning(self.caller, behind.filter(event__in=EVENTS, index__lte=looked_at))
        if len(found) > PAGE:
            found, looked_at = found[:PAGE], found[PAGE - 1].index
        items = [{"type": entry.event, "timestamp": time_of(entry), **told(entry)} for entry in found]
        more = LogEntry.objects.filter(index__gt=looked_at).exists()
        return Response({"items": items, "after": looked_at, "more": more})


class Webhooks(Resource):
    """The institution's own webhooks. Messages are signed by the coordinator's identity key (Standard Webhooks)."""

    scopes: ClassVar = {"GET": Scope.WEBHOOKS_READ, "POST": Scope.WEBHOOKS_WRITE}

    @extend_schema(operation_id="webhooks_list", parameters=[AFTER], responses=paged(WebhookAnswer))
    def get(self, request: Request) -> Response:
        return Response(listed(request, Webhook.objects.filter(institution=self.caller), _shown, key="uuid"))

    @extend_schema(request=NewWebhook, parameters=[conditional.ETAG], responses={201: WebhookAnswer})
    def post(self, request: Request) -> Response:
        """Register an address. The same again is answered with the same webhook."""
        shown = _shown(endpoints.register(institution=self.caller, **body(request, NewWebhook)))
        return Response(shown, status=status.HTTP_201_CREATED, headers={"ETag": conditional.tag(shown)})


class OneWebhook(Resource):
    """One of the institution's own webhooks, and how it does."""

    http_method_names = ("get", "patch", "delete")
    scopes: ClassVar = {
        "GET": Scope.WEBHOOKS_READ,
        "PATCH": Scope.WEBHOOKS_WRITE,
        "DELETE": Scope.WEBHOOKS_WRITE,
    }

    @extend_schema(parameters=[conditional.ETAG], responses=WebhookAnswer)
    def get(self, request: Request, webhook: UUID) -> Response:
        shown = _shown(one(Webhook.objects.filter(institution=self.caller), uuid=webhook))
        return Response(shown, headers={"ETag": conditional.tag(shown)})

    @extend_schema(
        request=WebhookChange, parameters=[conditional.IF_MATCH, conditional.ETAG], responses={200: WebhookAnswer}
    )
    @transaction.atomic
    def patch(self, request: Request, webhook: UUID) -> Response:
        """Change what it is told of, pause it, or begin anew."""
        found = self._locked(request, webhook)
        given = body(request, WebhookChange)
        shown = _shown(endpoints.change(found, events=given.get("events"), active=given.get("active")))
        return Response(shown, headers={"ETag": conditional.tag(shown)})

    @extend_schema(parameters=[conditional.IF_MATCH], responses={204: None})
    @transaction.atomic
    def delete(self, request: Request, webhook: UUID) -> Response:
        """Remove it, and what waits for it."""
        endpoints.remove(self._locked(request, webhook))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _locked(self, request: Request, webhook: UUID) -> Webhook:
        found = one(Webhook.objects.select_for_update().filter(institution=self.caller), uuid=webhook)
        conditional.check(request, _shown(found))
        return found


def _shown(webhook: Webhook) -> dict[str, Any]:
    return {
        "webhook": str(webhook.uuid),
        "url": webhook.url,
        "events": webhook.events,
        "state": webhook.state,
        "created": clock.rfc3339(webhook.created),
        "failing_since": clock.rfc3339(webhook.failing_since) if webhook.failing_since else "",
        "last_failure": webhook.last_failure,
    }
