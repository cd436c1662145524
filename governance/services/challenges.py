"""Single-use challenges for passkeys: given to one officer, for one study or for a registration, for a few minutes."""

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import User

from concordat import clock
from concordat.canonical import Json
from concordat.reasons import Reason, Refused
from governance.models import SigningChallenge, Study

WINDOW = timedelta(minutes=5)
"""How long an officer has between reading a statement and signing it."""


def give(
    *, by: User, study: Study | None, nonce: str, statement: Mapping[str, Json], credential: str = ""
) -> SigningChallenge:
    """A challenge for this statement, which holds the nonce, to the passkey with this credential id."""
    return SigningChallenge.objects.create(
        user=by,
        study=study,
        nonce=nonce,
        statement=dict(statement),
        credential=credential,
        expires=clock.now() + WINDOW,
    )


def take(*, by: User, study: Study | None, nonce: str) -> SigningChallenge:
    """Use a challenge up, inside the caller's transaction. Raises Refused: NOT_FOUND, CONFLICT or EXPIRED."""
    now = clock.now()
    asked = SigningChallenge.objects.select_for_update().filter(nonce=nonce, user=by, study=study).first()
    if asked is None:
        raise Refused(Reason.NOT_FOUND, detail="You were not asked to sign this.", field="nonce")
    if asked.used is not None:
        raise Refused(Reason.CONFLICT, detail="This was signed already; a challenge serves once.", field="nonce")
    if now >= asked.expires:
        raise Refused(Reason.EXPIRED, detail="Too long ago; read the record again and sign anew.", field="nonce")
    asked.used = now
    asked.save(update_fields=["used"])
    return asked


def origin() -> str:
    """The address that the browser shows on the signing page."""
    return str(settings.BASE_URL)


def rp_id() -> str:
    """The domain that passkeys are bound to."""
    return urlsplit(settings.BASE_URL).hostname or ""
