"""The pages between a right password and the officers' site, and the one before it: an invitation's own password.

Whoever has a factor answers with it; only whoever has none sets one up. Both need a session that has given a password.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

import segno
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from concordat import passkeys
from concordat.canonical import b64
from concordat.reasons import Refused
from governance.admin import answers
from governance.admin.base import user_of
from governance.models import Passkey, Totp
from governance.services import challenges, invitations, registration, second_factors, sign_in

View = Callable[..., HttpResponse]


class CodeForm(forms.Form):
    """A code of the authenticator app."""

    code = forms.CharField(
        label="Code from your authenticator app",
        max_length=16,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )


class RecoveryForm(forms.Form):
    """A recovery code, for whoever has lost the factor."""

    recovery_code = forms.CharField(max_length=64, widget=forms.TextInput(attrs={"autocomplete": "off"}))


def password_given(request: HttpRequest) -> bool:
    """Whether this session has passed the first step."""
    return bool(request.user.is_active and getattr(request.user, "is_staff", False))


def address(name: str, request: HttpRequest) -> str:
    """A page of signing in, which remembers where the officer wanted to go."""
    wanted = request.GET.get("next", "")
    return reverse(name) + (f"?{urlencode({'next': wanted})}" if _ours(request, wanted) else "")


def qr_code(totp: Totp) -> SafeString:
    """The app's secret as an inline SVG without styles: dark on white also where the page is dark."""
    return mark_safe(segno.make(totp.config_url, micro=False).svg_inline(scale=4, light="white"))  # noqa: S308


def secret(totp: Totp) -> str:
    """The same secret, to type in."""
    return totp.config_url.partition("secret=")[2].partition("&")[0]


def show(request: HttpRequest, template: str, title: str, **context: Any) -> HttpResponse:
    """A page of the site."""
    return TemplateResponse(
        request, f"governance/{template}", {**admin.site.each_context(request), "title": title, **context}
    )


def refuse(form: forms.Form, refused: Refused) -> None:
    """Show a refusal at the field it is about, or above the form."""
    field = refused.field if refused.field in form.fields else None
    form.add_error(field, f"{answers.sentence(refused)} {refused.info.remedy}")


def _between(view: View) -> View:
    """For sessions that have given a password and no second factor; whoever has passed both steps goes on."""

    @never_cache
    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if admin.site.has_permission(request):
            done = request.path == reverse("admin:second_factor_set_up")
            return redirect("admin:recovery_codes" if done else _destination(request))
        if not password_given(request):
            return redirect(address("admin:login", request))
        return view(request, *args, **kwargs)

    return inner


def _without_factor(view: View) -> View:
    """For those who have no factor yet: everybody else answers with one before another is added."""

    @_between
    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if second_factors.kinds(user_of(request)):
            return redirect(address("admin:second_factor", request))
        return view(request, *args, **kwargs)

    return inner


# --- the second step


@_between
@require_http_methods(["GET", "POST"])
def answer(request: HttpRequest) -> HttpResponse:
    """Ask for the second factor, and take a code; a passkey answers through :func:`passkey`."""
    kinds = second_factors.kinds(user_of(request))
    if not kinds:
        return redirect(address("admin:second_factor_set_up", request))
    code = CodeForm(request.POST if "code" in request.POST else None)
    recovery = RecoveryForm(request.POST if "recovery_code" in request.POST else None)
    for form, check in ((code, second_factors.check_totp), (recovery, second_factors.use_recovery_code)):
        if form.is_valid():
            try:
                with sign_in.counted(request):
                    kind = check(by=user_of(request), code=next(iter(form.cleaned_data.values())))
            except Refused as refused:
                refuse(form, refused)
            else:
                sign_in.elevate(request, kind)
                if kind is second_factors.Kind.RECOVERY:
                    left = second_factors.recovery_codes_left(user_of(request))
                    messages.warning(request, f"Recovery codes left: {left}. Replace the factor that you have lost.")
                    return redirect("admin:second_factors")
                return redirect(_destination(request))
    context = {"kinds": kinds, "code": code, "recovery": recovery, "query": request.GET.urlencode()}
    return show(request, "second_factor.html", "Second step", **context)


