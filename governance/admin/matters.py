"""Legal matters: the list, a matter's page with its access log, and what administrators and reviewers do there."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_GET, require_POST

from concordat import clock
from concordat.matters import ASSURANCES, GROUNDS, PARTS
from concordat.reasons import Reason, Refused
from concordat.verifier.paper import numbered
from governance import links, matters
from governance.admin import answers
from governance.admin.base import user_of
from governance.admin.matter_forms import Choosing, Giving, Marking, Naming, Opening, Prolonging
from governance.models import Matter, Production
from governance.services import challenges, grants, privilege, productions
from governance.services import matters as services
from governance.states import MatterState

_READINGS = 50


def urls(wrap: Callable[..., Any]) -> list[URLPattern]:
    """Their addresses; `wrap` lets in who has passed both factors."""
    return [
        path("matters/", wrap(overview), name="matters"),
        path("matters/open/", wrap(opening), name="matter_open"),
        path("matters/<uuid:matter>/", wrap(page), name="matter"),
        path("matters/<uuid:matter>/produce/", wrap(produce), name="matter_produce"),
        path("matters/<uuid:matter>/productions/<int:number>/", wrap(download), name="matter_production"),
        path("matters/<uuid:matter>/<slug:verb>/", wrap(act), name="matter_do"),
    ]


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """The matters that this person administers or works in."""
    by, now = user_of(request), clock.now()
    rows = [(each, each.state_at(now), each.decisions.count()) for each in matters.visible(by, now)]
    return _show(request, "matters.html", "Legal matters", rows=rows, may_open=matters.managed(by).exists())


def opening(request: HttpRequest) -> HttpResponse:
    """The form that opens a matter."""
    by = user_of(request)
    form = Opening(request.POST or None, at=matters.managed(by))
    if request.method == "POST" and form.is_valid():
        try:
            matter = services.open_matter(by=by, **form.cleaned_data)
        except Refused as refused:
            _put(request, form, refused)
        else:
            answers.done(request, "Opened. Nobody reads in it until you give a grant.")
            return HttpResponseRedirect(links.of_matter(matter))
    if not matters.managed(by).exists():
        answers.show(request, Refused(Reason.ROLE_MISSING))
        return HttpResponseRedirect(reverse("admin:matters"))
    return _show(request, "matter_open.html", "Open a matter", form=form)


@require_GET
def page(request: HttpRequest, matter: UUID) -> HttpResponse:
    """A matter: authority, scope, grants, privilege, productions, access log."""
    try:
        found = matters.seen(user_of(request), matter, clock.now())
    except Refused as refused:
        return _elsewhere(request, refused)
    return _page(request, found)


@require_POST
def act(request: HttpRequest, matter: UUID, verb: str) -> HttpResponse:
    """Do what one of the page's forms asks for; one that is not filled in rightly is shown again, with its errors."""
    by = user_of(request)
    try:
        found = matters.seen(by, matter, clock.now())
    except Refused as refused:
        return _elsewhere(request, refused)
    form = _forms(request, found, verb).get(verb)
    if form is not None and not form.is_valid():
        return _page(request, found, {verb: form})
    said = form.cleaned_data if form is not None else {}
    verbs: dict[str, tuple[Callable[[], object], str]] = {
        "name": (lambda: services.name_decision(by=by, matter=found, **said), "Named."),
        "prolong": (lambda: services.prolong(by=by, matter=found, **said), "The matter's end was moved."),
        "close": (lambda: services.close(by=by, matter=found), "Closed. Nobody reads in it any more."),
        "grant": (lambda: grants.give(by=by, matter=found, **said), "Given. The reviewer is told."),
        "end-grant": (lambda: grants.end(by=by, grant=request.POST.get("grant", "")), "The grant has ended."),
        "mark": (lambda: privilege.mark(by=by, matter=found, **said), "Marked. It is withheld from now on."),
        "withdraw": (
            lambda: privilege.withdraw(by=by, matter=found, mark=request.POST.get("mark", "")),
            "The mark was withdrawn.",
        ),
    }
    do, done = verbs.get(verb, (None, ""))
    try:
        if do is None:
            raise Refused(Reason.NOT_FOUND)
        do()
    except Refused as refused:
        if form is not None and _field(form, refused):
            _put(request, form, refused)
            return _page(request, found, {verb: form})
        return _elsewhere(request, refused, found)
    answers.done(request, done)
    return HttpResponseRedirect(links.of_matter(found))


