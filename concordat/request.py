"""The signed request for a prediction, an audit or a training, and what it has to satisfy.

It holds commitments and the key that results are sealed to, so the coordinator can neither invent a request nor
redirect its answer. It says on which legal ground the record is used, and which human decides with the result (GDPR
Article 22). `concordat.asking` makes it, and what is sealed with it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal

from annotated_types import Ge, Le, Len
from pydantic import Field, with_config
from typing_extensions import TypedDict

from concordat import clock
from concordat.canonical import digest
from concordat.consent import check_consent, peek_consent
from concordat.definition import MOST_RECORDS, MOST_WHAT_IFS, Definition, Kind
from concordat.documents import Keyring, check_period, verify_from
from concordat.enrolment import SealingPublic
from concordat.fields import STRICT, Digest, Slug, Text, Time, Uuid, plain, read
from concordat.legal_basis import Basis, Ground, basis_of
from concordat.reasons import Reason, Refused
from concordat.signatures import peek

LONGEST = timedelta(hours=1)
"""For which a request is valid at most."""

OF_MANY: tuple[Kind, ...] = ("audit", "train")
"""The kinds of definitions whose computations are about many people, over rows that institutions bring."""

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
    requester knows. `what_ifs` is how many variants follow each record. Of an audit or a training there are no
    commitments and no `sealing_keys`, and `subject` is a name for it alone, which is about nobody in particular.
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
    commitments: Annotated[list[dict[Slug, Digest]], Len(0, MOST_RECORDS)]
    what_ifs: Annotated[int, Ge(0), Le(MOST_WHAT_IFS)]
    sealing_keys: dict[Slug, Text]
    issued: Time
    expires: Time


def read_request(token: str, keyring: Keyring) -> Request:
    """The request in a JWS signed by the institution that it names as requester, whatever the time."""
    found = verify_from(token, Request, kind="request", signer="requester", keyring=keyring)
    check_basis(found["basis"])
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
            DEFINITION_EXPIRED, WRONG_PARTY, EMERGENT_USE_REFUSED, LEGAL_BASIS_MISSING,
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
    check_urgency(request["urgency"], definition)
    check_contributors(definition, bases, request["purpose"])
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


def check_kind(definition: Definition, kind: Kind) -> None:
    """A prediction is asked for under a definition to explain, an audit under one to audit, a training under one to
    train. Raises Refused(KIND_NOT_ALLOWED)."""
    if definition["kind"] != kind:
        detail = f"The definition is for the kind “{definition['kind']}”; this needs “{kind}”."
        raise Refused(Reason.KIND_NOT_ALLOWED, detail=detail, field="definition")


def check_urgency(urgency: Urgency, definition: Definition) -> None:
    """Raises Refused(EMERGENT_USE_REFUSED) for an emergent use that the definition does not allow."""
    if urgency == "emergent" and not definition["emergent"]:
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


def check_shares(request: Request, definition: Definition) -> None:
    """There is one share for each party, of as many records as the definition says, with no more what-ifs; of an
    audit and a training there is none.

    Raises:
        Refused: WRONG_PARTY, or FIELD_INVALID naming the field.
    """
    many = definition["kind"] in OF_MANY
    if set(request["sealing_keys"]) != (set() if many else set(definition["parties"])):
        raise Refused(Reason.WRONG_PARTY, field="sealing_keys")
    if any(set(commitments) != set(definition["parties"]) for commitments in request["commitments"]):
        raise Refused(Reason.WRONG_PARTY, field="commitments")
    records = 0 if many else 1 + definition["canaries"]
    if len(request["commitments"]) != records:
        detail = f"The definition asks for {records} records in a request: one to explain, the others canaries."
        if many:
            detail = "Rows are brought by the parties' own institutions, and by no request."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="commitments")
    if request["what_ifs"] > definition["what_ifs"]:
        detail = f"The definition allows {definition['what_ifs']} what-ifs with a record."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="what_ifs")


def check_contributors(definition: Definition, bases: Sequence[Basis], purpose: str) -> list[str]:
    """Of a computation about many people every party's institution uses its own patients' data, and so does whoever
    asks: each on a ground of its own for this purpose, which is nobody's consent. Answers whose patients' data are
    used. Raises Refused(LEGAL_BASIS_MISSING)."""
    if definition["kind"] not in OF_MANY:
        return []
    contributors = list(dict.fromkeys([*definition["parties"], *definition["requesters"]]))
    for institution in contributors:
        check_of_many(basis_of(bases, institution=institution, purpose=purpose)["ground"])
    return contributors


def check_of_many(ground: str) -> None:
    """Raises Refused(LEGAL_BASIS_MISSING) for a ground that is one person's own."""
    if ground == Ground.CONSENT:
        detail = "A computation about many people rests on another ground than one person's consent."
        raise Refused(Reason.LEGAL_BASIS_MISSING, detail=detail, field="basis.ground")


def check_basis(basis: RequestBasis) -> None:
    """Raises Refused(FIELD_INVALID) for a consent beside another ground, or for none where it is the ground."""
    if bool(basis["consent"]) != (basis["ground"] == Ground.CONSENT):
        detail = "A consent stands in the request where consent is its ground, and nowhere else."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="basis.consent")
