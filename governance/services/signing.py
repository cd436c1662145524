"""Electronic signatures of officers (21 CFR Part 11): a statement of what is signed, and the proof that they signed it.

An *act* is something that an officer does by signing. What it would do is prepared when it is asked for and prepared
again when the signature comes: a roster, role, protocol or state that has changed meanwhile makes another statement,
and the old one can no longer be signed. `governance.acts` lists the acts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.models import User

from concordat import clock, passkeys
from concordat.canonical import Json, digest
from concordat.officers import METHODS, Method, Statement
from concordat.reasons import Reason, Refused
from governance import permissions, selectors
from governance.models import Institution, OfficerProfile, Passkey, Signature, SigningChallenge, Study
from governance.models.signature import new_nonce
from governance.permissions import Verb
from governance.services import challenges
from governance.services.sign_in import SecondFactor


@dataclass(frozen=True)
class Ask:
    """Who wants to sign what. `moment` is when it was shown; `identifier` names what the act may make."""

    by: User
    fields: Mapping[str, Any]
    moment: datetime
    identifier: UUID


@dataclass(frozen=True)
class Prepared:
    """The record that is to be signed, for which institution, with which meaning, in which roles.

    `urgent`: a signature that only the coordinator can attest is better than none at night, on a telephone, without the
    listed passkey."""

    record_kind: str
    document: Mapping[str, Json]
    meaning: str
    institution: Institution
    roles: frozenset[str]
    study: Study | None = None
    urgent: bool = False


@dataclass(frozen=True)
class Act:
    """What an officer does by signing.

    `prepare` refuses whatever forbids the act, and answers with the record; `perform` does it, in the transaction of
    the signature, and records it.
    """

    name: str
    verb: Verb
    prepare: Callable[[Ask], Prepared]
    perform: Callable[[Ask, Prepared, Signature], object]


def challenge(act: Act, *, by: User, fields: Mapping[str, Any], method: str = "passkey") -> SigningChallenge:
    """The statement that this officer is about to sign, inside the caller's transaction.

    Raises:
        Refused: what stands in the way of the act; FIELD_INVALID for an unknown method; ROSTER_MISSING for a passkey
            that the institution's signed roster does not list.
    """
    if method not in ("passkey", "totp"):
        detail = "Sign with a passkey, or with password and code (totp)."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="method")
    ask = Ask(by, dict(fields), clock.now(), uuid4())
    nonce = new_nonce()
    prepared = act.prepare(ask)
    signer = _signer(by, prepared, method)
    return SigningChallenge.objects.create(
        user=by,
        act=act.name,
        fields=dict(fields),
        identifier=ask.identifier,
        nonce=nonce,
        statement=_statement(prepared, signer, nonce, ask.moment),
        credential=signer.credential,
        expires=ask.moment + challenges.WINDOW,
    )


def accept(
    act: Act,
    asked: SigningChallenge,
    *,
    by: User,
    assertion: Mapping[str, Any] | None = None,
    confirmed: SecondFactor | None = None,
) -> tuple[Ask, Prepared, Signature]:
    """Verify the proof for a challenge that has just been used up, and keep the signature; the caller's transaction.

    Args:
        assertion: the passkey's answer, or
        confirmed: when password and code were confirmed, after the statement was shown.

    Raises:
        Refused: CONFLICT if the record has changed since; PASSKEY_INVALID; and what stands in the way of the act.
    """
    statement: Mapping[str, Any] = asked.statement
    ask = Ask(by, asked.fields, clock.parse(statement["time"]), asked.identifier)
    prepared = act.prepare(ask)
    signer = _signer(by, prepared, "totp" if statement["method"] == "totp" else "passkey")
    if _statement(prepared, signer, asked.nonce, ask.moment) != statement:
        raise Refused(Reason.CONFLICT, detail="The record has changed since you read it; read it again and sign anew.")
    if signer.method == "totp":
        if confirmed is None or confirmed.at < ask.moment:
            raise Refused(Reason.SECOND_FACTOR_MISSING, detail="Confirm password and code for this signature.")
    else:
        passkeys.verify_assertion(
            assertion or {},
            credential=signer.credential,
            key=signer.key,
            challenge=passkeys.challenge(statement),
            rp_id=challenges.rp_id(),
            origin=challenges.origin(),
        )
    signature = Signature.objects.create(
        officer=challenges.officer_of(by),
        institution=prepared.institution,
        study=prepared.study,
        printed_name=signer.name,
        role=signer.role,
        meaning=prepared.meaning,
        record_kind=prepared.record_kind,
        record=statement["record"],
        document=dict(prepared.document),
        signed=ask.moment,
        method=signer.method,
        statement=dict(statement),
        assertion={} if signer.method == "totp" else dict(assertion or {}),
    )
    return ask, prepared, signature


@dataclass(frozen=True)
class _Signer:
    handle: str
    name: str
    role: str
    method: Method
    credential: str = ""
    key: str = ""


def _signer(by: User, prepared: Prepared, method: str) -> _Signer:
    """As what this officer signs: by the line in the roster in force where it lists a passkey of theirs."""
    officer = challenges.officer_of(by)
    roles = sorted(prepared.roles & permissions.roles_at(by, prepared.institution))
    if not roles:
        raise Refused(Reason.ROLE_MISSING, detail=f"This needs another role at {prepared.institution}.")
    if method == "totp":
        return _Signer(str(officer.uuid), officer.name, roles[0], "totp")
    registered = dict(Passkey.objects.filter(officer=officer).order_by("registered").values_list("credential", "key"))
    roster = selectors.roster(prepared.institution)
    for line in roster.officers if roster else ():
        if registered.get(line["credential"]) == line["key"] and line["role"] in roles:
            return _Signer(line["officer"], line["name"], line["role"], "passkey", line["credential"], line["key"])
    if prepared.urgent and registered:
        credential, key = list(registered.items())[-1]
        return _Signer(str(officer.uuid), officer.name, roles[0], "unlisted-passkey", credential, key)
    detail = f"{prepared.institution}'s signed roster lists no passkey of yours for this."
    raise Refused(Reason.ROSTER_MISSING, detail=detail)


def _statement(prepared: Prepared, signer: _Signer, nonce: str, time: datetime) -> dict[str, Any]:
    assert signer.method in METHODS
    statement: Statement = {
        "record": digest(prepared.document),
        "record_kind": prepared.record_kind,
        "meaning": prepared.meaning,
        "signer": signer.handle,
        "name": signer.name,
        "role": signer.role,
        "institution": prepared.institution.slug,
        "study": prepared.study.slug if prepared.study else "",
        "state": prepared.study.state_at(time) if prepared.study else "",
        "method": signer.method,
        "nonce": nonce,
        "time": clock.rfc3339(time),
    }
    return dict(statement)


def officer_uuid(by: User) -> UUID:
    """What the log's commitments call this officer. Raises Refused(ROLE_MISSING) for a user who is none."""
    return OfficerProfile.objects.values_list("uuid", flat=True).get(pk=challenges.officer_of(by).pk)
