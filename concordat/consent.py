"""A person's consent as the requesting institution attests it, and its two ends before its time.

The institution holds the signed form; the statement names its digest, the study, the purposes and a pseudonym, and
nothing else about the person. Where another signed for the person, the statement says in which capacity, and it counts
only until the person can decide for themself (45 CFR 46.408 and 46.102(i); ICH E6(R3), 2.8).
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import clock
from concordat.documents import Keyring, check_period, sign, verify_from
from concordat.fields import STRICT, Digest, MaybeDigest, Slug, Text, Time, Uuid, checked, read
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey, peek

Capacity = Literal["self", "parent", "representative"]
"""In which capacity somebody signs a consent form."""

Regained = Literal["majority", "capacity"]
"""Why a person decides for themself from some day on."""

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def _check_language(tag: str) -> None:
    if not _LANGUAGE.fullmatch(tag):
        raise Refused(Reason.FIELD_INVALID)


Language = Annotated[str, checked(_check_language, "language", "a language is a tag such as de or pt-BR (RFC 5646)")]


@with_config(STRICT)
class Form(TypedDict):
    """The form that was signed: its version, the digest of the signed copy, and the language it is written in."""

    version: Text
    digest: Digest
    language: Language


@with_config(STRICT)
class Signer(TypedDict):
    """Who signed. `assent` is the digest of the child's own assent form beside a parent's signature, else empty."""

    capacity: Capacity
    assent: MaybeDigest


@with_config(STRICT)
class Reconsent(TypedDict):
    """From `on`, only the person's own consent counts."""

    on: Time
    why: Regained


@with_config(STRICT)
class Consent(TypedDict):
    """The statement. `reconsent` is null where the person signed, or where no such day is known."""

    v: Literal[2]
    consent: Uuid
    subject: Uuid
    study: Slug
    purposes: list[Slug]
    institution: Slug
    form: Form
    signer: Signer
    reconsent: Reconsent | None
    given: Time
    until: Time


@with_config(STRICT)
class Withdrawal(TypedDict):
    """From `time` on, nothing is computed or released on the strength of this consent."""

    consent: Uuid
    institution: Slug
    time: Time


@with_config(STRICT)
class CapacityRegained(TypedDict):
    """From `time` on, the person for whom another gave this consent decides for themself."""

    consent: Uuid
    institution: Slug
    why: Regained
    time: Time


def give(
    *,
    consent: str,
    subject: str,
    study: str,
    purposes: Sequence[str],
    institution: str,
    form: Form,
    signer: Signer,
    reconsent: Reconsent | None,
    given: datetime,
    until: datetime,
    key: SigningKey,
) -> str:
    """The institution's signed statement.

    Raises:
        Refused: FIELD_MISSING, FIELD_UNKNOWN or FIELD_INVALID, naming the field: of its form, or because a parent's
            consent needs the child's assent and the day of majority, and a person's own neither.
    """
    statement = {
        "v": 2,
        "consent": consent,
        "subject": subject,
        "study": study,
        "purposes": list(purposes),
        "institution": institution,
        "form": form,
        "signer": signer,
        "reconsent": reconsent,
        "given": clock.rfc3339(given),
        "until": clock.rfc3339(until),
    }
    _check_bodies(read(statement, Consent))
    return sign(statement, Consent, kind="consent", key=key)


def read_consent(token: str, keyring: Keyring) -> Consent:
    """The statement in a JWS signed by the institution that it names, whatever the time."""
    return _check_bodies(verify_from(token, Consent, kind="consent", signer="institution", keyring=keyring))


def peek_consent(token: str) -> Consent:
    """The statement in a JWS whose signature was verified before, or is of no matter. Raises Refused for its shape."""
    return read(peek(token)[1], Consent)


def check_consent(
    token: str, keyring: Keyring, *, subject: str, study: str, purpose: str, institution: str, now: datetime
) -> Consent:
    """The statement, if it covers this person, study, purpose, institution and moment. Withdrawals are looked up apart.

    Raises:
        Refused: CONSENT_MISSING if it covers something else, CONSENT_EXPIRED after its period, RECONSENT_NEEDED from
            the day on which the person decides for themself, and the refusals of signature and shape.
    """
    statement = read_consent(token, keyring)
    about = {"subject": subject, "study": study, "institution": institution}
    for field, expected in about.items():
        if statement[field] != expected:  # type: ignore[literal-required]
            raise Refused(Reason.CONSENT_MISSING, field=f"consent.{field}")
    if purpose not in statement["purposes"]:
        raise Refused(Reason.CONSENT_MISSING, field="consent.purposes")
    check_period(statement["given"], statement["until"], now, expired=Reason.CONSENT_EXPIRED)
    check_reconsent(statement, now)
    return statement


def check_reconsent(statement: Consent, now: datetime) -> None:
    """Raises Refused(RECONSENT_NEEDED) from the day on which the person decides for themself."""
    due = statement["reconsent"]
    if due is not None and now >= clock.parse(due["on"]):
        raise Refused(Reason.RECONSENT_NEEDED, field="consent.reconsent.on")


def withdraw(*, consent: str, institution: str, time: datetime, key: SigningKey) -> str:
    """The institution's signed statement that the person has withdrawn."""
    statement = {"consent": consent, "institution": institution, "time": clock.rfc3339(time)}
    return sign(statement, Withdrawal, kind="withdrawal", key=key)


def read_withdrawal(token: str, keyring: Keyring) -> Withdrawal:
    """The withdrawal in a JWS signed by the institution that it names."""
    return verify_from(token, Withdrawal, kind="withdrawal", signer="institution", keyring=keyring)


def regained_capacity(*, consent: str, institution: str, why: Regained, time: datetime, key: SigningKey) -> str:
    """The institution's signed statement that the person has come of age, or decides for themself again."""
    statement = {"consent": consent, "institution": institution, "why": why, "time": clock.rfc3339(time)}
    return sign(statement, CapacityRegained, kind="capacity", key=key)


def read_capacity(token: str, keyring: Keyring) -> CapacityRegained:
    """The statement in a JWS signed by the institution that it names."""
    return verify_from(token, CapacityRegained, kind="capacity", signer="institution", keyring=keyring)


def _check_bodies(statement: Consent) -> Consent:
    capacity, assent, due = statement["signer"]["capacity"], statement["signer"]["assent"], statement["reconsent"]
    if capacity == "parent":
        if not assent:
            detail = "A parent signs with the child's assent: the digest of its form (45 CFR 46.408)."
            raise Refused(Reason.FIELD_MISSING, detail=detail, field="signer.assent")
        if due is None:
            detail = "A parent's consent ends on the day of majority."
            raise Refused(Reason.FIELD_MISSING, detail=detail, field="reconsent")
        if due["why"] != "majority":
            raise _invalid("reconsent.why", "A parent's consent ends with majority.")
    elif assent:
        raise _invalid("signer.assent", "An assent stands beside a parent's signature only.")
    if capacity == "self" and due is not None:
        raise _invalid("reconsent", "Who signs for themself is not asked again.")
    if due is not None and clock.parse(due["on"]) <= clock.parse(statement["given"]):
        raise _invalid("reconsent.on", "The person could decide for themself when the form was signed.")
    return statement


def _invalid(field: str, detail: str) -> Refused:
    return Refused(Reason.FIELD_INVALID, detail=detail, field=field)