def produce(request: HttpRequest, matter: UUID) -> HttpResponse:
    """Choose what a production opens and redacts, and make it."""
    by, now = user_of(request), clock.now()
    try:
        found = matters.seen(by, matter, now)
        matters.check_works_in(by, found, now)
    except Refused as refused:
        return _elsewhere(request, refused)
    chosen = [Choosing(request.POST or None, matter=found, decision=each) for each in found.decisions.all()]
    valid = [form.is_valid() for form in chosen]  # all of them, so that every error is shown at once
    if request.method == "POST" and all(valid):
        try:
            made = productions.make(
                by=by,
                matter=found,
                choices={f.decision.record: f.redactions for f in chosen if f.cleaned_data["include"]},
            )
        except Refused as refused:
            answers.show(request, refused)
        else:
            answers.done(request, f"Production {made.number} is made. Its digest is in the log.")
            return HttpResponseRedirect(links.of_matter(found) + "#productions")
    marked = [(each, PARTS[each.part], GROUNDS[each.ground]) for each in matters.marks(found)]
    return _show(request, "produce.html", "Make a production", matter=found, forms=chosen, marks=marked)


@require_POST
def download(request: HttpRequest, matter: UUID, number: int) -> HttpResponse:
    """The file of a production."""
    by = user_of(request)
    try:
        found = matters.seen(by, matter, clock.now())
        made, content = productions.hand_out(by=by, matter=found, number=number)
    except Refused as refused:
        return _elsewhere(request, refused)
    name = f"{numbered(found.prefix, made.first)}_{numbered(found.prefix, made.last)}.zip"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(content, content_type="application/zip", headers=headers)


def _page(request: HttpRequest, matter: Matter, filled: Mapping[str, forms.Form] | None = None) -> HttpResponse:
    by, now = user_of(request), clock.now()
    works, manages = matters.works_in(by, matter, now), matters.manages(by, matter)
    state = matter.state_at(now)
    readings = Paginator(list(matters.access_log(matter)), _READINGS).get_page(request.GET.get("readings"))
    context = {
        "matter": matter,
        "state": state,
        "is_open": state is MatterState.OPEN,
        "is_closed": state is MatterState.CLOSED,
        "works": works,
        "manages": manages,
        "assurance": ASSURANCES.get(matter.assurance, ""),
        "decisions": matter.decisions.select_related("named_by"),
        "grants": [
            (each, each.live_at(now) and state is MatterState.OPEN)
            for each in matter.grants.select_related("officer", "given_by")
        ],
        "marks": [
            (each, PARTS[each.part], GROUNDS[each.ground]) for each in matter.marks.select_related("decision", "by")
        ],
        "productions": [(each, *_range(matter, each)) for each in matter.productions.select_related("made_by")],
        "readings": readings,
        "forms": {**_forms(request, matter, ""), **(filled or {})},
        "problems": [name for name, form in (filled or {}).items() if form.errors],
    }
    return _show(request, "matter.html", matter.title, **context)


def _forms(request: HttpRequest, matter: Matter, sent: str) -> dict[str, forms.Form]:
    """The page's forms by their verbs; the one that was sent is filled in."""
    data = {sent: request.POST}
    return {
        "name": Naming(data.get("name"), prefix="name"),
        "prolong": Prolonging(data.get("prolong"), prefix="prolong"),
        "grant": Giving(data.get("grant"), prefix="grant", matter=matter, by=challenges.officer_of(user_of(request))),
        "mark": Marking(data.get("mark"), prefix="mark", matter=matter),
    }


def _range(matter: Matter, made: Production) -> tuple[str, str]:
    return numbered(matter.prefix, made.first), numbered(matter.prefix, made.last)


def _put(request: HttpRequest, form: forms.Form, refused: Refused) -> None:
    """A refusal stands beside the field that it names, or above the page."""
    if _field(form, refused):
        form.add_error(_field(form, refused), answers.sentence(refused))
    else:
        answers.show(request, refused)


def _field(form: forms.Form, refused: Refused) -> str:
    """The form's field that a refusal names; a record number stands in `records` or `number`."""
    named = "record" if refused.reason is Reason.RECORD_NUMBER_INVALID else refused.field
    candidates = ("records", "number") if named == "record" else (named,)
    return next((each for each in candidates if each in form.fields), "")


def _elsewhere(request: HttpRequest, refused: Refused, matter: Matter | None = None) -> HttpResponse:
    answers.show(request, refused)
    return HttpResponseRedirect(links.of_matter(matter) if matter else reverse("admin:matters"))


def _show(request: HttpRequest, template: str, title: str, **context: Any) -> HttpResponse:
    whole = {**admin.site.each_context(request), "title": title, **context}
    return TemplateResponse(request, f"governance/{template}", whole)
