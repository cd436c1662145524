"""Agreements by which one institution relies on another's board: to read, propose, accept and end."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from concordat import clock
from concordat.reasons import Refused
from governance.admin import answers
from governance.admin.base import ScopedReadOnly, institutions_of, user_of
from governance.models import Institution, RelianceAgreement
from governance.permissions import HOLDERS, Verb
from governance.services import reliance


@admin.register(RelianceAgreement)
class RelianceAdmin(ScopedReadOnly):
    list_display = ("relying", "reviewing", "study", "starts", "ends")
    list_display_links = ("relying",)
    fields = ("relying", "reviewing", "study", "starts", "ends", "agreed", "ended", "digest", "document")

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        mine = institutions_of(user)
        return rows.filter(Q(relying__in=mine) | Q(reviewing__in=mine)).select_related("relying", "reviewing")

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "<uuid:agreement>/end/", self.admin_site.admin_view(require_POST(_end)), name="governance_end_reliance"
        )
        return [own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The agreements of one's institutions, and what one may do with each."""
        if not self.has_view_permission(request):
            return super().changelist_view(request, extra_context)
        speaks_for = set(
            Institution.objects.filter(
                memberships__user=user_of(request), memberships__role__in=HOLDERS[Verb.RELY]
            ).values_list("pk", flat=True)
        )
        found = self.get_queryset(request).prefetch_related("signatures__institution")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Reliance agreements",
            "agreements": [_shown(each, speaks_for) for each in found],
            "speaks_for": Institution.objects.filter(pk__in=speaks_for),
            "institutions": Institution.objects.all(),
        }
        return TemplateResponse(request, "governance/reliance.html", context)


def _shown(agreement: RelianceAgreement, speaks_for: set[int]) -> dict[str, Any]:
    """Whether it is in force, whose signature it waits for, and whether this person may give that or end it."""
    signatures = list(agreement.signatures.all())
    sides = {agreement.relying, agreement.reviewing}
    missing = sides - {each.institution for each in signatures} if not agreement.ended else set()
    over = agreement.ends <= clock.now()
    state = "ended" if agreement.ended else "over" if over else "in force" if agreement.agreed else "proposed"
    return {
        "agreement": agreement,
        "state": state,
        "signatures": signatures,
        "waits_for": sorted(map(str, missing)) if state == "proposed" else [],
        "may_accept": state == "proposed" and any(each.pk in speaks_for for each in missing),
        "may_end": state in ("in force", "proposed") and any(each.pk in speaks_for for each in sides),
    }


def _end(request: HttpRequest, agreement: UUID) -> HttpResponse:
    try:
        reliance.end(agreement=str(agreement), by=user_of(request))
    except Refused as refused:
        answers.show(request, refused)
    else:
        messages.success(
            request, "The agreement has ended. Studies that relied on it stop until another board approves."
        )
    return HttpResponseRedirect(reverse("admin:governance_relianceagreement_changelist"))
