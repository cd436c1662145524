"""Making a request, and opening what was sealed with it.

The record is encoded, shared, committed to and sealed before it leaves the hospital; a party's node opens its own
share. Of an audit or a training the nodes' own institutions bring the rows, so that nothing is sealed to anybody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from concordat import clock, ring, sealing
from concordat.canonical import Json, digest
from concordat.commitments import INPUT_SHARE, SALT_BYTES, Share, commit, new_salt, open_commitment, opening
from concordat.definition import Definition
from concordat.documents import sign
from concordat.fields import plain
from concordat.legal_basis import Ground
from concordat.reasons import Reason, Refused
from concordat.request import Request, RequestBasis, Urgency, check_basis, check_of_many
from concordat.ring import Ring
from concordat.sealing import SealingKey
from concordat.signatures import SigningKey

VALID_FOR = timedelta(minutes=15)


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
    asked = _asked(request, requester, definition, purpose=purpose, person=person, ground=ground, consent=consent)
    payload: dict[str, Json] = {
        **asked,
        "output_key": output_key.public,
        "urgency": urgency,
        "subject": subject,
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


def prepare_of_many(
    *,
    request: str,
    requester: str,
    definition: Definition,
    purpose: str,
    person: str,
    ground: Ground,
    key: SigningKey,
    now: datetime,
    valid_for: timedelta = VALID_FOR,
) -> Prepared:
    """Sign a request for an audit or a training, and make the key that opens an audit's counts.

    Args:
        person: the handle (UUID) of who asks on the requester's behalf.
        ground: the one that the protocol states for this requester and purpose; it is not consent.

    Raises:
        Refused: LEGAL_BASIS_MISSING, or the refusal of a malformed field.
    """
    check_of_many(ground)
    output_key = SealingKey.generate()
    payload: dict[str, Json] = {
        **_asked(request, requester, definition, purpose=purpose, person=person, ground=ground, consent=""),
        "output_key": output_key.public,
        "urgency": "routine",
        "subject": str(uuid4()),
        "commitments": [],
        "what_ifs": 0,
        "sealing_keys": {},
        "issued": clock.rfc3339(now),
        "expires": clock.rfc3339(now + valid_for),
    }
    token = sign(payload, Request, kind="request", key=key)
    return Prepared(token, {}, digest(payload), output_key, [])


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


def _asked(
    request: str, requester: str, definition: Definition, *, purpose: str, person: str, ground: Ground, consent: str
) -> dict[str, Json]:
    """What every request says. Raises Refused as `check_basis` does."""
    basis: RequestBasis = {"ground": ground, "consent": consent}
    check_basis(basis)
    return {
        "v": 3,
        "request": request,
        "requester": requester,
        "person": person,
        "definition": digest(plain(definition)),
        "model": definition["model"],
        "purpose": purpose,
        "basis": dict(plain(basis)),
    }


def _context(request: str, party: str) -> dict[str, Json]:
    return {"label": "input", "party": party, "request": request}
