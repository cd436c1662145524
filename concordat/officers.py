"""An officer's signature on a record, in the sense of 21 CFR Part 11: who, when, with which meaning, on which content.

The statement is what the officer sees and signs. With a passkey its digest is the WebAuthn challenge, so anybody can
verify off line and years later that this officer, listed in the roster which the institution's offline key signed, put
this meaning to this content. A signature made with an authenticator app can only be *attested* by the coordinator.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import clock, passkeys
from concordat.canonical import digest
from concordat.enrolment import Roster
from concordat.fields import STRICT, Digest, Slug, Text, Time, plain, read
from concordat.passkeys import Assertion
from concordat.reasons import Reason, Refused

Method = Literal["passkey", "unlisted-passkey", "totp"]
"""How the signer proved to be present. Anyone can verify a `passkey`, one that the roster lists; an unlisted one, or
password and code of an authenticator app, the coordinator attests."""

METHODS: tuple[Method, ...] = get_args(Method)


@with_config(STRICT)
class Statement(TypedDict):
    """What is signed. `record` is the digest of the document of kind `record_kind`; `signer` is the officer's handle in
    the institution's roster; `study` and `state` are empty where the record is about no study."""

    record: Digest
    record_kind: Slug
    meaning: Slug
    signer: Text
    name: Text
    role: Slug
    institution: Slug
    study: str
    state: str
    method: Method
    nonce: Text
    time: Time


@with_config(STRICT)
class Signed(TypedDict):
    """A statement with the passkey's answer to it; null where the coordinator attests the signature."""

    statement: Statement
    assertion: Assertion | None


def verify(
    signed: Mapping[str, Any],
    *,
    record: str,
    record_kind: str,
    institution: str,
    rosters: Iterable[Roster],
    origin: str,
) -> Statement:
    """The statement in an officer's passkey signature on the record of this digest.

    Args:
        rosters: verified rosters; of the institution's, the one in force at the time of signing counts.
        origin: the address of the site on which officers sign.

    Raises:
        Refused: ATTESTED_ONLY without a passkey; SIGNATURE_INVALID if something else was signed; ROSTER_MISSING;
            CONFLICT between two rosters of one version; PASSKEY_INVALID; what :func:`concordat.fields.read` refuses.
    """
    document = read(signed, Signed)
    statement, assertion = document["statement"], document["assertion"]
    if statement["method"] != "passkey":
        raise Refused(Reason.ATTESTED_ONLY)
    if assertion is None:
        raise Refused(Reason.PASSKEY_INVALID, detail="The passkey's answer is missing.", field="assertion")
    _check_says(statement, {"record": record, "record_kind": record_kind, "institution": institution})
    roster = in_force(rosters, institution, clock.parse(statement["time"]))
    officer = roster.officer(assertion["credential"])
    _check_says(statement, {"signer": officer["officer"], "name": officer["name"], "role": officer["role"]})
    passkeys.verify_assertion(
        plain(assertion),
        credential=officer["credential"],
        key=officer["key"],
        challenge=passkeys.challenge(plain(statement)),
        rp_id=urlsplit(origin).hostname or "",
        origin=origin,
    )
    return statement


def verify_record(
    document: Mapping[str, Any],
    signed: Mapping[str, Any],
    *,
    record_kind: str,
    meaning: str,
    institution: str,
    roles: Collection[str],
    rosters: Iterable[Roster],
    origin: str,
) -> Statement:
    """The statement of an officer in one of these roles, who put this meaning to this document about its own study.

    Raises:
        Refused: SIGNATURE_INVALID for another meaning or study; ROLE_MISSING; and what :func:`verify` refuses.
    """
    statement = verify(
        signed,
        record=digest(document),
        record_kind=record_kind,
        institution=institution,
        rosters=rosters,
        origin=origin,
    )
    _check_says(statement, {"meaning": meaning, "study": str(document.get("study", ""))})
    if statement["role"] not in roles:
        detail = f"“{statement['role']}” may not sign this; one of these may: {', '.join(sorted(roles))}."
        raise Refused(Reason.ROLE_MISSING, detail=detail, field="role")
    return statement


def in_force(rosters: Iterable[Roster], institution: str, time: datetime) -> Roster:
    """The institution's roster of the highest version that had been issued by then.

    Raises:
        Refused: ROSTER_MISSING; CONFLICT if the institution signed two different ones under that version.
    """
    own = [roster for roster in rosters if roster.document["institution"] == institution]
    issued = [roster for roster in own if clock.parse(roster.document["issued"]) <= time]
    if not issued:
        raise Refused(Reason.ROSTER_MISSING, detail=f"{institution} had no signed roster at that time.")
    last = max(issued, key=lambda roster: roster.document["version"])
    version = last.document["version"]
    if any(roster.document["version"] == version and roster.document != last.document for roster in own):
        raise Refused(Reason.CONFLICT, detail=f"{institution} signed two rosters of version {version}.")
    return last


def _check_says(statement: Statement, expected: Mapping[str, str]) -> None:
    for field, value in expected.items():
        if statement[field] != value:  # type: ignore[literal-required]
            raise Refused(Reason.SIGNATURE_INVALID, detail="The officer signed something else.", field=field)
