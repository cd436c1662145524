"""Which job stands where, and why: to read, by who may see the study. Nothing here is about a person."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.template.loader import render_to_string

from compute.models import Job, ModelVersion
from governance import selectors as governance
from governance.admin.base import ScopedReadOnly, entries_naming, institutions_of
from governance.models import ModelRecall


@admin.register(Job)
class JobAdmin(ScopedReadOnly):
    list_display = ("request", "state", "why", "study", "requester", "record", "created")
    list_display_links = ("request",)
    list_filter = ("state",)
    search_fields = ("request_uuid", "uuid")
    search_help_text = "By the request's id, as the command line prints it, or the job's own."
    fields = (
        *("request", "job", "requester", "study", "definition", "model", "recalled", "state", "computed", "why"),
        *("record", "dispatched", "deadline", "created", "updated"),
    )

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        mine = institutions_of(user)
        visible = Q(definition__study__in=governance.visible_studies(mine)) | Q(requester__in=mine)
        return rows.filter(visible).select_related("requester", "definition__study", "model")

    def in_log(self, row: Job) -> str:
        return entries_naming(row.request_uuid)

    @admin.display(description="Request", ordering="request_uuid")
    def request(self, job: Job) -> str:
        return str(job.request_uuid)

    @admin.display
    def job(self, job: Job) -> str:
        return str(job.uuid)

    @admin.display
    def study(self, job: Job) -> str:
        return str(job.definition.study)

    @admin.display(description="Computed so far")
    def computed(self, job: Job) -> str:
        return "{:,} of {:,} rounds".format(*job.progress) if job.progress else "-"

    @admin.display(description="Model recalled")
    def recalled(self, job: Job) -> str:
        return _recalled(job.model)


@admin.register(ModelVersion)
class ModelVersionAdmin(ScopedReadOnly):
    list_display = ("name", "version", "owner", "kind", "imported", "is_recalled")
    list_display_links = ("name",)
    fields = ("name", "version", "owner", "kind", "digest", "imported", "recalled", "card")

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        mine = institutions_of(user)
        recalls = Exists(ModelRecall.objects.filter(model=OuterRef("digest")))
        seen = rows.filter(Q(owner__in=mine) | Q(shares__party__in=mine)).select_related("owner").distinct()
        return seen.annotate(is_recalled=recalls)

    def in_log(self, row: ModelVersion) -> str:
        return entries_naming(row.digest)

    @admin.display(description="Recalled", boolean=True)
    def is_recalled(self, model: Any) -> bool:
        return bool(model.is_recalled)

    @admin.display
    def recalled(self, model: ModelVersion) -> str:
        return _recalled(model)

    @admin.display(description="Model card")
    def card(self, model: ModelVersion) -> str:
        return render_to_string("governance/model_card.html", {"card": governance.card(model.digest)})


def _recalled(model: ModelVersion) -> str:
    """Why, how grave it is, and what its owner advises; a dash without a recall."""
    found = governance.recall(model.digest)
    return f"{found.sentence} The owner's advice: “{found.advice}”" if found else "-"
