"""The coordinator's ticket: it invites nodes to one job, once and for minutes, and authorises nothing by itself.

A ticket is for one request. Tickets that name the same batch are computed together, by the same engines at once; each
says only which of the runs are its own, so that no requester learns of another's request more than that there was one.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from annotated_types import Ge, Le, Len
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import clock
from concordat.canonical import digest
from concordat.definition import MOST_RECORDS, Definition
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
class Runs(TypedDict):
    """Which of the engines' runs, one a record, are a request's: as many as it has records, from `first` on, out of
    `of` altogether."""

    first: Annotated[int, Ge(0), Le(MOST_RECORDS - 1)]
    of: Annotated[int, Ge(1), Le(MOST_RECORDS)]


@with_config(STRICT)
class Ticket(TypedDict):
    """`request`, `definition`, `model` and `design` are digests; `batch` names the correlated randomness, and with it
    all that is computed together, of which `runs` are this request's; `ahead` are the batches that are dealt meanwhile
    for later jobs of the same definition.

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
    runs: Runs
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
    runs: Runs | None = None,
    ahead: Sequence[str] = (),
    verdict: int,
    key: SigningKey,
    now: datetime,
    valid_for: timedelta = VALID_FOR,
) -> str:
    """Sign a ticket for a request under its definition; without `runs` it is computed by itself. Raises Refused naming
    a malformed field."""
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
        "runs": plain(runs or Runs(first=0, of=max(1, len(request["commitments"])))),
        "ahead": list(ahead),
        "verdict": verdict,
        "issued": clock.rfc3339(now),
        "expires": clock.rfc3339(now + valid_for),
    }
    return sign(payload, Ticket, kind="ticket", key=key)


def read_ticket(token: str, keys: Mapping[str, VerifyKey]) -> Ticket:
    """The ticket in a JWS signed by the coordinator, whose keys `keys` are, whatever the time.

    Raises Refused: what `verify` refuses; FIELD_INVALID if one name stands for two batches.
    """
    ticket = verify(token, Ticket, kind="ticket", keys=keys)
    named = [ticket["batch"], *ticket["ahead"]]
    if len(set(named)) < len(named):
        raise Refused(Reason.FIELD_INVALID, detail="Every batch has a name of its own.", field="ahead")
    return ticket


def check_time(ticket: Ticket, now: datetime) -> None:
    """Raises Refused: TICKET_EXPIRED; FIELD_INVALID for one from the future, or that is valid for over ten minutes."""
    check_period(ticket["issued"], ticket["expires"], now, longest=LONGEST, expired=Reason.TICKET_EXPIRED)


def check_ticket(
    token: str, keys: Mapping[str, VerifyKey], now: datetime, *, request: Request, definition: Definition
) -> Ticket:
    """A ticket in its time, for exactly this request and definition. That it is new, its node's replay cache knows.

    Raises:
        Refused: DIGEST_MISMATCH naming the field, FIELD_INVALID for runs that the request has not, the refusals of
            `check_time`, or those of signature and shape.
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
    if ticket["runs"]["first"] + max(1, len(request["commitments"])) > ticket["runs"]["of"]:  # an audit is one run
        raise Refused(Reason.FIELD_INVALID, detail="The request has more records than there are runs.", field="runs")
    return ticket


def check_together(tickets: Sequence[Ticket], records: int) -> None:
    """Tickets that can be computed together, in the order of their runs, of `records` each: of the same definition and
    batch, each for another job and request, and every run is one request's.

    Raises:
        Refused: CONFLICT naming the field in which they differ, or `runs`.
    """
    for field in ("definition", "model", "design", "parties", "dealer", "batch", "ahead"):
        if any(ticket[field] != tickets[0][field] for ticket in tickets):
            raise Refused(Reason.CONFLICT, detail="What is computed together has this in common.", field=field)
    for field in ("ticket", "job", "request"):
        if len({str(plain(ticket)[field]) for ticket in tickets}) < len(tickets):
            raise Refused(Reason.CONFLICT, detail="Each ticket is for a request of its own.", field=field)
    runs = [Runs(first=place * records, of=len(tickets) * records) for place in range(len(tickets))]
    if [ticket["runs"] for ticket in tickets] != runs:
        raise Refused(Reason.CONFLICT, detail="Every run belongs to exactly one of the tickets.", field="runs")
