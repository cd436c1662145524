"""Asking for a prediction: the record is encoded, shared, committed to and sealed before it leaves the hospital.

The signed request holds commitments and the key that results are sealed to, so the coordinator can neither invent a
request nor redirect its answer. The sealed shares travel beside it and open for their party and this request alone.
It says on which legal ground the record is used, and which human decides with the result (GDPR Article 22).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le, Len
from numpy.typing import NDArray
from pydantic import Field, with_config
from typing_extensions import TypedDict

from concordat import clock, ring, sealing
from concordat.canonical import Json, digest
from concordat.commitments import INPUT_SHARE, SALT_BYTES, Share, commit, new_salt, open_commitment, opening
from concordat.consent import check_consent, peek_consent
from concordat.definition import MOST_RECORDS, MOST_WHAT_IFS, Definition
from concordat.documents import Keyring, check_period, sign, verify_from
from concordat.enrolment import SealingPublic
from concordat.fields import STRICT, Digest, Slug, Text, Time, Uuid, plain, read
from concordat.legal_basis import Basis, Ground, basis_of
from concordat.reasons import Reason, Refused
from concordat.ring import Ring
from concordat.sealing import SealingKey
from concordat.signatures import SigningKey, peek

VALID_FOR, LONGEST = timedelta(minutes=15), timedelta(hours=1)


Urgency = Literal["routine", "emergent"]
"""Whether the decision can wait for a computation that may fail or take its time."""


@with_config(STRICT)
class RequestBasis(TypedDict):
    """The legal ground of this use, and the consent statement (JWS) where that is the ground; else empty."""

    ground: Annotated[Ground, Field(strict=False)]
    consent: str


@with_config(STRICT)
class Request(TypedDict):
    """The signed "request" document; `digest(payload)` is its name everywhere else. `output_key` is public. `person` is
    the requester's own handle of the clinician who decides with the result: no name, and resolved by nobody else.

    `commitments` are by record and party. Which of the records is a person's, and which are canaries, only the
    requester knows. `what_ifs` is how many variants follow each record.
    """

    v: Literal[3]
    request: Uuid
    requester: Slug
    person: Uuid
    output_key: SealingPublic
    definition: Digest
    model: Digest
    purpose: Slug
    urgency: Urgency
    subject: Uuid
    basis: RequestBasis
    commitments: Annotated[list[dict[Slug, Digest]], Len(1, MOST_RECORDS)]
    what_ifs: Annotated[int, Ge(0), Le(MOST_WHAT_IFS)]
    sealing_keys: dict[Slug, Text]
    issued: Time
    expires: Time


@dataclass(frozen=True, repr=False)
class Prepared:
    """What the client makes of the records of one request.

    `token` and `sealed` (by party) are sent. `output_key` opens the answer and stays with the requester, and so do the
    `openings` of the input shares (by record and party), with which the requester can show later what a record was.
    """

    token: str
    sealed: Mapping[str, str]
    digest: str
    output_key: SealingKey
    openings: Sequence[Mapping[str, Share]]


def prepare(
    records: Sequence[NDArray[np.float64]],
    *,
    secrets: Sequence[Ring] = (),
    request: str,
    requester: str,
    definition: Definition,
    purpose: str,
    person: str,
    subject: str,
    ground: Ground,
    consent: str,
    party_keys: Mapping[str, str],
    key: SigningKey,
    now: datetime,
    urgency: Urgency = "routine",
    valid_for: timedelta = VALID_FOR,
) -> Prepared:
    """Share and seal encoded records and sign the request for them.

    Args:
        records: (1 + w, columns) each: a record as `FeatureSchema.encode_row` encodes it, and w variants of it.
        secrets: of each record what its design has it shared with (`Design.secret`), as ring elements; none at all
            where the design is public.
        request: a fresh UUID; the same one for every repetition of this request.
        person: the handle (UUID) of the clinician who decides with the result.
        ground: the one that the protocol states for this requester and purpose.
        consent: the consent statement (JWS) where consent is the ground, else empty.
        party_keys: public sealing keys by party, for exactly the definition's parties.

    Raises:
        Refused: WRONG_PARTY, VALUE_OUT_OF_RANGE, or the refusal of a malformed field.
    """
    parties = definition["parties"]
    if set(party_keys) != set(parties):
        raise Refused(Reason.WRONG_PARTY, detail="A sealing key is needed for each party of the definition.")
    empty = np.zeros(0, dtype=np.int64)
    numbers = [
        np.concatenate([ring.encode(record).ravel(), secret])
        for record, secret in zip(records, secrets or [empty] * len(records), strict=True)
    ]
    shares = [dict(zip(parties, map(ring.to_bytes, ring.split(each, len(parties))), strict=True)) for each in numbers]
    salts = [{party: new_salt() for party in parties} for _ in records]
    output_key = SealingKey.generate()
    basis: RequestBasis = {"ground": ground, "consent": consent}
    _check_basis(basis)
    payload: dict[str, Json] = {
        "v": 3,
        "request": request,
        "requester": requester,
        "person": person,
        "output_key": output_key.public,
        "definition": digest(plain(definition)),
        "model": definition["model"],
        "purpose": purpose,
        "urgency": urgency,
        "subject": subject,
        "basis": dict(plain(basis)),
        "commitments": [
            {
                party: commit(INPUT_SHARE, salts[place][party], request, party, index, place, share[party])
                for index, party in enumerate(parties)
            }
            for place, share in enumerate(shares)
        ],
        "what_ifs": len(records[0]) - 1,
        "sealing_keys": {party: sealing.sealing_key_id(party_keys[party]) for party in parties},
        "issued": clock.rfc3339(now),
        "expires": clock.rfc3339(now + valid_for),
    }
    token = sign(payload, Request, kind="request", key=key)
    name = digest(payload)
    sealed = {
        party: sealing.seal(
            party_keys[party],
            b"".join(salt[party] + share[party] for salt, share in zip(salts, shares, strict=True)),
            context=_context(name, party),
        )
        for party in parties
    }
    openings = [
        {party: opening(salt[party], share[party]) for party in parties}
        for salt, share in zip(salts, shares, strict=True)
    ]
    return Prepared(token, sealed, name, output_key, openings)


def read_request(token: str, keyring: Keyring) -> Request:
    """The request in a JWS signed by the institution that it names as requester, whatever the time."""
    found = verify_from(token, Request, kind="request", signer="requester", keyring=keyring)
    _check_basis(found["basis"])
    return found


def peek_request(token: str) -> Request:
    """The request in a JWS whose signature was verified before, or is of no matter. Raises Refused for its shape."""
    return read(peek(token)[1], Request)


def named_consent(request: Request) -> str:
    """The identifier of the consent that the request rests on, or empty. Raises Refused for what is no consent."""
    token = request["basis"]["consent"]
    return peek_consent(token)["consent"] if token else ""


def check_request(
    token: str, keyring: Keyring, now: datetime, *, definition: Definition, bases: Sequence[Basis]
) -> Request:
    """A request that its definition allows and its legal ground covers, now, and that is valid for an hour at most.

    Args:
        bases: those of the protocol that the definition names.

    Raises:
        Refused: EXPIRED, FIELD_INVALID, DIGEST_MISMATCH, REQUESTER_NOT_ALLOWED, PURPOSE_NOT_ALLOWED,
            DEFINITION_EXPIRED, WRONG_PARTY, KIND_NOT_ALLOWED, EMERGENT_USE_REFUSED, LEGAL_BASIS_MISSING,
            with consent as the ground the refusals of `consent.check_consent`, and those of signature and shape. What
            other grounds ask for, withdrawals, approvals and votes are checked by whoever holds them.
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
    check_shares(request, definition)
    check_kind(definition)
    check_urgency(request, definition)
    if check_ground(request, bases) is Ground.CONSENT:
        check_consent(
            request["basis"]["consent"],
            keyring,
            subject=request["subject"],
            study=definition["study"],
            purpose=request["purpose"],
            institution=request["requester"],
            now=now,
        )
    return request


