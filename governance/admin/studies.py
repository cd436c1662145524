"""The page on which a board reads a study and signs its determination, and the buttons that end one."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from concordat import clock, passkeys
from concordat.canonical import b64
from concordat.reasons import Reason, Refused
from governance import permissions, policies, selectors
from governance.admin import answers
from governance.admin.base import ScopedReadOnly, institutions_of, user_of
from governance.models import Institution, Review, Study
from governance.permissions import Verb
from governance.services import challenges, reviews, signing, studies
from ledger import selectors as ledger

SHOWN_ENTRIES = 20


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

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("<uuid:study>/challenge/", wrap(answers.json_view(_challenge)), name="governance_study_challenge"),
            path(
                "<uuid:study>/determination/",
                wrap(answers.json_view(_determination)),
                name="governance_study_determination",
            ),
            path("<uuid:study>/suspend/", wrap(require_POST(_suspend)), name="governance_study_suspend"),
            path("<uuid:study>/close/", wrap(require_POST(_close)), name="governance_study_close"),
        ]
        return own + super().get_urls()

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
            **_page(study, user_of(request)),
        }
        return TemplateResponse(request, "governance/study.html", context)


def _page(study: Study, user: User) -> dict[str, Any]:
    now = clock.now()
    version = study.versions.first()
    boards = version.reviews.select_related("board").prefetch_related("signatures") if version else ()
    definitions = study.definitions.select_related("owner").prefetch_related("votes__institution", "votes__transaction")
    entries = ledger.entries(study=study.slug).order_by("-index")[:SHOWN_ENTRIES]
    return {
        "study": study,
        "state": study.state_at(now),
        "version": version,
        "reviews": boards,
        "definitions": [
            (each, selectors.definition_state(each), selectors.last_votes(each).values()) for each in definitions
        ],
        "entries": [(entry, ledger.status(entry.index)) for entry in entries],
        "determinations": signing.DETERMINATIONS if _may_sign(study, user) else (),
        "self_hosted": settings.CHAIN_SELF_HOSTED,
        "suspends_for": _acting(study, user, Verb.SUSPEND),
        "closes_for": _acting(study, user, Verb.CLOSE).filter(pk=study.institution_id),
    }


def _may_sign(study: Study, user: User) -> bool:
    """Whether to show the form; the service decides again."""
    version = study.versions.first()
    if version is None or not policies.state_allows(study, Verb.DETERMINE, clock.now()):
        return False
    open_reviews = version.reviews.filter(determination=Review.Determination.PENDING).select_related("board")
    return any(permissions.may(user, Verb.DETERMINE, review.board) for review in open_reviews)


def _acting(study: Study, user: User, verb: Verb) -> QuerySet[Institution]:
    """The institutions for which this person may do that to the study now."""
    if not policies.state_allows(study, verb, clock.now()):
        return Institution.objects.none()
    return institutions_of(user).filter(memberships__user=user, memberships__role__in=permissions.HOLDERS[verb])


def _seen(request: HttpRequest, study: UUID) -> Study:
    found = selectors.visible_studies(institutions_of(user_of(request))).filter(uuid=study).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND)
    return found


def _challenge(request: HttpRequest, body: dict[str, Any], study: UUID) -> dict[str, Any]:
    asked = signing.challenge(
        by=user_of(request), study=_seen(request, study), determination=answers.text(body, "determination")
    )
    return {
        "nonce": asked.nonce,
        "statement": asked.statement,
        "challenge": b64(passkeys.challenge(asked.statement)),
        "credential": asked.credential,
        "rp_id": challenges.rp_id(),
        "expires": clock.rfc3339(asked.expires),
    }


def _determination(request: HttpRequest, body: dict[str, Any], study: UUID) -> dict[str, Any]:
    found = _seen(request, study)
    review = reviews.determine(
        by=user_of(request), study=found, nonce=answers.text(body, "nonce"), assertion=body.get("assertion", {})
    )
    found.refresh_from_db()
    return {"board": review.board.slug, "determination": review.determination, "state": found.state}


def _suspend(request: HttpRequest, study: UUID) -> HttpResponse:
    return _end(request, study, studies.suspend, "The study is suspended. Nothing starts under it any more.")


def _close(request: HttpRequest, study: UUID) -> HttpResponse:
    return _end(request, study, studies.close, "The study is closed.")


def _check_password(request: HttpRequest) -> None:
    """Whoever finds a browser signed in ends no study with it. A passkey will replace the password here.

    Raises Refused(PASSWORD_WRONG); wrong passwords count towards the lockout.
    """
    user = user_of(request)
    password = request.POST.get("password", "")
    if authenticate(request, username=user.get_username(), password=password) != user:
        raise Refused(Reason.PASSWORD_WRONG, field="password")


def _end(request: HttpRequest, uuid: UUID, service: Any, done: str) -> HttpResponse:
    try:
        study = _seen(request, uuid)
    except Refused as refused:
        answers.show(request, refused)
        return HttpResponseRedirect(reverse("admin:governance_study_changelist"))
    try:
        _check_password(request)
        institution = selectors.institution(request.POST.get("institution", ""))
        service(study=study, institution=institution, by=user_of(request), ground=request.POST.get("ground", ""))
        messages.success(request, done)
    except Refused as refused:
        answers.show(request, refused)
    return HttpResponseRedirect(reverse("admin:governance_study_change", args=[study.pk]))
