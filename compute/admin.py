"""What an operator sees of computation: which job stands where, and why. Nothing about a person, nothing to change."""

from django.contrib import admin
from django.http import HttpRequest

from compute.models import Job, ModelVersion


class ReadOnly(admin.ModelAdmin):
    """A list and a page, without any button."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Job)
class JobAdmin(ReadOnly):
    list_display = ("uuid", "requester", "study", "state", "why", "record", "created", "updated")
    list_filter = ("state", "reason")
    list_select_related = ("requester", "definition__study")
    search_fields = ("uuid",)
    fields = (
        *("uuid", "requester", "study", "definition", "model", "state", "why", "record"),
        *("epoch", "verdict", "dispatched", "deadline", "created", "updated"),
    )

    @admin.display(ordering="definition__study__title")
    def study(self, job: Job) -> str:
        return str(job.definition.study)


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnly):
    list_display = ("name", "version", "owner", "kind", "imported")
    list_filter = ("owner", "kind")
    fields = ("name", "version", "owner", "kind", "digest", "imported")
