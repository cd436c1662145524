"""Registering a passkey: a public key that signs nothing until the institution's roster lists it."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from concordat import clock, passkeys
from concordat.reasons import Reason, Refused
from governance.models import OfficerProfile, Passkey, SigningChallenge
from governance.models.signature import new_nonce
from governance.services import challenges


@transaction.atomic
def challenge(*, by: User) -> SigningChallenge:
    """What a new passkey of this officer answers. Raises Refused(ROLE_MISSING) for a user who is no officer."""
    officer = _officer(by)
    nonce = new_nonce()
    statement = {"purpose": "passkey-registration", "officer": str(officer.uuid), "nonce": nonce}
    return challenges.give(by=by, study=None, nonce=nonce, statement=statement)


@transaction.atomic
def register(*, by: User, nonce: str, registration: Mapping[str, Any]) -> Passkey:
    """Keep the public half of the passkey that the officer has just made.

    Raises:
        Refused: NOT_FOUND, CONFLICT or EXPIRED for the challenge; PASSKEY_INVALID; CONFLICT for a passkey that is
            registered already.
    """
    officer = _officer(by)
    asked = challenges.take(by=by, study=None, nonce=nonce)
    credential, key = passkeys.verify_registration(
        registration,
        challenge=passkeys.challenge(asked.statement),
        rp_id=challenges.rp_id(),
        origin=challenges.origin(),
    )
    if Passkey.objects.filter(credential=credential).exists():
        raise Refused(Reason.CONFLICT, detail="This passkey is registered already.", field="credential")
    return Passkey.objects.create(officer=officer, credential=credential, key=key, registered=clock.now())


def _officer(user: User) -> OfficerProfile:
    officer = OfficerProfile.objects.filter(user=user).first()
    if officer is None:
        raise Refused(Reason.ROLE_MISSING, detail="Only a member of an institution registers a passkey.")
    return officer
