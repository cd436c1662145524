"""The page on which a board reads a study."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from concordat import clock
from concordat.reasons import Reason, Refused
from governance import selectors
from governance.admin import answers
from governance.admin.base import ScopedReadOnly, institutions_of, user_of
from governance.models import Study


@admin.register(Study)
class StudyAdmin(ScopedReadOnly):
    list_display = ("title", "slug", "institution", "state_now", "expires")
    list_display_links = ("title",)
    list_select_related = ("institution",)

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return selectors.visible_studies(institutions_of(user))

    @admin.display(description="State")
    def state_now(self, study: Study) -> str:
        return study.state_at(clock.now())

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The study as a board reads it."""
        study = self.get_object(request, object_id)
        if study is None:
            answers.show(request, Refused(Reason.NOT_FOUND))
            return HttpResponseRedirect(reverse("admin:governance_study_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": study.title,
            "study": study,
            "state": study.state_at(clock.now()),
        }
        user_of(request)
        return TemplateResponse(request, "governance/study.html", context)
