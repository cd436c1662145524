"""Single-use challenges for passkeys: given to one officer for one purpose, for a few minutes."""

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import User

from concordat import clock
from concordat.reasons import Reason, Refused
from governance.models import OfficerProfile, SigningChallenge
from governance.models.signature import new_nonce

WINDOW = timedelta(minutes=5)
"""How long an officer has between reading a statement and signing it."""


def give_for(*, by: User, purpose: str) -> SigningChallenge:
    """A challenge that signs no record: to register a passkey, or to sign in. Raises Refused(ROLE_MISSING) for a user
    who is no officer."""
    nonce = new_nonce()
    statement = {"purpose": purpose, "officer": str(officer_of(by).uuid), "nonce": nonce}
    return SigningChallenge.objects.create(user=by, nonce=nonce, statement=statement, expires=clock.now() + WINDOW)


def take(*, by: User, nonce: str) -> SigningChallenge:
    """Use a challenge up, inside the caller's transaction. Raises Refused: NOT_FOUND, CONFLICT or EXPIRED."""
    now = clock.now()
    asked = SigningChallenge.objects.select_for_update().filter(nonce=nonce, user=by).first()
    if asked is None:
        raise Refused(Reason.NOT_FOUND, detail="You were not asked to sign this.", field="nonce")
    if asked.used is not None:
        raise Refused(Reason.CONFLICT, detail="This was signed already; a challenge serves once.", field="nonce")
    if now >= asked.expires:
        raise Refused(Reason.EXPIRED, detail="Too long ago; read the record again and sign anew.", field="nonce")
    asked.used = now
    asked.save(update_fields=["used"])
    return asked


def take_for(*, by: User, purpose: str, nonce: str) -> SigningChallenge:
    """Use up a challenge of :func:`give_for`; one that was given for anything else is not found."""
    asked = take(by=by, nonce=nonce)
    if asked.statement.get("purpose") != purpose:
        raise Refused(Reason.NOT_FOUND, detail="This challenge was given for something else.", field="nonce")
    return asked


def forget(now: datetime) -> None:
    """Delete the challenges that nobody can answer any more, with what was typed into their acts. What was signed is in
    the signature and in the log. For a day, who comes late is told so."""
    SigningChallenge.objects.filter(expires__lte=now - timedelta(days=1)).delete()


def officer_of(user: User) -> OfficerProfile:
    """Raises Refused(ROLE_MISSING) for a user who is no officer."""
    officer = OfficerProfile.objects.filter(user=user).first()
    if officer is None:
        raise Refused(Reason.ROLE_MISSING, detail="Only a member of an institution has second factors.")
    return officer


def origin() -> str:
    """The address that the browser shows on the signing page."""
    return str(settings.BASE_URL)


def rp_id() -> str:
    """The domain that passkeys are bound to."""
    return urlsplit(settings.BASE_URL).hostname or ""
