"""An officer's own second factors: to add, to replace, to take away; for sessions with both factors only."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from concordat.reasons import Refused
from governance.admin import answers, second_step
from governance.admin.base import user_of
from governance.models import Passkey
from governance.services import second_factors, sign_in
from governance.services.second_factors import Kind


class PasswordForm(forms.Form):
    """The password once more."""

    password = forms.CharField(
        label="Your password, once more",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class AppForm(PasswordForm, second_step.CodeForm):
    """Both, to take an authenticator app into use."""

    field_order = ("code", "password")


@require_http_methods(["GET"])
def overview(request: HttpRequest) -> HttpResponse:
    """What is set up."""
    user = user_of(request)
    context = {
        "passkeys": Passkey.objects.filter(officer__user=user),
        "app": Kind.TOTP in second_factors.kinds(user),
        "codes_left": second_factors.recovery_codes_left(user),
    }
    return second_step.show(request, "second_factors.html", "Second factors", **context)


@require_http_methods(["GET", "POST"])
def app(request: HttpRequest) -> HttpResponse:
    """Add an authenticator app, or replace the one that is there."""
    form = AppForm(request.POST or None)
    if request.method == "POST" and _password_right(request, form) and second_step.confirmed(request, form):
        sign_in.keep(request)
        messages.success(request, "The app is in use. Your other sessions have ended.")
        return redirect("admin:second_factors")
    context = second_step.to_confirm(request)
    return second_step.show(request, "second_factor_app.html", "Authenticator app", form=form, **context)


@require_POST
def remove(request: HttpRequest) -> HttpResponse:
    """Take a passkey (by its credential) or the app away."""
    user, credential = user_of(request), request.POST.get("credential")
    try:
        sign_in.check_password(request, request.POST.get("password", ""))
        if credential:
            second_factors.remove_passkey(by=user, credential=credential)
        else:
            second_factors.remove_totp(by=user)
    except Refused as refused:
        answers.show(request, refused)
    else:
        sign_in.keep(request)
        messages.success(request, "Removed. Your other sessions have ended.")
    return redirect("admin:second_factors")


@require_http_methods(["GET", "POST"])
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Make new codes and show them, this once."""
    user = user_of(request)
    left = second_factors.recovery_codes_left(user)
    # The first codes come straight after the first factor; replacing those of somebody else takes their password.
    form = PasswordForm(request.POST or None) if left else None
    codes: list[str] = []
    if request.method == "POST" and (form is None or _password_right(request, form)):
        codes, form = second_factors.make_recovery_codes(by=user), None
    context: dict[str, Any] = {"form": form, "codes": codes, "left": left}
    return second_step.show(request, "recovery_codes.html", "Recovery codes", **context)


def _password_right(request: HttpRequest, form: forms.Form) -> bool:
    if form.is_valid():
        try:
            sign_in.check_password(request, form.cleaned_data["password"])
        except Refused as refused:
            second_step.refuse(form, refused)
    return form.is_valid()
