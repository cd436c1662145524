"""A node's answer to a ticket: a signed acceptance, or a signed refusal that names its reason."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

from annotated_types import Ge
from pydantic import AfterValidator, with_config
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from concordat import clock, signatures
from concordat.canonical import digest
from concordat.definition import Role, nodes
from concordat.documents import Keyring, sign, verify_from
from concordat.fields import STRICT, Digest, Slug, Text, Time, Uuid, plain
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey
from concordat.ticket import Ticket


def _reason(value: str) -> str:
    if value not in set(Reason):
        raise PydanticCustomError("reason", "a refusal names one of the reason codes")
    return value


@with_config(STRICT)
class Acceptance(TypedDict):
    """A reserved engine slot until `expires`, at `address` (host:port) and with this very `certificate` (base64url of
    DER), which its engine made for this job and no other engine can show.

    `dealt` says whether the node holds its part of the ticket's batch since an earlier job. Where all nodes do, it is
    used, and otherwise it is dealt in the job.

    `ticket_digest` is the whole ticket's: who accepts one for this request accepts it for no other.
    """

    ticket: Uuid
    ticket_digest: Digest
    job: Uuid
    node: Slug
    role: Role
    rank: Annotated[int, Ge(0)]
    address: Text
    certificate: Text
    dealt: bool
    expires: Time


@with_config(STRICT)
class Refusal(TypedDict):
    """`reason` is a code of `concordat.reasons`: the sentence belongs to the reader's language."""

    ticket: Uuid
    ticket_digest: Digest
    job: Uuid
    node: Slug
    reason: Annotated[str, AfterValidator(_reason)]
    time: Time


def accept(
    ticket: Ticket,
    *,
    node: str,
    address: str,
    certificate: str,
    dealt: bool = False,
    expires: datetime,
    key: SigningKey,
) -> str:
    """Accept a ticket in the role and rank that it gives this node.

    Raises:
        Refused: WRONG_PARTY if the ticket names the node neither as party nor as dealer.
    """
    role, rank = place(ticket, node)
    payload = {
        "ticket": ticket["ticket"],
        "ticket_digest": digest(plain(ticket)),
        "job": ticket["job"],
        "node": node,
        "role": role,
        "rank": rank,
        "address": address,
        "certificate": certificate,
        "dealt": dealt,
        "expires": clock.rfc3339(expires),
    }
    return sign(payload, Acceptance, kind="acceptance", key=key)


def refuse(ticket: Ticket, *, node: str, reason: Reason, time: datetime, key: SigningKey) -> str:
    """Refuse a ticket for a reason that the other institutions may know."""
    payload = {
        "ticket": ticket["ticket"],
        "ticket_digest": digest(plain(ticket)),
        "job": ticket["job"],
        "node": node,
        "reason": str(reason),
        "time": clock.rfc3339(time),
    }
    return sign(payload, Refusal, kind="refusal", key=key)


def place(ticket: Ticket, node: str) -> tuple[Role, int]:
    """A node's role and rank in a job: parties in the ticket's order, then the dealer. Raises Refused(WRONG_PARTY)."""
    if node in ticket["parties"]:
        return "party", ticket["parties"].index(node)
    if node == ticket["dealer"]:
        return "dealer", len(ticket["parties"])
    raise Refused(Reason.WRONG_PARTY)


def read_answer(token: str, keyring: Keyring, ticket: Ticket) -> Acceptance | Refusal:
    """A node's signed answer to this very ticket; a refusal is the one that has a `reason`.

    Raises:
        Refused: WRONG_PARTY, CONFLICT if it answers another ticket, or the refusals of signature and shape.
    """
    header, _ = signatures.peek(token)
    if header.get("typ") == "concordat.refusal+jws":
        refusal = verify_from(token, Refusal, kind="refusal", signer="node", keyring=keyring)
        _check_same(refusal, ticket)
        place(ticket, refusal["node"])
        return refusal
    return check_acceptance(token, keyring, ticket)


def check_acceptance(token: str, keyring: Keyring, ticket: Ticket, *, now: datetime | None = None) -> Acceptance:
    """One node's acceptance of this very ticket, not lapsed at `now`.

    Raises:
        Refused: WRONG_PARTY, CONFLICT, FIELD_INVALID, EXPIRED, or the refusals of signature and shape.
    """
    acceptance = verify_from(token, Acceptance, kind="acceptance", signer="node", keyring=keyring)
    _check_same(acceptance, ticket)
    role, rank = place(ticket, acceptance["node"])
    if (acceptance["role"], acceptance["rank"]) != (role, rank):
        raise Refused(Reason.WRONG_PARTY, detail="The node claims another role or rank.", field="rank")
    if now is not None and now >= clock.parse(acceptance["expires"]):
        raise Refused(Reason.EXPIRED, field="expires")
    return acceptance


def check_acceptances(
    tokens: Sequence[str], keyring: Keyring, ticket: Ticket, *, now: datetime
) -> dict[str, Acceptance]:
    """Every node's acceptance, by node: no engine starts before this holds.

    Raises:
        Refused: NODE_SILENT if a node's acceptance is missing, CONFLICT if one stands twice, or what
            :func:`check_acceptance` refuses.
    """
    acceptances = [check_acceptance(token, keyring, ticket, now=now) for token in tokens]
    by_node = {acceptance["node"]: acceptance for acceptance in acceptances}
    if len(by_node) != len(acceptances):
        raise Refused(Reason.CONFLICT, detail="A node has accepted twice.")
    for node in nodes(ticket):
        if node not in by_node:
            raise Refused(Reason.NODE_SILENT, detail=f"There is no acceptance of {node}.")
    return by_node


def same_engines(acceptances: Sequence[Mapping[str, Acceptance]]) -> Mapping[str, Acceptance]:
    """The first of these, by node, if all name the same engines: then their tickets are computed together at all nodes.

    Raises:
        Refused: CONFLICT naming the node that has accepted one with another engine than the rest.
    """
    first = acceptances[0]
    for each in acceptances:
        for node, acceptance in each.items():
            if any(acceptance[name] != first[node][name] for name in ("address", "certificate", "dealt")):
                raise Refused(Reason.CONFLICT, detail="A node has one engine for all of them.", field=node)
    return first


def _check_same(answer: Acceptance | Refusal, ticket: Ticket) -> None:
    named = (answer["ticket"], answer["ticket_digest"], answer["job"])
    if named != (ticket["ticket"], digest(plain(ticket)), ticket["job"]):
        raise Refused(Reason.CONFLICT, detail="This answers another ticket.", field="ticket")
