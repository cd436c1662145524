"""A decision, for whoever reviews it: found by its record number, told in order, handed out in every form."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_GET, require_POST

from concordat import record_number
from concordat.reasons import Refused
from concordat.verifier import report
from concordat.verifier.forms import FORMS
from governance.admin import answers
from governance.admin.base import user_of
from governance.services import dossiers
from governance.services.dossiers import BUNDLE

_FILES = {BUNDLE: "Bundle (zip), to verify"} | {name: form.title for name, form in FORMS.items()}


def urls(wrap: Callable[..., Any]) -> list[URLPattern]:
    """Their addresses; `wrap` lets in who has passed both factors."""
    return [
        path("decisions/", wrap(find), name="decisions"),
        path("decisions/<str:record>/", wrap(page), name="decision"),
        path("decisions/<str:record>/files/", wrap(download), name="decision_file"),
    ]


@require_GET
def find(request: HttpRequest) -> HttpResponse:
    """The form for a record number; a number leads on to its decision."""
    record = request.GET.get("record", "")
    if record:
        try:
            number = record_number.format(record_number.parse(record))
            return HttpResponseRedirect(reverse("admin:decision", args=[number]))
        except Refused as refused:
            answers.show(request, refused)
    context = {**admin.site.each_context(request), "title": "Reconstruct a decision", "record": record}
    return render(request, "governance/decisions.html", context)


@require_GET
def page(request: HttpRequest, record: str) -> HttpResponse:
    """The story and its timeline, verified now. Every look at it is an entry of the log."""
    try:
        found = dossiers.hand_out(by=user_of(request), number=record, matter=request.GET.get("matter", ""))
    except Refused as refused:
        return _refused(request, refused)
    context = {
        **admin.site.each_context(request),
        "title": report.title(found.answer),
        "dossier": found,
        "files": _FILES,
        "body": mark_safe(report.body(found.answer)),  # noqa: S308  (it escapes everything that anybody wrote)
    }
    return render(request, "governance/decision.html", context)


@require_POST
def download(request: HttpRequest, record: str) -> HttpResponse:
    """One form of the very dossier that the page showed."""
    form = request.POST.get("form", "")
    try:
        found = dossiers.hand_out(
            by=user_of(request),
            number=record,
            form=form,
            seen=request.POST.get("seen", ""),
        )
    except Refused as refused:
        return _refused(request, refused)
    written = FORMS.get(form)
    content = written.write(found.answer) if written else found.data
    name = f"{found.number}{written.suffix if written else '.zip'}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(content, content_type=written.media_type if written else "application/zip", headers=headers)


def _refused(request: HttpRequest, refused: Refused) -> HttpResponse:
    answers.show(request, refused)
    return HttpResponseRedirect(reverse("admin:decisions"))
