"""What officers put beside a study's protocol: attachments, incidents, comments. Each answers with the study's page."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET, require_POST

from concordat.reasons import Reason, Refused
from governance import selectors
from governance.admin import answers
from governance.admin.base import user_of
from governance.models import Study
from governance.services import attachments, comments, incidents

_PART = "studies/<uuid:study>/"


def urls(wrap: Callable[..., Any]) -> list[URLPattern]:
    """Their addresses; `wrap` lets in who has passed both factors."""
    return [
        path(_PART + "attachments/", wrap(attach), name="governance_attach"),
        path(_PART + "attachments/<uuid:attachment>/", wrap(download), name="governance_attachment"),
        path(_PART + "incidents/", wrap(report), name="governance_incident"),
        path(_PART + "incidents/<uuid:incident>/steps/", wrap(step), name="governance_incident_step"),
        path(_PART + "comments/", wrap(comment), name="governance_comment"),
    ]


def _deed(part: str) -> Callable[[Callable[..., str]], Callable[..., HttpResponse]]:
    """A view from a form to a sentence that says what was done, shown on the study's page."""

    def decorate(view: Callable[..., str]) -> Callable[..., HttpResponse]:
        @require_POST
        def answer(request: HttpRequest, study: UUID, **named: Any) -> HttpResponse:
            try:
                seen = selectors.seen_study(user_of(request), str(study))
            except Refused as refused:
                answers.show(request, refused)
                return HttpResponseRedirect(reverse("admin:governance_study_changelist"))
            try:
                messages.success(request, view(request, seen, **named))
            except Refused as refused:
                answers.show(request, refused)
            return HttpResponseRedirect(_page(seen, part))

        return answer

    return decorate


@_deed("attachments")
def attach(request: HttpRequest, study: Study) -> str:
    file = request.FILES.get("file")
    if file is None:
        raise Refused(Reason.FIELD_MISSING, detail="Choose a file.", field="file")
    added = attachments.add(
        by=user_of(request),
        study=study,
        kind=request.POST.get("kind", ""),
        institution=request.POST.get("institution", ""),
        name=file.name or "",
        media_type=file.content_type or "",
        content=file.read(settings.ATTACHMENT_BYTES + 1),  # one more than may be, and it is refused
        expires=_last_day(request.POST.get("expires", "")),
    )
    return f"Attached: {added}."


@require_GET
def download(request: HttpRequest, study: UUID, attachment: UUID) -> HttpResponse:
    """The file, to be kept and not to be shown here: whatever is in it does nothing on this site."""
    try:
        found = attachments.read(by=user_of(request), study=str(study), attachment=str(attachment))
    except Refused as refused:
        answers.show(request, refused)
        return HttpResponseRedirect(reverse("admin:governance_study_changelist"))
    headers = {
        "Content-Disposition": content_disposition_header(True, found.name) or "attachment",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(bytes(found.content), content_type=found.media_type, headers=headers)


@_deed("incidents")
def report(request: HttpRequest, study: Study) -> str:
    incident = incidents.report(
        by=user_of(request),
        study=study,
        institution=selectors.institution(request.POST.get("institution", "")),
        kind=request.POST.get("kind", ""),
        discovered=_minute(request.POST.get("discovered", "")),
        summary=request.POST.get("summary", ""),
    )
    return f"Reported. Those who must know are told by {incident.due:%Y-%m-%d %H:%M} UTC."


@_deed("incidents")
def step(request: HttpRequest, study: Study, incident: UUID) -> str:
    found = study.incidents.filter(uuid=incident).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="The study has no such incident.", field="incident")
    taken = incidents.step(
        by=user_of(request), incident=found, to=request.POST.get("to", ""), text=request.POST.get("text", "")
    )
    return f"Recorded{', late' if taken.late else ''}: the incident is {taken.to}."


@_deed("comments")
def comment(request: HttpRequest, study: Study) -> str:
    comments.write(
        by=user_of(request),
        study=study,
        institution=selectors.institution(request.POST.get("institution", "")),
        text=request.POST.get("text", ""),
        internal=request.POST.get("internal") == "on",
    )
    return "Written."


def _page(study: Study, part: str) -> str:
    return f"{reverse('admin:governance_study_change', args=[study.pk])}#{part}"


def _last_day(text: str) -> datetime | None:
    """The end of a day, as a date field sends it; an empty one is no end."""
    return _time(text, "expires").replace(hour=23, minute=59, second=59) if text else None


def _minute(text: str) -> datetime:
    """UTC, as a field for date and time sends it."""
    return _time(text, "discovered")


def _time(text: str, field: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise Refused(Reason.FIELD_INVALID, detail="This is no date.", field=field) from None
