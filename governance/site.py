"""The officers' site: every page needs two factors, and this is the one place that says so.

It stands outside `governance.admin`, whose modules register their pages on it while they are imported.
"""

from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, path
from django.views.decorators.cache import never_cache

from concordat import clock
from concordat.reasons import Refused
from governance.services import sign_in

DAYS_AHEAD = 90
"""How much of the calendar the first page shows."""


class PasswordForm(AdminAuthenticationForm):
    """The first step."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "E-mail address"


class OfficersSite(AdminSite):
    login_form = PasswordForm
    login_template = "governance/sign_in.html"

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether this session has passed both steps; every page but those of signing in asks this."""
        sign_in.end_if_stale(request)
        return super().has_permission(request) and sign_in.second_factor(request) is not None

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The password; a session that has given it goes on to the second step."""
        from governance.admin import second_step

        if request.method == "GET" and not self.has_permission(request) and second_step.password_given(request):
            return redirect(second_step.address("admin:second_factor", request))
        return super().login(request, {"title": "Sign in", "oidc": bool(settings.OIDC_ISSUER)} | (extra_context or {}))

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """What waits for this officer, what lies ahead, and all pages."""
        from governance import calendar, matters, queue

        own: dict[str, Any] = {}
        if isinstance(request.user, User):
            now = clock.now()
            own = {
                "queue": queue.waiting_for(request.user, now),
                "reads_dossiers": matters.may_read_some(request.user),
                "has_matters": matters.managed(request.user).exists() or matters.visible(request.user, now).exists(),
                "upcoming": calendar.upcoming(request.user, now, DAYS_AHEAD),
            }
        return super().index(request, own | (extra_context or {}))

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """As usual, and wrong old passwords count towards the lockout: else an open browser could guess them here."""
        try:
            if request.method == "POST":
                sign_in.check_password(request, request.POST.get("old_password", ""))
        except Refused:
            if request.axes_locked_out:  # type: ignore[attr-defined]
                return HttpResponse(status=429)
        return super().password_change(request, extra_context)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """The pages without `admin_view` are those of signing in; each says itself whom it lets in."""
        from governance.admin import (
            acts,
            calendar,
            decisions,
            factors,
            help,
            matters,
            notifications,
            oidc,
            record,
            search,
            second_step,
        )

        wrap = self.admin_view
        own: list[URLPattern | URLResolver] = [
            # Signing out is for everybody: a session between the two steps ends like any other.
            path("logout/", never_cache(self.logout), name="logout"),
            path("invitation/<uid>/<token>/", second_step.invitation, name="invitation"),
            path("second-factor/", second_step.answer, name="second_factor"),
            path("second-factor/challenge/", second_step.challenge, name="second_factor_challenge"),
            path("second-factor/passkey/", second_step.passkey, name="second_factor_passkey"),
            path("second-factor/set-up/", second_step.set_up, name="second_factor_set_up"),
            path("second-factor/set-up/challenge/", second_step.set_up_challenge, name="set_up_challenge"),
            path("second-factor/set-up/passkey/", second_step.set_up_passkey, name="set_up_passkey"),
            path("hospital-sign-in/", oidc.begin, name="oidc"),
            path("hospital-sign-in/callback/", oidc.callback, name="oidc_callback"),
            path("help/", wrap(help.page), name="help"),
            path("acts/ask/", wrap(acts.ask), name="acts_ask"),
            path("acts/sign/", wrap(acts.sign), name="acts_sign"),
            path("calendar/", wrap(calendar.overview), name="calendar"),
            path("messages/", wrap(notifications.overview), name="notifications"),
            path("messages/read/", wrap(notifications.read), name="notifications_read"),
            path("messages/read-all/", wrap(notifications.read_all), name="notifications_read_all"),
            path("messages/mail/", wrap(notifications.prefer), name="mail_preference"),
            path("second-factors/", wrap(factors.overview), name="second_factors"),
            path("second-factors/app/", wrap(factors.app), name="second_factors_app"),
            path("second-factors/remove/", wrap(factors.remove), name="second_factors_remove"),
            path("second-factors/recovery-codes/", wrap(factors.recovery_codes), name="recovery_codes"),
            *decisions.urls(wrap),
            *matters.urls(wrap),
            *search.urls(wrap),
            *record.urls(wrap),
        ]
        return own + super().get_urls()
