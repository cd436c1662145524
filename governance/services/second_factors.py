"""Second factors of an officer: passkeys, one authenticator app, and recovery codes that serve once each.

What a wrong answer leaves behind (the throttle of :mod:`django_otp`) must outlast the refusal, so the checks of codes
commit before they refuse and cannot be part of a larger transaction.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from concordat import canonical, clock, passkeys
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance.models import Membership, OfficerProfile, Passkey, RecoveryCode, SigningChallenge, Totp
from governance.services import challenges
from ledger.services.record import record

PURPOSE = "sign-in"
RECOVERY_CODES, RECOVERY_LETTERS, RECOVERY_GROUP = 10, 20, 5
APP = "authenticator app"


class Kind(StrEnum):
    """With what a session was, or can be, raised to two factors."""

    PASSKEY = "passkey"
    TOTP = "totp"
    RECOVERY = "recovery-code"
    PROVIDER = "identity-provider"


def kinds(user: User) -> frozenset[Kind]:
    """The factors that this person has set up; recovery codes replace one and are none."""
    return frozenset(
        kind
        for kind, there in (
            (Kind.PASSKEY, Passkey.objects.filter(officer__user=user).exists()),
            (Kind.TOTP, Totp.objects.filter(user=user, confirmed=True).exists()),
        )
        if there
    )


def fingerprint(user: User) -> str:
    """Changes whenever a factor comes or goes; a session that remembers another one has ended."""
    keys = Passkey.objects.filter(officer__user=user).order_by("credential").values_list("credential", flat=True)
    apps = Totp.objects.filter(user=user, confirmed=True).order_by("key").values_list("key", flat=True)
    return canonical.digest({"passkeys": list(keys), "apps": list(apps)})


# --- passkeys


@transaction.atomic
def challenge(*, by: User) -> SigningChallenge:
    """What a passkey of this officer answers to sign in. Raises Refused(ROLE_MISSING) for a user who is no officer."""
    return challenges.give_for(by=by, purpose=PURPOSE)


@transaction.atomic
def check_assertion(*, by: User, nonce: str, assertion: Mapping[str, Any]) -> Kind:
    """Verify a passkey's answer and use its challenge up.

    Raises:
        Refused: NOT_FOUND, CONFLICT or EXPIRED for the challenge; PASSKEY_INVALID, also for somebody else's passkey.
    """
    asked = challenges.take_for(by=by, purpose=PURPOSE, nonce=nonce)
    credential = assertion.get("credential") if isinstance(assertion, Mapping) else None
    passkey = Passkey.objects.filter(officer__user=by, credential=str(credential)).first()
    if passkey is None:
        raise Refused(Reason.PASSKEY_INVALID, detail="This passkey is not registered for you.", field="assertion")
    passkeys.verify_assertion(
        assertion,
        credential=passkey.credential,
        key=passkey.key,
        challenge=passkeys.challenge(asked.statement),
        rp_id=challenges.rp_id(),
        origin=challenges.origin(),
    )
    return Kind.PASSKEY


# --- an authenticator app


@transaction.atomic
def begin_totp(*, by: User) -> Totp:
    """A new secret to be shown and confirmed; one that was never confirmed is forgotten."""
    Totp.objects.filter(user=by, confirmed=False).delete()
    return Totp.objects.create(user=by, name=APP, confirmed=False)


def confirm_totp(*, by: User, code: str) -> None:
    """Take the app into use, in place of an earlier one, once it has shown a right code.

    Raises:
        Refused: SECOND_FACTOR_MISSING if none was begun; SECOND_FACTOR_WRONG; RATE_LIMITED too soon after a wrong one.
    """
    with transaction.atomic(durable=True):
        device = Totp.objects.select_for_update().filter(user=by, confirmed=False).first()
        refusal = _try(device, code)
        if device is not None and refusal is None:
            officer = challenges.officer_of(by)
            for earlier in Totp.objects.filter(user=by, confirmed=True):
                earlier.delete()
                _removed(officer, Kind.TOTP)
            device.confirmed = True
            device.save(update_fields=["confirmed"])
            registered(officer, Kind.TOTP)
    if refusal is not None:
        raise refusal


def check_totp(*, by: User, code: str) -> Kind:
    """Verify a code of the officer's app; each serves once.

    Raises:
        Refused: SECOND_FACTOR_MISSING without an app; SECOND_FACTOR_WRONG; RATE_LIMITED too soon after a wrong one.
    """
    with transaction.atomic(durable=True):
        refusal = _try(Totp.objects.select_for_update().filter(user=by, confirmed=True).first(), code)
    if refusal is not None:
        raise refusal
    return Kind.TOTP


def _try(device: Totp | None, code: str) -> Refused | None:
    """None for a right code; else the refusal, which the caller raises after its transaction."""
    if device is None:
        return Refused(Reason.SECOND_FACTOR_MISSING, field="code")
    allowed, why = device.verify_is_allowed()
    if not allowed:
        seconds = int((why["locked_until"] - timezone.now()).total_seconds()) + 1
        detail = f"A code was wrong before. Wait {seconds} s, then enter the code that the app shows."
        return Refused(Reason.RATE_LIMITED, detail=detail, field="code")
    digits = re.sub(r"\s", "", code)
    right = device.verify_token(digits if re.fullmatch(r"[0-9]{6}", digits) else "")
    return None if right else Refused(Reason.SECOND_FACTOR_WRONG, field="code")


# --- recovery codes


@transaction.atomic
def make_recovery_codes(*, by: User) -> list[str]:
    """Ten new codes in place of all earlier ones. They are not kept: show them now."""
    officer = challenges.officer_of(by)
    codes = [
        base64.b32encode(secrets.token_bytes(13)).decode().lower()[:RECOVERY_LETTERS] for _ in range(RECOVERY_CODES)
    ]
    RecoveryCode.objects.filter(user=by).delete()
    RecoveryCode.objects.bulk_create(RecoveryCode(user=by, hashed=_hash(code)) for code in codes)
    registered(officer, Kind.RECOVERY)
    return ["-".join(re.findall("." * RECOVERY_GROUP, code)) for code in codes]


@transaction.atomic
def use_recovery_code(*, by: User, code: str) -> Kind:
    """Use up one code. Raises Refused(SECOND_FACTOR_WRONG), also for one that was used."""
    hashed = _hash(re.sub(r"[\s-]", "", code).lower())
    if not RecoveryCode.objects.filter(user=by, hashed=hashed, used=None).update(used=clock.now()):
        raise Refused(
            Reason.SECOND_FACTOR_WRONG,
            detail="This is no recovery code of yours, or it was used.",
            field="recovery_code",
        )
    return Kind.RECOVERY


def recovery_codes_left(user: User) -> int:
    return RecoveryCode.objects.filter(user=user, used=None).count()


def _new_code() -> str:
    """100 random bits as 20 letters and digits."""
    return base64.b32encode(secrets.token_bytes(13)).decode().lower()[:RECOVERY_LETTERS]


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


# --- taking factors away


@transaction.atomic
def remove_passkey(*, by: User, credential: str) -> None:
    """Raises Refused: NOT_FOUND; CONFLICT for the last factor."""
    officer = challenges.officer_of(by)
    passkey = Passkey.objects.filter(officer=officer, credential=credential).first()
    if passkey is None:
        raise Refused(Reason.NOT_FOUND, detail="You have no such passkey.", field="credential")
    passkey.delete()
    _check_one_left(by)
    _removed(officer, Kind.PASSKEY)


@transaction.atomic
def remove_totp(*, by: User) -> None:
    """Raises Refused: SECOND_FACTOR_MISSING; CONFLICT for the last factor."""
    officer = challenges.officer_of(by)
    if not Totp.objects.filter(user=by, confirmed=True).delete()[0]:
        raise Refused(Reason.SECOND_FACTOR_MISSING)
    _check_one_left(by)
    _removed(officer, Kind.TOTP)


@transaction.atomic
def remove_all(*, of: User) -> None:
    """The operator's way, for an officer who has lost everything: they set a factor up again when they sign in next."""
    officer = challenges.officer_of(of)
    for kind in sorted(kinds(of)):
        _removed(officer, kind)
    Passkey.objects.filter(officer=officer).delete()
    Totp.objects.filter(user=of).delete()
    RecoveryCode.objects.filter(user=of).delete()


def _check_one_left(user: User) -> None:
    # Without any, a password alone would be enough to set up a new one.
    if not kinds(user):
        raise Refused(Reason.CONFLICT, detail="This is your last second factor. Set up another one first.")


# --- the record


def registered(officer: OfficerProfile, kind: Kind) -> None:
    """Write down that a factor came, in the transaction in which it does."""
    _record(Event.FACTOR_REGISTERED, officer, kind)


def _removed(officer: OfficerProfile, kind: Kind) -> None:
    _record(Event.FACTOR_REMOVED, officer, kind)


def _record(event: Event, officer: OfficerProfile, kind: Kind) -> None:
    # Under the key of the first institution: it opens and goes together with what is recorded about the membership.
    first = Membership.objects.filter(user=officer.user_id).order_by("pk").values_list("institution__slug", flat=True)
    record(
        event=event,
        public={"kind": kind},
        private={"officer": str(officer.uuid)},
        subject=officer.uuid,
        holder=first.first() or "",
    )
