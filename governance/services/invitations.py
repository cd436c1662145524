"""Invitations: a link with which a person sets their own password, once, before it expires. Nobody else ever knows it.

The token (Django's, as for a forgotten password) is bound to the account's present password and last sign-in, so that
using it makes it worthless.
"""

from smtplib import SMTPException

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.db import transaction
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode

from concordat.reasons import Reason, Refused

SUBJECT = "Your invitation to Concordat"
TEXT = """You are invited to the officers' site of Concordat at {site}.

Open this link, set your own password, and set up a second factor. The link serves once and for {hours} hours:

{link}

If you do not know what this is about, ignore this message: without the link nothing happens.
"""


class _Tokens(PasswordResetTokenGenerator):
    key_salt = "governance.services.invitations"


_tokens = _Tokens()


def link(user: User) -> str:
    """A link for this person alone. It expires after PASSWORD_RESET_TIMEOUT seconds."""
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    return settings.BASE_URL + reverse("admin:invitation", args=[uid, _tokens.make_token(user)])


def send(user: User) -> None:
    """Mail the link to the account's own address; the message holds nothing else about anybody.

    Raises Refused(MAIL_UNAVAILABLE).
    """
    hours = settings.PASSWORD_RESET_TIMEOUT // 3600
    text = TEXT.format(site=settings.BASE_URL, hours=hours, link=link(user))
    try:
        send_mail(SUBJECT, text, settings.DEFAULT_FROM_EMAIL, [user.email])
    except (SMTPException, OSError) as error:
        raise Refused(Reason.MAIL_UNAVAILABLE) from error


def invited(uid: str, token: str) -> User:
    """Whom a link invites. Raises Refused(EXPIRED) for one that expired, was used, or was never made here."""
    try:
        user = User.objects.filter(pk=urlsafe_base64_decode(uid).decode(), is_active=True).first()
    except (ValueError, OverflowError, ValidationError):
        user = None
    if user is None or not _tokens.check_token(user, token):
        raise Refused(Reason.EXPIRED, detail="This link was used, has expired, or is not complete. Ask for a new one.")
    return user


@transaction.atomic
def accept(*, uid: str, token: str, password: str) -> User:
    """Set the password that the invited person chose, which uses the link up and ends all their sessions.

    Raises Refused: what :func:`invited` refuses; FIELD_INVALID for a weak password.
    """
    User.objects.select_for_update().filter(pk=invited(uid, token).pk).get()
    user = invited(uid, token)  # again, now that nobody else can use the link at the same moment
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Refused(Reason.FIELD_INVALID, detail=" ".join(error.messages), field="new_password1") from error
    user.set_password(password)
    user.save(update_fields=["password"])
    return user
