"""Asking for a prediction: the record is encoded, shared, committed to and sealed before it leaves the hospital.

The signed request holds commitments and the key that results are sealed to, so the coordinator can neither invent a
request nor redirect its answer. The sealed shares travel beside it and open for their party and this request alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import clock, ring, sealing
from concordat.canonical import Json, digest
from concordat.commitments import INPUT_SHARE, SALT_BYTES, Share, commit, new_salt, open_commitment, opening
from concordat.consent import check_consent
from concordat.definition import Definition
from concordat.documents import Keyring, check_period, sign, verify_from
from concordat.enrolment import SealingPublic
from concordat.fields import STRICT, Digest, Slug, Text, Time, Uuid, plain
from concordat.reasons import Reason, Refused
from concordat.ring import Ring
from concordat.sealing import SealingKey
from concordat.signatures import SigningKey

VALID_FOR, LONGEST = timedelta(minutes=15), timedelta(hours=1)


@with_config(STRICT)
class Request(TypedDict):
    """The signed "request" document; `digest(payload)` is its name everywhere else. `output_key` is public."""

    request: Uuid
    requester: Slug
    output_key: SealingPublic
    definition: Digest
    model: Digest
    purpose: Slug
    subject: Uuid
    consent: str
    commitments: dict[Slug, Digest]
    sealing_keys: dict[Slug, Text]
    issued: Time
    expires: Time


@dataclass(frozen=True, repr=False)
class Prepared:
    """What the client makes of one record.

    `token` and `sealed` (by party) are sent. `output_key` opens the answer and stays with the requester, and so do the
    `openings` of the input shares (by party), with which the requester can show later what the record was.
    """

    token: str
    sealed: Mapping[str, str]
    digest: str
    output_key: SealingKey
    openings: Mapping[str, Share]


def prepare(
    vector: NDArray[np.float64],
    *,
    request: str,
    requester: str,
    definition: Definition,
    purpose: str,
    subject: str,
    consent: str,
    party_keys: Mapping[str, str],
    key: SigningKey,
    now: datetime,
    valid_for: timedelta = VALID_FOR,
) -> Prepared:
    """Share and seal one encoded record and sign the request for it.

    Args:
        vector: the encoded record (columns,), from `FeatureSchema.encode_row`.
        request: a fresh UUID; the same one for every repetition of this request.
        consent: the consent statement (JWS).
        party_keys: public sealing keys by party, for exactly the definition's parties.

    Raises:
        Refused: WRONG_PARTY, VALUE_OUT_OF_RANGE, or the refusal of a malformed field.
    """
    parties = definition["parties"]
    if set(party_keys) != set(parties):
        raise Refused(Reason.WRONG_PARTY, detail="A sealing key is needed for each party of the definition.")
    shares = [ring.to_bytes(share) for share in ring.split(ring.encode(vector), len(parties))]
    salts = [new_salt() for _ in parties]
    output_key = SealingKey.generate()
    payload: dict[str, Json] = {
        "request": request,
        "requester": requester,
        "output_key": output_key.public,
        "definition": digest(plain(definition)),
        "model": definition["model"],
        "purpose": purpose,
        "subject": subject,
        "consent": consent,
        "commitments": {
            party: commit(INPUT_SHARE, salt, request, party, index, share)
            for index, (party, salt, share) in enumerate(zip(parties, salts, shares, strict=True))
        },
        "sealing_keys": {party: sealing.sealing_key_id(party_keys[party]) for party in parties},
        "issued": clock.rfc3339(now),
        "expires": clock.rfc3339(now + valid_for),
    }
    token = sign(payload, Request, kind="request", key=key)
    name = digest(payload)
    sealed = {
        party: sealing.seal(party_keys[party], salt + share, context=_context(name, party))
        for party, salt, share in zip(parties, salts, shares, strict=True)
    }
    openings = {party: opening(salt, share) for party, salt, share in zip(parties, salts, shares, strict=True)}
    return Prepared(token, sealed, name, output_key, openings)


def read_request(token: str, keyring: Keyring) -> Request:
    """The request in a JWS signed by the institution that it names as requester, whatever the time."""
    return verify_from(token, Request, kind="request", signer="requester", keyring=keyring)


def check_request(token: str, keyring: Keyring, now: datetime, *, definition: Definition) -> Request:
    """A request that its definition allows and its consent covers, now, and that is valid for an hour at most.

    Raises:
        Refused: EXPIRED, FIELD_INVALID, DIGEST_MISMATCH, REQUESTER_NOT_ALLOWED, PURPOSE_NOT_ALLOWED,
            DEFINITION_EXPIRED, WRONG_PARTY, the refusals of `consent.check_consent`, and those of signature and
            shape. Withdrawals, approvals and votes are checked by whoever holds them.
    """
    request = read_request(token, keyring)
    check_period(request["issued"], request["expires"], now, longest=LONGEST)
    if request["definition"] != digest(plain(definition)):
        raise Refused(Reason.DIGEST_MISMATCH, detail="The request names another definition.", field="definition")
    if request["model"] != definition["model"]:
        raise Refused(Reason.DIGEST_MISMATCH, detail="The request names another model.", field="model")
    if request["requester"] not in definition["requesters"]:
        raise Refused(Reason.REQUESTER_NOT_ALLOWED, field="requester")
    if request["purpose"] not in definition["purposes"]:
        raise Refused(Reason.PURPOSE_NOT_ALLOWED, field="purpose")
    if now >= clock.parse(definition["valid_until"]):
        raise Refused(Reason.DEFINITION_EXPIRED)
    for field in ("commitments", "sealing_keys"):
        if set(request[field]) != set(definition["parties"]):
            raise Refused(Reason.WRONG_PARTY, field=field)
    check_consent(
        request["consent"],
        keyring,
        subject=request["subject"],
        study=definition["study"],
        purpose=request["purpose"],
        institution=request["requester"],
        now=now,
    )
    return request


def open_input(sealed: str, request: Request, *, party: str, parties: list[str], columns: int, key: SealingKey) -> Ring:
    """A party's own share of the record: (columns,) ring elements at 16 bits.

    Args:
        parties: the definition's, in order; a share is committed to with its place among them.

    Raises:
        Refused: WRONG_PARTY, SEAL_BROKEN, COMMITMENT_MISMATCH, or MALFORMED for another number of columns.
    """
    if party not in parties or party not in request["commitments"] or request["sealing_keys"][party] != key.kid:
        raise Refused(Reason.WRONG_PARTY)
    opened = sealing.open(key, sealed, context=_context(digest(plain(request)), party))
    salt, share = opened[:SALT_BYTES], opened[SALT_BYTES:]
    place = parties.index(party)
    if not open_commitment(request["commitments"][party], INPUT_SHARE, salt, request["request"], party, place, share):
        raise Refused(Reason.COMMITMENT_MISMATCH)
    return ring.from_bytes(share, (columns,))


def _context(request: str, party: str) -> dict[str, Json]:
    return {"label": "input", "party": party, "request": request}
