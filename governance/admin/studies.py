"""The list of studies, and the page on which an officer decides about one."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from concordat import clock
from concordat.reasons import Reason, Refused
from governance import next_steps, selectors
from governance.admin import answers, drafts, verbs
from governance.admin.base import ScopedReadOnly, institutions_of, user_of
from governance.admin.parts import study as parts
from governance.models import Study, Submission
from governance.services import reading
from governance.states import OPEN, StudyState


class StateFilter(admin.SimpleListFilter):
    """By the state in force, into which an approval lapses by the clock alone."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state.value, state.value) for state in StudyState]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        wanted = self.value()
        return queryset if wanted is None else queryset.filter(Study.in_state(wanted, clock.now()))


@admin.register(Study)
class StudyAdmin(ScopedReadOnly):
    list_display = ("title", "state_now", "waits_for", "until", "institution")
    list_display_links = ("title",)
    list_select_related = ("institution",)
    list_filter = (StateFilter,)

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        pending = Submission.objects.filter(state__in=OPEN).prefetch_related("reviews__board")
        return selectors.visible_studies(institutions_of(user)).prefetch_related(
            Prefetch("submissions", queryset=pending, to_attr="pending")
        )

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup == StateFilter.parameter_name

    @admin.display(description="State")
    def state_now(self, study: Study) -> str:
        return study.state_at(clock.now())

    @admin.display(description="Approved until", ordering="expires")
    def until(self, study: Study) -> str:
        return f"{study.expires:%Y-%m-%d}" if study.expires else ""

    @admin.display(description="Waits for")
    def waits_for(self, study: Study) -> str:
        pending: list[Submission] = study.pending  # type: ignore[attr-defined]
        return next_steps.waits_for(next_steps.situation(study, next(iter(pending), None), clock.now()))

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("draft/", wrap(drafts.edit), name="governance_draft_new"),
            path("<uuid:study>/draft/", wrap(drafts.edit), name="governance_draft"),
            path("draft/upload/", wrap(drafts.upload), name="governance_draft_upload"),
            *(
                path(f"<uuid:study>/{name}/", wrap(view), name=f"governance_{alias}")
                for name, alias, view in verbs.VIEWS
            ),
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The study as an officer decides about it."""
        study = self.get_object(request, object_id)
        if not isinstance(study, Study):
            answers.show(request, Refused(Reason.NOT_FOUND))
            return HttpResponseRedirect(reverse("admin:governance_study_changelist"))
        reading.note(reader=user_of(request), page="study", study=study)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": study.title,
            **parts.context(
                study,
                user_of(request),
                clock.now(),
                page=request.GET.get("timeline", 1),
                everything=request.GET.get("everything") == "yes",
            ),
        }
        return TemplateResponse(request, "governance/study.html", context)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, with a way to a new draft for investigators."""
        begins = drafts.leads(user_of(request)).exists()
        return super().changelist_view(request, {**(extra_context or {}), "begins": begins, "title": "Studies"})

    change_list_template = "governance/studies.html"
