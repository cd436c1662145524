"""Determinations, to read, and their letters."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from concordat.reasons import Refused
from governance import selectors
from governance.admin import answers
from governance.admin.base import ScopedReadOnly, institutions_of, user_of
from governance.models import Determination
from governance.services import letters


@admin.register(Determination)
class DeterminationAdmin(ScopedReadOnly):
    list_display = ("review", "outcome", "made", "letter")
    list_display_links = ("review",)
    list_select_related = ("review__board",)
    fields = ("review", "outcome", "made", "digest", "letter", "document")
    readonly_fields = ("letter",)

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows.filter(review__submission__study__in=selectors.visible_studies(institutions_of(user)))

    @admin.display(description="Letter")
    def letter(self, determination: Determination) -> str:
        address = reverse("admin:governance_determination_letter", args=[determination.pk])
        return format_html('<a href="{}">Letter (PDF)</a>', address)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(_letter)
        return [path("<int:determination>/letter/", view, name="governance_determination_letter"), *super().get_urls()]


def _letter(request: HttpRequest, determination: int) -> HttpResponse:
    try:
        content = letters.hand_out(by=user_of(request), determination=determination)
    except Refused as refused:
        answers.show(request, refused)
        return HttpResponseRedirect(reverse("admin:index"))
    headers = {"Content-Disposition": f'attachment; filename="determination-{determination}.pdf"'}
    return HttpResponse(content, content_type="application/pdf", headers=headers)