def check_kind(definition: Definition) -> None:
    """A prediction is asked for under a definition to explain. Raises Refused(KIND_NOT_ALLOWED)."""
    if definition["kind"] != "explain":
        detail = f"The definition is for the kind “{definition['kind']}”; a prediction needs “explain”."
        raise Refused(Reason.KIND_NOT_ALLOWED, detail=detail, field="definition")


def check_urgency(request: Request, definition: Definition) -> None:
    """Raises Refused(EMERGENT_USE_REFUSED) for an emergent use that the definition does not allow."""
    if request["urgency"] == "emergent" and not definition["emergent"]:
        raise Refused(Reason.EMERGENT_USE_REFUSED, field="urgency")


def check_ground(request: Request, bases: Sequence[Basis]) -> Ground:
    """The ground of the request, which is the one that the protocol states for this requester and purpose.

    Raises:
        Refused: LEGAL_BASIS_MISSING for another, or if none is stated.
    """
    stated = basis_of(bases, institution=request["requester"], purpose=request["purpose"])["ground"]
    claimed = request["basis"]["ground"]
    if claimed != stated:
        detail = f"The protocol states the ground “{stated}” for this use, and the request claims “{claimed}”."
        raise Refused(Reason.LEGAL_BASIS_MISSING, detail=detail, field="basis.ground")
    return Ground(stated)


