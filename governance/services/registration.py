"""Registering a passkey: a second factor at once, while it signs nothing until the institution's roster lists it."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from concordat import clock, passkeys
from concordat.reasons import Reason, Refused
from governance.models import Passkey, SigningChallenge
from governance.services import challenges, second_factors
from governance.services.second_factors import Kind

PURPOSE = "passkey-registration"


@transaction.atomic
def challenge(*, by: User) -> SigningChallenge:
    """What a new passkey of this officer answers. Raises Refused(ROLE_MISSING) for a user who is no officer."""
    return challenges.give_for(by=by, purpose=PURPOSE)


@transaction.atomic
def register(*, by: User, nonce: str, registration: Mapping[str, Any]) -> Passkey:
    """Keep the public half of the passkey that the officer has just made.

    Raises:
        Refused: NOT_FOUND, CONFLICT or EXPIRED for the challenge; PASSKEY_INVALID; CONFLICT for a passkey that is
            registered already.
    """
    officer = challenges.officer_of(by)
    asked = challenges.take_for(by=by, purpose=PURPOSE, nonce=nonce)
    credential, key = passkeys.verify_registration(
        registration,
        challenge=passkeys.challenge(asked.statement),
        rp_id=challenges.rp_id(),
        origin=challenges.origin(),
    )
    if Passkey.objects.filter(credential=credential).exists():
        raise Refused(Reason.CONFLICT, detail="This passkey is registered already.", field="credential")
    passkey = Passkey.objects.create(officer=officer, credential=credential, key=key, registered=clock.now())
    second_factors.registered(officer, Kind.PASSKEY)
    return passkey
