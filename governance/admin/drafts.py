"""Where an investigator writes a protocol, sees what a new version changes, and submits it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from concordat import canonical, protocol
from concordat.reasons import Reason, Refused
from governance import permissions, selectors
from governance.admin import answers
from governance.admin.base import user_of
from governance.admin.draft_form import Editor
from governance.admin.parts.protocol import differences
from governance.admin.second_step import show
from governance.models import Draft, Institution, Study
from governance.permissions import HOLDERS, Verb
from governance.services import studies

LARGEST = 2**20


def leads(user: User) -> QuerySet[Institution]:
    """For which institutions this person may draft."""
    return Institution.objects.filter(memberships__user=user, memberships__role__in=HOLDERS[Verb.DRAFT]).distinct()


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, study: UUID | None = None) -> HttpResponse:
    """The form: it saves a draft, says what stands in the way of submitting it, and submits it."""
    user = user_of(request)
    try:
        found = selectors.seen_study(user, str(study)) if study else None
        if found:
            permissions.check_may(user, Verb.DRAFT, found.institution)
        elif not leads(user).exists():
            raise Refused(Reason.ROLE_MISSING, detail="Investigators draft protocols.")
    except Refused as refused:
        answers.show(request, refused)
        return redirect("admin:governance_study_changelist")
    content = _kept(found)
    own = [found.institution] if found else list(leads(user))
    editor = Editor(content, own, list(Institution.objects.all()), request.POST or None)
    if request.method == "POST" and editor.valid():
        answer = _act(request, editor, own)
        if answer is not None:
            return answer
        content, found = editor.content(), found or Study.objects.filter(slug=editor.content()["study"]).first()
    before = found.in_force or found.versions.first() if found else None
    context: dict[str, Any] = {
        "study": found,
        "editor": editor,
        "compared_with": before,
        "differences": differences(before.content if before else None, content if before else None),
        "report": request.POST.get("report", ""),
    }
    return show(request, "draft.html", f"Protocol of {found}" if found else "New protocol", **context)


@require_POST
def upload(request: HttpRequest) -> HttpResponse:
    """A protocol as a JSON file becomes the draft of the study that it names."""
    user = user_of(request)
    try:
        file = request.FILES.get("protocol")
        if file is None or (file.size or 0) > LARGEST:
            raise Refused(Reason.FIELD_MISSING, detail="Choose a JSON file of a megabyte at most.", field="protocol")
        document = canonical.decode(file.read())
        if not isinstance(document, dict):
            raise Refused(Reason.MALFORMED, field="protocol")
        institution = selectors.institution(str(document.get("institution", "")))
        draft = studies.save_draft(institution=institution, content=document, by=user)
    except Refused as refused:
        answers.show(request, refused)
        return redirect(request.headers.get("Referer") or "admin:governance_study_changelist")
    messages.success(request, "The file is saved as a draft. Read it once more, then submit it.")
    return redirect("admin:governance_draft", draft.study.uuid)


def _act(request: HttpRequest, editor: Editor, own: list[Institution]) -> HttpResponse | None:
    """Save, and with that button submit; None where the form is shown again with what stands in the way."""
    user, content = user_of(request), editor.content()
    try:
        institution = next(each for each in own if each.slug == content["institution"])
        draft = studies.save_draft(institution=institution, content=content, by=user)
        if "save" in request.POST:
            messages.success(request, "The draft is saved.")
            return redirect("admin:governance_draft", draft.study.uuid)
        protocol.check(content)
        if "submit" in request.POST:
            studies.submit(institution=institution, content=content, by=user, report=request.POST.get("report", ""))
            messages.success(request, "Submitted. The boards of all sites have been told.")
            return redirect("admin:governance_study_change", draft.study.pk)
        messages.success(request, "The draft is saved, and could be submitted as it is.")
    except Refused as refused:
        editor.refuse(refused, f"{answers.sentence(refused)} {refused.info.remedy}")
        messages.error(request, "Not submitted: see what is said below.")
    return None


def _kept(study: Study | None) -> Mapping[str, Any]:
    """The draft; where there is none, the version from which the next one starts."""
    if study is None:
        return {}
    draft = Draft.objects.filter(study=study).first()
    version = study.versions.first()
    return draft.content if draft else version.content if version else {"study": study.slug, "title": study.title}
