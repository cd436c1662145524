"""The coordinator's ticket: it invites nodes to one job, once and for minutes, and authorises nothing by itself."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from annotated_types import Ge, Len
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import clock
from concordat.canonical import digest
from concordat.definition import Definition
from concordat.documents import check_period, sign, verify
from concordat.fields import STRICT, Digest, Slug, Time, Uuid, plain
from concordat.reasons import Reason, Refused
from concordat.request import Request
from concordat.signatures import SigningKey, VerifyKey

VALID_FOR, LONGEST = timedelta(minutes=5), timedelta(minutes=10)

MOST_AHEAD = 4
"""Batches of correlated randomness that are dealt in one job for later ones, at most."""

AHEAD_FOR = timedelta(days=1)
"""How long such a batch waits for its job."""


@with_config(STRICT)
class Ticket(TypedDict):
    """`request`, `definition`, `model` and `design` are digests; `batch` names the correlated randomness, and `ahead`
    the batches that are dealt in this job for later ones of the same definition.

    `verdict` is the log index of the coordinator's decision and `epoch` the state of authority that it was taken in.
    """

    ticket: Uuid
    job: Uuid
    request: Digest
    definition: Digest
    model: Digest
    design: Digest
    parties: list[Slug]
    dealer: Slug
    epoch: Annotated[int, Ge(0)]
    batch: Uuid
    ahead: Annotated[list[Uuid], Len(0, MOST_AHEAD)]
    verdict: Annotated[int, Ge(0)]
    issued: Time
    expires: Time


def issue(
    *,
    ticket: str,
    job: str,
    request: Request,
    definition: Definition,
    epoch: int,
    batch: str,
    ahead: Sequence[str] = (),
    verdict: int,
    key: SigningKey,
    now: datetime,
    valid_for: timedelta = VALID_FOR,
) -> str:
    """Sign a ticket for a request under its definition. Raises Refused naming a malformed field."""
    payload = {
        "ticket": ticket,
        "job": job,
        "request": digest(plain(request)),
        "definition": request["definition"],
        "model": request["model"],
        "design": definition["design"],
        "parties": definition["parties"],
        "dealer": definition["dealer"],
        "epoch": epoch,
        "batch": batch,
        "ahead": list(ahead),
        "verdict": verdict,
        "issued": clock.rfc3339(now),
        "expires": clock.rfc3339(now + valid_for),
    }
    return sign(payload, Ticket, kind="ticket", key=key)


def read_ticket(token: str, keys: Mapping[str, VerifyKey]) -> Ticket:
    """The ticket in a JWS signed by the coordinator, whose keys `keys` are, whatever the time."""
    return verify(token, Ticket, kind="ticket", keys=keys)


def check_time(ticket: Ticket, now: datetime) -> None:
    """Raises Refused: TICKET_EXPIRED; FIELD_INVALID for one from the future, or that is valid for over ten minutes."""
    check_period(ticket["issued"], ticket["expires"], now, longest=LONGEST, expired=Reason.TICKET_EXPIRED)


def check_ticket(
    token: str, keys: Mapping[str, VerifyKey], now: datetime, *, request: Request, definition: Definition
) -> Ticket:
    """A ticket in its time, for exactly this request and definition. That it is new, its node's replay cache knows.

    Raises:
        Refused: DIGEST_MISMATCH naming the field, the refusals of `check_time`, or those of signature and shape.
    """
    ticket = read_ticket(token, keys)
    check_time(ticket, now)
    expected = {
        "request": digest(plain(request)),
        "definition": digest(plain(definition)),
        "model": definition["model"],
        "design": definition["design"],
        "parties": definition["parties"],
        "dealer": definition["dealer"],
    }
    for field, value in expected.items():
        if ticket[field] != value:  # type: ignore[literal-required]
            raise Refused(Reason.DIGEST_MISMATCH, detail="The ticket names something else.", field=field)
    return ticket