def _challenge(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    user = user_of(request)
    asked = second_factors.challenge(by=user)
    mine = Passkey.objects.filter(officer__user=user).values_list("credential", flat=True)
    return {
        "nonce": asked.nonce,
        "challenge": b64(passkeys.challenge(asked.statement)),
        "credentials": list(mine),
        "rp_id": challenges.rp_id(),
    }


def _passkey(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    with sign_in.counted(request):
        kind = second_factors.check_assertion(
            by=user_of(request), nonce=answers.text(body, "nonce"), assertion=body.get("assertion", {})
        )
    sign_in.elevate(request, kind)
    return {"kind": kind}


challenge = _between(answers.json_view(_challenge))
passkey = _between(answers.json_view(_passkey))


# --- the first factor


@_without_factor
@require_http_methods(["GET", "POST"])
def set_up(request: HttpRequest) -> HttpResponse:
    """Nobody gets further without one: a passkey through :func:`set_up_passkey`, or an app confirmed here."""
    form = CodeForm(request.POST or None)
    if request.method == "POST" and confirmed(request, form):
        sign_in.elevate(request, second_factors.Kind.TOTP)
        return redirect("admin:recovery_codes")
    return show(request, "second_factor_set_up.html", "Set up a second factor", form=form, **to_confirm(request))


def to_confirm(request: HttpRequest) -> dict[str, Any]:
    """The secret on the page: a new one each time it is opened, the same one after a wrong code."""
    begun = Totp.objects.filter(user=user_of(request), confirmed=False).first() if request.method == "POST" else None
    totp = begun or second_factors.begin_totp(by=user_of(request))
    return {"qr": qr_code(totp), "secret": secret(totp), "otpauth": totp.config_url}


def confirmed(request: HttpRequest, form: CodeForm) -> bool:
    """Whether the form's code has taken the app into use; why not stands in the form."""
    if form.is_valid():
        try:
            with sign_in.counted(request):
                second_factors.confirm_totp(by=user_of(request), code=form.cleaned_data["code"])
        except Refused as refused:
            refuse(form, refused)
    return form.is_valid()


def _set_up_passkey(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    made = registration.register(
        by=user_of(request), nonce=answers.text(body, "nonce"), registration=body.get("registration", {})
    )
    sign_in.elevate(request, second_factors.Kind.PASSKEY)
    return {"credential": made.credential, "key": made.key, "state": "not on roster yet"}


def registration_challenge(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """What the browser needs to make a passkey."""
    user = user_of(request)
    asked = registration.challenge(by=user)
    return {
        "nonce": asked.nonce,
        "challenge": b64(passkeys.challenge(asked.statement)),
        "rp_id": challenges.rp_id(),
        "user": {"id": b64(user.officer.uuid.bytes), "name": user.get_username(), "display_name": user.officer.name},
    }


set_up_challenge = _without_factor(answers.json_view(registration_challenge))
set_up_passkey = _without_factor(answers.json_view(_set_up_passkey))


# --- an invitation


@never_cache
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest, uid: str, token: str) -> HttpResponse:
    """The invited person sets their own password. Reading the link does not use it up: mail scanners do that."""
    try:
        user: User = invitations.invited(uid, token)
    except Refused as refused:
        answer = show(request, "sign_in_link_invalid.html", "This link does not work", refused=refused)
        answer.status_code = refused.info.status
        return answer
    form: Any = SetPasswordForm(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            invitations.accept(uid=uid, token=token, password=form.cleaned_data["new_password1"])
        except Refused as refused:
            refuse(form, refused)
        else:
            messages.success(request, "Your password is set. Sign in with it, then set up a second factor.")
            return redirect("admin:login")
    return show(request, "sign_in_invitation.html", "Set your password", form=form, invited=user.get_username())


def _destination(request: HttpRequest) -> str:
    wanted = request.GET.get("next", "")
    return wanted if _ours(request, wanted) else reverse("admin:index")


def _ours(request: HttpRequest, wanted: str) -> bool:
    return bool(wanted) and url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
