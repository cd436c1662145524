"""Which job stands where, and why: to read, by who may see the study. Nothing here is about a person."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from compute.models import Job, ModelVersion
from governance import selectors as governance
from governance.admin.base import ScopedReadOnly, institutions_of


@admin.register(Job)
class JobAdmin(ScopedReadOnly):
    list_display = ("uuid", "requester", "study", "state", "why", "record", "created")
    list_display_links = ("uuid",)
    list_filter = ("state",)
    fields = (
        *("uuid", "requester", "study", "definition", "model", "state", "why", "record"),
        *("dispatched", "deadline", "created", "updated"),
    )

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        mine = institutions_of(user)
        visible = Q(definition__study__in=governance.visible_studies(mine)) | Q(requester__in=mine)
        return rows.filter(visible).select_related("requester", "definition__study", "model")

    @admin.display
    def study(self, job: Job) -> str:
        return str(job.definition.study)


@admin.register(ModelVersion)
class ModelVersionAdmin(ScopedReadOnly):
    list_display = ("name", "version", "owner", "kind", "imported")
    list_display_links = ("name",)
    fields = ("name", "version", "owner", "kind", "digest", "imported")

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        mine = institutions_of(user)
        return rows.filter(Q(owner__in=mine) | Q(shares__party__in=mine)).select_related("owner").distinct()
