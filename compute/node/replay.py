"""What this node must never forget: which tickets it has seen, and what became of them.

A ticket is claimed here, durably, before anything else is done with it, so that neither a second delivery nor `kill -9`
at any moment makes a ticket, or a batch of correlated randomness, serve twice. And a requester signs for one
computation: once one of a request's tickets has started, whatever became of it, no other does.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from compute.node.state import transaction
from concordat import clock
from concordat.reasons import Reason, Refused

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tickets (
    ticket   TEXT PRIMARY KEY,
    batch    TEXT NOT NULL UNIQUE,
    job      TEXT NOT NULL,
    request  TEXT NOT NULL,
    token    TEXT NOT NULL,
    claimed  TEXT NOT NULL,
    state    TEXT NOT NULL,
    accepted INTEGER NOT NULL DEFAULT 0,
    started  INTEGER NOT NULL DEFAULT 0,
    answer   TEXT
) STRICT
"""
_COLUMNS = "ticket, job, token, claimed, state, answer"


class TicketState(StrEnum):
    """How far a ticket got here; it never goes back."""

    CLAIMED = "claimed"
    REFUSED = "refused"
    ACCEPTED = "accepted"
    STARTED = "started"
    ENDED = "ended"


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
            database.execute(_SCHEMA)

    def claim(self, *, ticket: str, batch: str, job: str, request: str, token: str, now: datetime) -> None:
        """Take the ticket for ever. `request` is the digest of the request that it is for.

        Raises Refused(TICKET_REPLAYED) if it, or its batch, was taken before, or its request was computed before.
        """
        row = (ticket, batch, job, request, token, clock.rfc3339(now), TicketState.CLAIMED)
        try:
            with transaction(self._path) as database:
                if database.execute("SELECT 1 FROM tickets WHERE request = ? AND started", (request,)).fetchone():
                    raise Refused(Reason.TICKET_REPLAYED, detail="The request was computed before.")
                database.execute(
                    "INSERT INTO tickets (ticket, batch, job, request, token, claimed, state) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    row,
                )
        except sqlite3.IntegrityError:
            raise Refused(Reason.TICKET_REPLAYED) from None

    def used(self, batches: Sequence[str]) -> bool:
        """Whether a ticket has used a batch of one of these names."""
        with transaction(self._path) as database:
            return any(
                database.execute("SELECT 1 FROM tickets WHERE batch = ?", (batch,)).fetchone() for batch in batches
            )

    def answered(self, ticket: str, answer: str, *, accepted: bool) -> None:
        """Keep the signed answer, before it is sent."""
        state = TicketState.ACCEPTED if accepted else TicketState.REFUSED
        with transaction(self._path) as database:
            database.execute(
                "UPDATE tickets SET state = ?, answer = ?, accepted = max(accepted, ?) WHERE ticket = ?",
                (state, answer, accepted, ticket),
            )

    def start(self, job: str) -> Seen | None:
        """The newest accepted ticket of a job, to be computed now: once, and never again for its request."""
        with transaction(self._path) as database:
            row = database.execute(
                f"SELECT {_COLUMNS} FROM tickets AS t WHERE job = ? AND state = ? AND NOT EXISTS "  # noqa: S608
                "(SELECT 1 FROM tickets WHERE request = t.request AND started) ORDER BY rowid DESC",
                (job, TicketState.ACCEPTED),
            ).fetchone()
            if row is None:
                return None
            seen = _seen(row)
            database.execute(
                "UPDATE tickets SET state = ?, started = 1 WHERE ticket = ?", (TicketState.STARTED, seen.ticket)
            )
        return seen

    def end(self, ticket: str) -> None:
        """Nothing more will be done with this ticket."""
        with transaction(self._path) as database:
            database.execute("UPDATE tickets SET state = ? WHERE ticket = ?", (TicketState.ENDED, ticket))

    def seen(self, ticket: str) -> Seen | None:
        """The ticket of that identifier."""
        with transaction(self._path) as database:
            row = database.execute(
                f"SELECT {_COLUMNS} FROM tickets WHERE ticket = ?",  # noqa: S608
                (ticket,),
            ).fetchone()
        return _seen(row) if row else None

    def unfinished(self) -> list[Seen]:
        """Tickets that were accepted or started and never ended: after a restart, what the last run left behind."""
        with transaction(self._path) as database:
            rows = database.execute(
                f"SELECT {_COLUMNS} FROM tickets WHERE state IN (?, ?, ?)",  # noqa: S608
                (TicketState.CLAIMED, TicketState.ACCEPTED, TicketState.STARTED),
            ).fetchall()
        return [_seen(row) for row in rows]

    def accepted_on(self, day: datetime, *, besides: str) -> int:
        """How many tickets of that UTC day were accepted, whatever became of them; `besides` is one not to count."""
        with transaction(self._path) as database:
            row = database.execute(
                "SELECT count(*) FROM tickets WHERE accepted AND claimed LIKE ? AND ticket != ?",
                (clock.rfc3339(day)[:10] + "%", besides),
            ).fetchone()
        return int(row[0])


def _seen(row: tuple[str, str, str, str, str, str | None]) -> Seen:
    ticket, job, token, claimed, state, answer = row
    return Seen(ticket, job, token, clock.parse(claimed), TicketState(state), answer)
