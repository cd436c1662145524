"""Searching the log by record number, study, institution, event and period: every member may read all of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_GET

from concordat import clock, record_number
from concordat.events import EVENTS, Event
from concordat.reasons import Refused
from governance import matters, selectors
from governance.admin import answers
from governance.admin.base import institutions_of, user_of
from governance.models import Institution, Membership
from ledger import search
from ledger.models import LogEntry
from ledger.selectors import EntryStatus, statuses

STATES: Mapping[EntryStatus, str] = {
    EntryStatus.LOGGED: "recorded, under no signed head yet",
    EntryStatus.PUBLISHED: "under a signed head, no anchor yet",
    EntryStatus.QUEUED: "its anchor waits to be sent",
    EntryStatus.SENT: "its anchor was sent, and is in no block yet",
    EntryStatus.MINED: "anchored",
    EntryStatus.FINAL: "anchored, final",
}

LABELS: Mapping[str, str] = {
    "record": "Record number",
    "study": "Study",
    "institution": "Institution",
    "event": "Event",
    "since": "From",
    "until": "Until",
    "before": "Where the search goes on",
}


@dataclass(frozen=True)
class Hit:
    """An entry as the page shows it. `link` leads to the decision's page, for whoever may read its dossier."""

    entry: LogEntry
    what: str
    study: str
    institution: str
    state: str
    decision: str
    link: str


def urls(wrap: Callable[..., Any]) -> list[URLPattern]:
    """Its address; `wrap` lets in who has passed both factors."""
    return [path("log/", wrap(page), name="log_search")]


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """The form, and what it found; without anything asked for, the latest entries."""
    user = user_of(request)
    if not Membership.objects.filter(user=user).exists():
        raise PermissionDenied
    given = {name: request.GET.get(name, "").strip() for name in search.FIELDS}
    found, wrong, problem = None, "", ""
    try:
        before = request.GET.get("before", "")
        behind = search.parse_record(before, "before") if before else None
        found = search.search(wanted=search.read(given), before=behind)
    except Refused as refused:
        wrong, problem = refused.field, f"{answers.sentence(refused)} {refused.info.remedy}"
    context = {
        **admin.site.each_context(request),
        "title": "Search the log",
        "given": given,
        "wrong": wrong,
        "problem": problem,
        "label": LABELS.get(wrong, wrong),
        "asked": any(given.values()),
        "studies": selectors.visible_studies(institutions_of(user)).order_by("slug"),
        "institutions": Institution.objects.order_by("name"),
        "events": [(event.value, EVENTS[event].description) for event in Event],
        "found": found,
        "hits": _shown(user, found.entries) if found else [],
        "further": _further(given, found),
        "reach": f"{search.REACH:,}",
    }
    return render(request, "governance/log_search.html", context, status=400 if wrong else 200)


def _further(given: Mapping[str, str], found: search.Found | None) -> str:
    """The address of what is further back."""
    if found is None or found.further is None:
        return ""
    kept = {name: value for name, value in given.items() if value}
    query = urlencode(kept | {"before": record_number.format(found.further)})
    return f"{reverse('admin:log_search')}?{query}"


def _shown(user: User, entries: Iterable[LogEntry]) -> list[Hit]:
    entries = list(entries)
    states = statuses([entry.index for entry in entries])
    decisions = search.decisions(entries)
    slugs = {str(entry.public.get("study", "")) for entry in entries}
    seen = selectors.visible_studies(institutions_of(user)).filter(slug__in=slugs)
    titles = dict(seen.values_list("slug", "title"))
    names = dict(Institution.objects.values_list("slug", "name"))
    led_to = matters.readable(user, decisions.values(), clock.now())
    hits = []
    for entry in entries:
        study, institution = (str(entry.public.get(name, "")) for name in ("study", "institution"))
        decision = decisions.get(entry.index)
        number = decision.record_number if decision else ""
        hits.append(
            Hit(
                entry=entry,
                what=EVENTS[Event(entry.event)].description,
                study=f"{titles[study]} ({study})" if titles.get(study) else study,
                institution=f"{names[institution]} ({institution})" if institution in names else institution,
                state=STATES[states[entry.index]],
                decision=number,
                link=reverse("admin:decision", args=[number]) if decision and decision.index in led_to else "",
            )
        )
    return hits
