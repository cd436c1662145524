"""What officers see of the machine side: whether their institution's systems are told what happens."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet

from api.models import Delivery, Webhook
from governance.admin.base import ScopedReadOnly, institutions_of


@admin.register(Webhook)
class WebhookAdmin(ScopedReadOnly):
    list_display = ("url", "institution", "state", "failing_since", "last_failure", "last_success", "waiting")
    list_display_links = ("url",)
    list_select_related = ("institution",)
    fields = ("institution", "url", "events", "created", *list_display[2:])

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows.filter(institution__in=institutions_of(user))

    @admin.display(description="Waiting messages")
    def waiting(self, webhook: Webhook) -> int:
        return webhook.deliveries.filter(state=Delivery.State.QUEUED).count()
