"""Messages to one officer: to read, to mark as read, and how often they come by mail."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from concordat.reasons import Refused
from governance import selectors
from governance.admin import answers, second_step
from governance.admin.base import user_of
from governance.models import MailPreference
from governance.services import notifications

PER_PAGE = 25


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """All of them, the latest first."""
    user = user_of(request)
    told = Paginator(selectors.notifications(user), PER_PAGE).get_page(request.GET.get("page"))
    preference = MailPreference.objects.filter(user=user).first()
    how = preference.how if preference else MailPreference.How.IMMEDIATE
    context = {"told": told, "unread": selectors.unread(user), "how": how, "choices": MailPreference.How.choices}
    return second_step.show(request, "notifications.html", "Messages", **context)


@require_POST
def read(request: HttpRequest) -> HttpResponse:
    """Mark one as read, and with `open` go to where it leads."""
    try:
        told = notifications.mark_read(by=user_of(request), notification=request.POST.get("notification", ""))
    except Refused as refused:
        answers.show(request, refused)
        return redirect("admin:notifications")
    return redirect(told.path if "open" in request.POST else "admin:notifications")


@require_POST
def read_all(request: HttpRequest) -> HttpResponse:
    """Mark all as read."""
    notifications.mark_all_read(by=user_of(request))
    return redirect("admin:notifications")


@require_POST
def prefer(request: HttpRequest) -> HttpResponse:
    """How often mail comes."""
    try:
        notifications.prefer(by=user_of(request), how=request.POST.get("how", ""))
    except Refused as refused:
        answers.show(request, refused)
    else:
        messages.success(request, "Saved.")
    return redirect("admin:notifications")
