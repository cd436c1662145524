"""What a session knows of its two factors, and how it is raised, confirmed and ended.

The password comes first; until :func:`elevate` has been called the officers' site shows nothing but the pages for the
second step. A session remembers the fingerprint of its officer's factors: when one comes or goes elsewhere, it ends.
Wrong second factors count towards a lockout of their own, which a right password does not reset.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from django.contrib.auth import authenticate, logout
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from concordat import clock
from concordat.reasons import Reason, Refused
from governance.services import second_factors
from governance.services.second_factors import Kind

_FACTOR, _FINGERPRINT = "second_factor", "second_factors"
_COUNTED = {Reason.SECOND_FACTOR_WRONG, Reason.PASSKEY_INVALID}


@dataclass(frozen=True)
class SecondFactor:
    """With what a session was raised, and when."""

    kind: Kind
    at: datetime


def second_factor(request: HttpRequest) -> SecondFactor | None:
    """The second factor of this session; None if only a password, or nothing, stands behind it."""
    kept = request.session.get(_FACTOR)
    if kept is None or not request.user.is_authenticated or _stale(request):
        return None
    return SecondFactor(Kind(kept["kind"]), clock.parse(kept["at"]))


def end_if_stale(request: HttpRequest) -> None:
    """Sign out a session whose officer's factors have changed since."""
    if request.user.is_authenticated and _stale(request):
        logout(request)


def elevate(request: HttpRequest, kind: Kind) -> SecondFactor:
    """Raise a session, under a new session key, to two factors."""
    factor = SecondFactor(kind, clock.now())
    request.session[_FACTOR] = {"kind": factor.kind, "at": clock.rfc3339(factor.at)}
    keep(request)
    return factor


def keep(request: HttpRequest) -> None:
    """After a factor of this session's officer has changed: this session goes on under a new key, all others end."""
    request.session.cycle_key()
    request.session[_FINGERPRINT] = second_factors.fingerprint(_user(request))


def confirm(request: HttpRequest, *, password: str, code: str) -> SecondFactor:
    """Ask for both factors again, for a signature or for what cannot be taken back. Not inside a transaction: wrong
    answers are counted.

    Raises:
        Refused: PASSWORD_WRONG; SECOND_FACTOR_MISSING without an authenticator app; SECOND_FACTOR_WRONG; RATE_LIMITED.
    """
    check_password(request, password)
    with counted(request):
        return SecondFactor(second_factors.check_totp(by=_user(request), code=code), clock.now())


def check_password(request: HttpRequest, password: str) -> None:
    """Whoever finds a browser signed in cannot do everything with it. Raises Refused(PASSWORD_WRONG); counted."""
    user = _user(request)
    if authenticate(request, username=user.get_username(), password=password) != user:
        raise Refused(Reason.PASSWORD_WRONG, field="password")


@contextmanager
def counted(request: HttpRequest) -> Iterator[None]:
    """Around the check of a second factor: wrong ones add up to a lockout, a right one resets the count.

    Raises Refused(RATE_LIMITED) while locked out; the answer then is the page of the lockout.
    """
    credentials: dict[str, Any] = {"username": f"second factor of {_user(request).pk}"}
    if not AxesProxyHandler.is_allowed(request, credentials):
        request.axes_locked_out = True  # type: ignore[attr-defined]
        raise Refused(Reason.RATE_LIMITED, detail="Too many wrong codes.")
    try:
        yield
    except Refused as refused:
        if refused.reason in _COUNTED:
            user_login_failed.send(sender=__name__, credentials=credentials, request=request)
        raise
    AxesProxyHandler.reset_attempts(username=credentials["username"])


@receiver(user_logged_in)
def _first_factor_only(sender: Any, request: HttpRequest, user: User, **_: Any) -> None:
    """Signing in again starts over: what an earlier second factor gave does not carry over."""
    request.session.pop(_FACTOR, None)
    request.session[_FINGERPRINT] = second_factors.fingerprint(user)


def _stale(request: HttpRequest) -> bool:
    return bool(request.session.get(_FINGERPRINT) != second_factors.fingerprint(_user(request)))


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
