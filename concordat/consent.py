"""A person's consent as the requesting institution attests it, and its withdrawal.

The institution holds the signed form; the statement names its digest, the study, the purposes and a pseudonym, and
nothing else about the person.
"""

from collections.abc import Sequence
from datetime import datetime

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import clock
from concordat.documents import Keyring, check_period, sign, verify_from
from concordat.fields import STRICT, Digest, Slug, Text, Time, Uuid
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey


@with_config(STRICT)
class Consent(TypedDict):
    """`form` is the digest of the form that was signed; `signer` is "self" or the capacity of who signed instead."""

    consent: Uuid
    subject: Uuid
    study: Slug
    purposes: list[Slug]
    institution: Slug
    form: Digest
    language: Text
    signer: Text
    given: Time
    until: Time


@with_config(STRICT)
class Withdrawal(TypedDict):
    """From `time` on, nothing is computed or released on the strength of this consent."""

    consent: Uuid
    institution: Slug
    time: Time


def give(
    *,
    consent: str,
    subject: str,
    study: str,
    purposes: Sequence[str],
    institution: str,
    form: str,
    language: str,
    signer: str,
    given: datetime,
    until: datetime,
    key: SigningKey,
) -> str:
    """The institution's signed statement. Raises Refused naming a malformed field."""
    statement = {
        "consent": consent,
        "subject": subject,
        "study": study,
        "purposes": list(purposes),
        "institution": institution,
        "form": form,
        "language": language,
        "signer": signer,
        "given": clock.rfc3339(given),
        "until": clock.rfc3339(until),
    }
    return sign(statement, Consent, kind="consent", key=key)


def read_consent(token: str, keyring: Keyring) -> Consent:
    """The statement in a JWS signed by the institution that it names."""
    return verify_from(token, Consent, kind="consent", signer="institution", keyring=keyring)


def check_consent(
    token: str, keyring: Keyring, *, subject: str, study: str, purpose: str, institution: str, now: datetime
) -> Consent:
    """The statement, if it covers this person, study, purpose, institution and moment. Withdrawals are looked up apart.

    Raises:
        Refused: CONSENT_MISSING if it covers something else, CONSENT_EXPIRED after its period, and the refusals of
            signature and shape.
    """
    statement = read_consent(token, keyring)
    about = {"subject": subject, "study": study, "institution": institution}
    for field, expected in about.items():
        if statement[field] != expected:  # type: ignore[literal-required]
            raise Refused(Reason.CONSENT_MISSING, field=f"consent.{field}")
    if purpose not in statement["purposes"]:
        raise Refused(Reason.CONSENT_MISSING, field="consent.purposes")
    check_period(statement["given"], statement["until"], now, expired=Reason.CONSENT_EXPIRED)
    return statement


def withdraw(*, consent: str, institution: str, time: datetime, key: SigningKey) -> str:
    """The institution's signed statement that the person has withdrawn."""
    statement = {"consent": consent, "institution": institution, "time": clock.rfc3339(time)}
    return sign(statement, Withdrawal, kind="withdrawal", key=key)


def read_withdrawal(token: str, keyring: Keyring) -> Withdrawal:
    """The withdrawal in a JWS signed by the institution that it names."""
    return verify_from(token, Withdrawal, kind="withdrawal", signer="institution", keyring=keyring)
