"""How a refusal reaches an officer: as JSON for the page's script, as a message after a form."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.views.decorators.http import require_POST

from concordat import canonical
from concordat.reasons import Reason, Refused

JsonView = Callable[..., dict[str, Any]]


def json_view(view: JsonView) -> Callable[..., HttpResponse]:
    """A view from a JSON object to a JSON object; a refusal answers with its reason, sentence and remedy."""

    @wraps(view)
    @require_POST
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            body = canonical.decode(request.body)
            if not isinstance(body, dict):
                raise Refused(Reason.MALFORMED)
            return JsonResponse(view(request, body, *args, **kwargs))
        except Refused as refused:
            return JsonResponse(_problem(refused), status=refused.info.status)

    return answer


def text(body: dict[str, Any], field: str) -> str:
    """A text in a JSON object. Raises Refused(FIELD_MISSING)."""
    value = body.get(field)
    if not isinstance(value, str):
        raise Refused(Reason.FIELD_MISSING, field=field)
    return value


def show(request: HttpRequest, refused: Refused) -> None:
    """Show a refusal above the next page."""
    messages.error(request, f"{sentence(refused)} {refused.info.remedy}")


def done(request: HttpRequest, said: str) -> None:
    """Show that something has been done above the next page."""
    messages.success(request, said)


def after(request: HttpRequest, verb: Callable[[], object] | None, *, said: str, there: str) -> HttpResponse:
    """Do what a form asks for, and show on the next page that it is done, or why not. No verb: there is no such one."""
    try:
        if verb is None:
            raise Refused(Reason.NOT_FOUND)
        verb()
    except Refused as refused:
        show(request, refused)
    else:
        done(request, said)
    return HttpResponseRedirect(there)


def sentence(refused: Refused) -> str:
    """The reason's sentence, and what is particular to this case."""
    general = refused.info.sentence
    return general if refused.detail == general else f"{general} {refused.detail}"


def _problem(refused: Refused) -> dict[str, str]:
    return {
        "reason": refused.reason,
        "sentence": sentence(refused),
        "remedy": refused.info.remedy,
        "field": refused.field,
    }
