"""What is done on the study's page without a signature: each view hands the form to its service, and goes back."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.views.decorators.http import require_POST

from concordat.reasons import Refused
from governance import selectors
from governance.admin import answers
from governance.admin.base import user_of
from governance.models import Study
from governance.services import boards, reviews, studies

View = Callable[..., HttpResponse]


def study_verb(done: str) -> Callable[[Callable[[HttpRequest, Study], Any]], View]:
    """A POST view that does something to the study of its address, and goes back to its page with what came of it."""

    def decorate(deed: Callable[[HttpRequest, Study], Any]) -> View:
        @require_POST
        @wraps(deed)
        def view(request: HttpRequest, study: UUID) -> HttpResponse:
            back = reverse("admin:governance_study_changelist")
            try:
                found = selectors.seen_study(user_of(request), str(study))
                back = reverse("admin:governance_study_change", args=[found.pk])
                deed(request, found)
            except Refused as refused:
                answers.show(request, refused)
            else:
                messages.success(request, done)
            return HttpResponseRedirect(back)

        return view

    return decorate


@study_verb("The boards are asked for another period.")
def continue_review(request: HttpRequest, study: Study) -> None:
    """Ask for continuing review."""
    studies.continue_review(study=study, by=user_of(request), report=request.POST.get("report", ""))


@study_verb("The submission is withdrawn.")
def withdraw(request: HttpRequest, study: Study) -> None:
    """Take back what is before the boards."""
    studies.withdraw(study=study, by=user_of(request))


@study_verb("The path is chosen.")
def route(request: HttpRequest, study: Study) -> None:
    """Choose the path of a review; path and category come as one choice."""
    path, _, category = request.POST.get("route", "").partition(" ")
    reviews.route(
        by=user_of(request),
        review=request.POST.get("review", ""),
        path=path,
        category=category,
        ground=request.POST.get("ground", ""),
    )


@study_verb("Your opinion is kept until the board takes the item up.")
def opine(request: HttpRequest, study: Study) -> None:
    """Give an opinion."""
    reviews.give_opinion(
        by=user_of(request),
        review=request.POST.get("review", ""),
        recommendation=request.POST.get("recommendation", ""),
        findings=_findings(request.POST),
        comment=request.POST.get("comment", ""),
    )


@study_verb("Your conflict is declared. You take no part in anything about this study any more.")
def declare_conflict(request: HttpRequest, study: Study) -> None:
    """Declare a conflict of interest."""
    boards.declare_conflict(
        by=user_of(request),
        board=selectors.institution(request.POST.get("board", ""), field="board"),
        study=str(study.uuid),
        ground=request.POST.get("ground", ""),
    )


VIEWS: tuple[tuple[str, str, View], ...] = (
    ("continue-review", "continue_review", continue_review),
    ("withdraw", "withdraw", withdraw),
    ("route", "route", route),
    ("opine", "opine", opine),
    ("declare-conflict", "declare_conflict", declare_conflict),
)
"""The end of the address, the end of its name, and the view."""


def _findings(form: QueryDict) -> dict[str, dict[str, str]]:
    """The answers by finding, as `sign.js` makes them for what is signed."""
    return {
        name.removeprefix("findings."): {
            "answer": form[name],
            "note": form.get(f"note.{name.removeprefix('findings.')}", ""),
        }
        for name in form
        if name.startswith("findings.")
    }
