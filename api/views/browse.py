"""The API described: to machines as an OpenAPI document, to people as a page. Neither says anything of what is stored,
so nobody has to sign in."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from api.described import described
from api.described import document as openapi


@require_safe
@cache_control(max_age=300)
def document(request: HttpRequest) -> HttpResponse:
    """The OpenAPI document of the version that runs."""
    return HttpResponse(openapi(), content_type="application/json")


@require_safe
@cache_control(max_age=300)
def page(request: HttpRequest) -> HttpResponse:
    """Every operation with its scope, parameters, body and answers. It sends no request: what that would need is the
    institution's key, which belongs in no browser."""
    return render(request, "api/browse.html", {"described": described()})
