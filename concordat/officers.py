"""An officer's signature on a record, in the sense of 21 CFR Part 11: who, when, with which meaning, on which content.

The statement is what the officer sees and signs. With a passkey its digest is the WebAuthn challenge, so anybody can
verify off line and years later that this officer, listed in the roster which the institution's offline key signed, put
this meaning to this content. A signature made with an authenticator app can only be *attested* by the coordinator.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import clock, passkeys
from concordat.enrolment import Officer, Roster
from concordat.fields import STRICT, Digest, Slug, Text, Time, plain, read
from concordat.passkeys import Assertion
from concordat.reasons import Reason, Refused

Method = Literal["passkey", "unlisted-passkey", "totp"]
"""How the signer proved to be present. Only `passkey`, one that the roster lists, can be verified by anyone; an unlisted
one, or password and code of an authenticator app, the coordinator attests."""

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
    """A statement with the passkey's answer to it."""

    statement: Statement
    assertion: Assertion


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
        rosters: verified rosters of the institution; the one in force at the time of signing counts.
        origin: the address of the site on which officers sign.

    Raises:
        Refused: SIGNATURE_INVALID if something else was signed; ATTESTED_ONLY without a passkey; ROSTER_MISSING;
            PASSKEY_INVALID; and what :func:`concordat.fields.read` refuses.
    """
    document = read(signed, Signed)
    statement = document["statement"]
    if statement["method"] != "passkey":
        raise Refused(Reason.ATTESTED_ONLY)
    expected = {"record": record, "record_kind": record_kind, "institution": institution}
    for field, value in expected.items():
        if statement[field] != value:  # type: ignore[literal-required]
            raise Refused(Reason.SIGNATURE_INVALID, detail="The officer signed something else.", field=field)
    officer = _officer(rosters, document)
    passkeys.verify_assertion(
        plain(document["assertion"]),
        credential=officer["credential"],
        key=officer["key"],
        challenge=passkeys.challenge(plain(statement)),
        rp_id=urlsplit(origin).hostname or "",
        origin=origin,
    )
    return statement


def _officer(rosters: Iterable[Roster], document: Signed) -> Officer:
    """The signer's line in the roster that was in force when they signed."""
    statement = document["statement"]
    signed = clock.parse(statement["time"])
    counted = [each for each in rosters if clock.parse(each.document["issued"]) <= signed]
    if not counted:
        raise Refused(Reason.ROSTER_MISSING, detail=f"{statement['institution']} had no roster at that time.")
    roster = max(counted, key=lambda each: each.document["version"])
    officer = roster.officer(document["assertion"]["credential"])
    for field, value in (("signer", officer["officer"]), ("name", officer["name"]), ("role", officer["role"])):
        if statement[field] != value:  # type: ignore[literal-required]
            raise Refused(Reason.SIGNATURE_INVALID, detail="The roster lists another officer.", field=field)
    return officer
