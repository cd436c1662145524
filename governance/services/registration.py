"""Registering a passkey (WebAuthn Level 3, section 7.1) without attestation.

Which authenticator it is does not matter here: a passkey signs nothing until the institution's roster, signed by its
offline key, lists it.
"""

import hashlib
import struct
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from fido2 import cbor
from fido2.webauthn import AttestationObject, AuthenticatorData, CollectedClientData

from concordat import clock, passkeys
from concordat.canonical import b64, unb64
from concordat.fields import read
from concordat.reasons import Reason, Refused
from governance.models import OfficerProfile, Passkey, SigningChallenge
from governance.models.signature import new_nonce
from governance.services import challenges

_UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, struct.error)
"""What fido2 raises for bytes that are not CBOR, or not what WebAuthn puts into it."""


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
    document = read(registration, passkeys.Registration)
    try:
        client = CollectedClientData(unb64(document["client_data"]))
        authenticator = AttestationObject(unb64(document["attestation_object"])).auth_data
    except _UNREADABLE as error:
        raise _invalid("The browser's answer cannot be read.") from error
    _check(client, authenticator, passkeys.challenge(asked.statement))
    made = authenticator.credential_data
    if made is None:
        raise _invalid("The answer holds no passkey.")
    key = b64(cbor.encode(dict(made.public_key)))
    passkeys.public_key(key)
    credential = b64(made.credential_id)
    if Passkey.objects.filter(credential=credential).exists():
        raise Refused(Reason.CONFLICT, detail="This passkey is registered already.", field="credential")
    return Passkey.objects.create(officer=officer, credential=credential, key=key, registered=clock.now())


def _check(client: CollectedClientData, authenticator: AuthenticatorData, challenge: bytes) -> None:
    if client.type != CollectedClientData.TYPE.CREATE or client.cross_origin:
        raise _invalid("This is not the making of a passkey.")
    if client.challenge != challenge:
        raise _invalid("The passkey answered another challenge.")
    if client.origin != challenges.origin():
        raise _invalid("The passkey was made on another page.")
    if authenticator.rp_id_hash != hashlib.sha256(challenges.rp_id().encode()).digest():
        raise _invalid("The passkey was made for another site.")
    if not authenticator.is_user_present() or not authenticator.is_user_verified():
        raise _invalid("The passkey did not confirm that its holder was present and verified.")


def _officer(user: User) -> OfficerProfile:
    officer = OfficerProfile.objects.filter(user=user).first()
    if officer is None:
        raise Refused(Reason.ROLE_MISSING, detail="Only a member of an institution registers a passkey.")
    return officer


def _invalid(detail: str) -> Refused:
    return Refused(Reason.PASSKEY_INVALID, detail=detail)
