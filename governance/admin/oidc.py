"""The way to a hospital's own sign-in and back. Without CONCORDAT_OIDC_ISSUER neither address is there."""

import jwt
import requests
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView

from governance.services import sign_in
from governance.services.second_factors import Kind

FAILED = "The hospital's sign-in did not say that you are an officer here. Try again, or sign in with your password."


class _Callback(OIDCAuthenticationCallbackView):  # type: ignore[misc]
    def get(self, request: HttpRequest) -> HttpResponse:
        """A provider that cannot be reached, or that says what does not hold, signs nobody in."""
        try:
            answer: HttpResponse = super().get(request)
        except (SuspiciousOperation, jwt.PyJWTError, requests.RequestException, LookupError, TypeError, ValueError):
            return self.login_failure()
        return answer

    def login_success(self) -> HttpResponse:
        """The second factor is asked here all the same, unless the provider asserts one that is trusted."""
        answer: HttpResponse = super().login_success()
        if set(self.request.oidc_amr) & set(settings.OIDC_TRUSTED_AMR):
            sign_in.elevate(self.request, Kind.PROVIDER)
        return answer

    @property
    def success_url(self) -> str:
        return self.request.session.get("oidc_login_next") or reverse("admin:index")

    def login_failure(self) -> HttpResponse:
        messages.error(self.request, FAILED)
        return redirect("admin:login")


@never_cache
def begin(request: HttpRequest) -> HttpResponse:
    """Off to the provider, with state, nonce and PKCE."""
    _check_configured()
    answer: HttpResponse = OIDCAuthenticationRequestView.as_view()(request)
    return answer


@never_cache
def callback(request: HttpRequest) -> HttpResponse:
    """Back from the provider."""
    _check_configured()
    answer: HttpResponse = _Callback.as_view()(request)
    return answer


def _check_configured() -> None:
    if not settings.OIDC_ISSUER:
        raise Http404
