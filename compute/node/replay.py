"""What this node must never forget: which tickets it has seen, and what became of them.

Tickets are claimed here, durably, before anything else is done with them, so that neither a second delivery nor `kill
-9` at any moment makes a ticket, or a batch of correlated randomness, serve twice. Those that are computed together
share a batch, and are claimed and started together or not at all. And a requester signs for one computation: once one
of a request's tickets has started, whatever became of it, no other does.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from compute.node.state import transaction
from concordat import clock
from concordat.reasons import Reason, Refused
from concordat.ticket import Ticket

_SCHEMA = """
CREATE TABLE IF NOT EXISTS claims (
    ticket   TEXT PRIMARY KEY,
    batch    TEXT NOT NULL,
    job      TEXT NOT NULL,
    request  TEXT NOT NULL,
    token    TEXT NOT NULL,
    claimed  TEXT NOT NULL,
    state    TEXT NOT NULL,
    accepted INTEGER NOT NULL DEFAULT 0,
    started  INTEGER NOT NULL DEFAULT 0,
    answer   TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS claims_of_a_batch ON claims (batch);
CREATE INDEX IF NOT EXISTS claims_of_a_request ON claims (request)
"""
_SELECT = "SELECT ticket, job, token, claimed, state, answer FROM claims "

_MOVED = "INSERT INTO claims SELECT * FROM tickets"
"""Once there was one ticket a batch, in a table of another name; folders that have it keep what they have seen."""


class TicketState(StrEnum):
    """How far a ticket got here; it never goes back."""

    CLAIMED = "claimed"
    REFUSED = "refused"
    ACCEPTED = "accepted"
    STARTED = "started"
    ENDED = "ended"


_UNFINISHED = (TicketState.CLAIMED, TicketState.ACCEPTED, TicketState.STARTED)


@dataclass(frozen=True)
class Seen:
    """A ticket that was seen before: the signed ticket itself, and our signed answer if we got as far as giving one."""

    ticket: str
    job: str
    token: str
    claimed: datetime
    state: TicketState
    answer: str | None


class ReplayCache:
    """The tickets in `path`. Safe for several threads; each call is a transaction of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with transaction(self._path) as database:
            for statement in _SCHEMA.split(";"):
                database.execute(statement)
            if database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'tickets'").fetchone():
                database.execute(_MOVED)
                database.execute("DROP TABLE tickets")

    def claim(self, tickets: Mapping[str, Ticket], *, now: datetime) -> None:
        """Take tickets, by their JWS, that are computed together, for ever.

        Raises Refused(TICKET_REPLAYED) if one of them, or their batch, was taken before, or a request of theirs was
        computed before; none is taken then.
        """
        try:
            with transaction(self._path) as database:
                for ticket in tickets.values():
                    same = database.execute("SELECT 1 FROM claims WHERE request = ? AND started", (ticket["request"],))
                    if same.fetchone():
                        raise Refused(Reason.TICKET_REPLAYED, detail="The request was computed before.")
                    if database.execute("SELECT 1 FROM claims WHERE batch = ?", (ticket["batch"],)).fetchone():
                        raise Refused(Reason.TICKET_REPLAYED, detail="The batch was named before.")
                for token, ticket in tickets.items():
                    named = (ticket["ticket"], ticket["batch"], ticket["job"], ticket["request"])
                    database.execute(
                        "INSERT INTO claims (ticket, batch, job, request, token, claimed, state) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?)",
                        (*named, token, clock.rfc3339(now), TicketState.CLAIMED),
                    )
        except sqlite3.IntegrityError:
            raise Refused(Reason.TICKET_REPLAYED) from None

    def used(self, batches: Sequence[str]) -> bool:
        """Whether a ticket has used a batch of one of these names."""
        with transaction(self._path) as database:
            return any(
                database.execute("SELECT 1 FROM claims WHERE batch = ?", (batch,)).fetchone() for batch in batches
            )

    def answered(self, ticket: str, answer: str, *, accepted: bool) -> None:
        """Keep the signed answer, before it is sent. Raises Refused(EXPIRED) for an acceptance of what was taken back
        meanwhile."""
        state = TicketState.ACCEPTED if accepted else TicketState.REFUSED
        with transaction(self._path) as database:
            kept = database.execute(
                "UPDATE claims SET state = ?, answer = ? WHERE ticket = ? AND NOT (? AND state = ?)",
                (state, answer, ticket, accepted, TicketState.ENDED),
            )
            if accepted and not kept.rowcount:
                raise Refused(Reason.EXPIRED, detail="The ticket was taken back.")

    def start(self, batch: str) -> list[Seen]:
        """The tickets of a batch, in the order of their runs, of which those that are `ACCEPTED` are to be computed
        now: once, and never again for their requests. None at all if no ticket is, or a request was started under
        another."""
        with transaction(self._path) as database:
            rows = database.execute(
                _SELECT + "WHERE batch = ? ORDER BY rowid",
                (batch,),
            ).fetchall()
            found = [_seen(row) for row in rows]
            computed = database.execute(
                "SELECT 1 FROM claims WHERE started AND request IN (SELECT request FROM claims WHERE batch = ?)",
                (batch,),
            ).fetchone()
            if computed or not any(each.state is TicketState.ACCEPTED for each in found):
                return []
            database.execute(
                "UPDATE claims SET state = ?, started = 1 WHERE batch = ? AND state = ?",
                (TicketState.STARTED, batch, TicketState.ACCEPTED),
            )
        return found

    def computed(self, request: str) -> bool:
        """Whether a ticket for this request (by digest) was started."""
        with transaction(self._path) as database:
            found = database.execute("SELECT 1 FROM claims WHERE request = ? AND started", (request,)).fetchone()
        return found is not None

    def let_go(self, ticket: str) -> str | None:
        """The ticket was taken back. Answers its batch if no other of its tickets is still to be computed."""
        with transaction(self._path) as database:
            row = database.execute("SELECT batch FROM claims WHERE ticket = ?", (ticket,)).fetchone()
            database.execute(
                "UPDATE claims SET state = ? WHERE ticket = ? AND state != ?",
                (TicketState.ENDED, ticket, TicketState.REFUSED),
            )
            if (
                row is None
                or database.execute(
                    "SELECT 1 FROM claims WHERE batch = ? AND state IN (?, ?, ?)", (*row, *_UNFINISHED)
                ).fetchone()
            ):
                return None
        batch: str = row[0]
        return batch

    def end(self, ticket: str) -> None:
        """Nothing more will be done with this ticket."""
        with transaction(self._path) as database:
            database.execute("UPDATE claims SET state = ? WHERE ticket = ?", (TicketState.ENDED, ticket))

    def seen(self, ticket: str) -> Seen | None:
        """The ticket of that identifier."""
        with transaction(self._path) as database:
            row = database.execute(
                _SELECT + "WHERE ticket = ?",
                (ticket,),
            ).fetchone()
        return _seen(row) if row else None

    def unfinished(self) -> list[Seen]:
        """Tickets that were accepted or started and never ended: after a restart, what the last run left behind."""
        with transaction(self._path) as database:
            rows = database.execute(
                _SELECT + "WHERE state IN (?, ?, ?)",
                _UNFINISHED,
            ).fetchall()
        return [_seen(row) for row in rows]

    def accepted_on(self, day: datetime, *, besides: Sequence[str]) -> int:
        """How many tickets of that UTC day are accepted now, or were started, whatever became of them; `besides` are
        not counted. What was taken back before it started is none: a node that others keep busy would run dry."""
        with transaction(self._path) as database:
            accepted = database.execute(
                "SELECT ticket FROM claims WHERE (started OR state = ?) AND claimed LIKE ?",
                (TicketState.ACCEPTED, clock.rfc3339(day)[:10] + "%"),
            )
            return len({row[0] for row in accepted} - set(besides))


def _seen(row: tuple[str, str, str, str, str, str | None]) -> Seen:
    ticket, job, token, claimed, state, answer = row
    return Seen(ticket, job, token, clock.parse(claimed), TicketState(state), answer)