def open_input(
    sealed: str, request: Request, *, party: str, parties: list[str], columns: int, key: SealingKey, secrets: int = 0
) -> list[Ring]:
    """A party's own share of each record: in one row, (1 + w)·columns ring elements at 16 bits of the record and its
    variants, and the `secrets` of its design.

    Args:
        parties: the definition's, in order; a share is committed to with its place among them.
        secrets: how many there are (`Plan.secrets`).

    Raises:
        Refused: WRONG_PARTY, SEAL_BROKEN, COMMITMENT_MISMATCH, or MALFORMED for another number of columns or secrets.
    """
    if party not in parties or request["sealing_keys"].get(party) != key.kid:
        raise Refused(Reason.WRONG_PARTY)
    opened = sealing.open(key, sealed, context=_context(digest(plain(request)), party))
    index, commitments = parties.index(party), request["commitments"]
    size = len(opened) // len(commitments)
    found = []
    for place, commitment in enumerate(commitments):
        salt, share = opened[place * size :][:SALT_BYTES], opened[place * size + SALT_BYTES : (place + 1) * size]
        name = request["request"]
        if not open_commitment(commitment[party], INPUT_SHARE, salt, name, party, index, place, share):
            raise Refused(Reason.COMMITMENT_MISMATCH)
        found.append(ring.from_bytes(share, ((1 + request["what_ifs"]) * columns + secrets,)))
    return found


def check_shares(request: Request, definition: Definition) -> None:
    """There is one share for each party, of as many records as the definition says, with no more what-ifs.

    Raises:
        Refused: WRONG_PARTY, or FIELD_INVALID naming the field.
    """
    if set(request["sealing_keys"]) != set(definition["parties"]):
        raise Refused(Reason.WRONG_PARTY, field="sealing_keys")
    if any(set(commitments) != set(definition["parties"]) for commitments in request["commitments"]):
        raise Refused(Reason.WRONG_PARTY, field="commitments")
    records = 1 + definition["canaries"]
    if len(request["commitments"]) != records:
        detail = f"The definition asks for {records} records in a request: one to explain, the others canaries."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="commitments")
    if request["what_ifs"] > definition["what_ifs"]:
        detail = f"The definition allows {definition['what_ifs']} what-ifs with a record."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="what_ifs")


def _check_basis(basis: RequestBasis) -> None:
    if bool(basis["consent"]) != (basis["ground"] == Ground.CONSENT):
        detail = "A consent stands in the request where consent is its ground, and nowhere else."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="basis.consent")


def _context(request: str, party: str) -> dict[str, Json]:
    return {"label": "input", "party": party, "request": request}
