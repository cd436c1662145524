"""The page of what ends or happens within a year."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from concordat import clock
from governance import calendar
from governance.admin import second_step
from governance.admin.base import user_of

A_YEAR = 366


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """For the institutions of this officer, by month."""
    dates = calendar.upcoming(user_of(request), clock.now(), A_YEAR)
    return second_step.show(request, "calendar.html", "Calendar", dates=dates)
