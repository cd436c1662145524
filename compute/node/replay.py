"""What this node must never forget: which tickets it has seen, and what became of them.

One SQLite file. A ticket is claimed here, durably (`synchronous=FULL`), before anything else is done with it, so that
neither a second delivery nor `kill -9` at any moment makes a ticket, or a batch of correlated randomness, serve twice.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from concordat import clock
from concordat.reasons import Reason, Refused

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tickets (
    ticket   TEXT PRIMARY KEY,
    batch    TEXT NOT NULL UNIQUE,
    job      TEXT NOT NULL,
    token    TEXT NOT NULL,
    claimed  TEXT NOT NULL,
    state    TEXT NOT NULL,
    accepted INTEGER NOT NULL DEFAULT 0,
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
        with self._transaction() as database:
            database.execute(_SCHEMA)

    def claim(self, *, ticket: str, batch: str, job: str, token: str, now: datetime) -> None:
        """Take the ticket for ever. Raises Refused(TICKET_REPLAYED) if it, or its batch, was taken before."""
        row = (ticket, batch, job, token, clock.rfc3339(now), TicketState.CLAIMED)
        try:
            with self._transaction() as database:
                database.execute(
                    "INSERT INTO tickets (ticket, batch, job, token, claimed, state) VALUES (?, ?, ?, ?, ?, ?)", row
                )
        except sqlite3.IntegrityError:
            raise Refused(Reason.TICKET_REPLAYED) from None

    def answered(self, ticket: str, answer: str, *, accepted: bool) -> None:
        """Keep the signed answer, before it is sent."""
        state = TicketState.ACCEPTED if accepted else TicketState.REFUSED
        with self._transaction() as database:
            database.execute(
                "UPDATE tickets SET state = ?, answer = ?, accepted = max(accepted, ?) WHERE ticket = ?",
                (state, answer, accepted, ticket),
            )

    def start(self, ticket: str) -> bool:
        """Whether an accepted ticket may start its computation: true once, and never again."""
        with self._transaction() as database:
            changed = database.execute(
                "UPDATE tickets SET state = ? WHERE ticket = ? AND state = ?",
                (TicketState.STARTED, ticket, TicketState.ACCEPTED),
            )
            return changed.rowcount == 1

    def end(self, ticket: str) -> None:
        """Nothing more will be done with this ticket."""
        with self._transaction() as database:
            database.execute("UPDATE tickets SET state = ? WHERE ticket = ?", (TicketState.ENDED, ticket))

    def seen(self, *, ticket: str | None = None, job: str | None = None) -> Seen | None:
        """The newest ticket of that identifier, or of that job."""
        column, value = ("ticket", ticket) if ticket is not None else ("job", job)
        with self._transaction() as database:
            row = database.execute(
                f"SELECT {_COLUMNS} FROM tickets WHERE {column} = ? ORDER BY rowid DESC",  # noqa: S608
                (value,),
            ).fetchone()
        return _seen(row) if row else None

    def unfinished(self) -> list[Seen]:
        """Tickets that were accepted or started and never ended: after a restart, what the last run left behind."""
        with self._transaction() as database:
            rows = database.execute(
                f"SELECT {_COLUMNS} FROM tickets WHERE state IN (?, ?, ?)",  # noqa: S608
                (TicketState.CLAIMED, TicketState.ACCEPTED, TicketState.STARTED),
            ).fetchall()
        return [_seen(row) for row in rows]

    def accepted_on(self, day: datetime, *, besides: str) -> int:
        """How many tickets of that UTC day were accepted, whatever became of them; `besides` is one not to count."""
        with self._transaction() as database:
            row = database.execute(
                "SELECT count(*) FROM tickets WHERE accepted AND claimed LIKE ? AND ticket != ?",
                (clock.rfc3339(day)[:10] + "%", besides),
            ).fetchone()
        return int(row[0])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")


def _seen(row: tuple[str, str, str, str, str, str | None]) -> Seen:
    ticket, job, token, claimed, state, answer = row
    return Seen(ticket, job, token, clock.parse(claimed), TicketState(state), answer)
