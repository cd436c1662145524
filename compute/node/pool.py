"""Correlated randomness that was dealt ahead: this node's parts of it, each for one later job.

A batch is bound to the definition, and with it to parties and ranks, and to all else that a plan depends on; and to
this software, since a plan is what its protocols ask for. It is claimed by the first ticket that names it before the
node's acceptance says so, and erased before the engine is told of it: no crash at any moment leaves one that could
serve twice, and the replay cache knows its name for ever besides.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from compute.node.state import transaction
from concordat import __version__, canonical, clock
from concordat.canonical import Json
from concordat.reasons import Reason, Refused
from concordat.ticket import AHEAD_FOR

MOST = 64
"""Batches that are kept; the oldest make room."""

MOST_BYTES = 128 << 20
"""Of all of them together; the same."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (
    batch   TEXT PRIMARY KEY,
    terms   TEXT NOT NULL,
    content BLOB NOT NULL,
    expires TEXT NOT NULL,
    ticket  TEXT
) STRICT
"""


def terms(*, definition: str, what_ifs: int, runs: int) -> str:
    """The digest of all that two jobs must have in common, so that what was dealt in one can serve the other."""
    return canonical.digest({"definition": definition, "what_ifs": what_ifs, "runs": runs, "software": __version__})


class Pool:
    """The batches in `path`. Safe for several threads; each call is a transaction of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with transaction(self._path) as database:
            database.execute(_SCHEMA)

    def keep(self, batch: str, content: Mapping[str, Json], *, terms: str, now: datetime) -> None:
        """Keep this node's part of a batch, until `AHEAD_FOR` has passed. Raises Refused(RANDOMNESS_USED) if there is
        one of that name."""
        row = (batch, terms, canonical.encode(content), clock.rfc3339(now + AHEAD_FOR))
        with transaction(self._path) as database:
            database.execute("DELETE FROM batches WHERE expires <= ?", (clock.rfc3339(now),))
            try:
                database.execute("INSERT INTO batches (batch, terms, content, expires) VALUES (?, ?, ?, ?)", row)
            except sqlite3.IntegrityError:
                raise Refused(Reason.RANDOMNESS_USED, detail="There is a batch of that name.") from None
            database.execute(
                "DELETE FROM batches WHERE rowid NOT IN (SELECT rowid FROM batches ORDER BY rowid DESC LIMIT ?)",
                (MOST,),
            )
            database.execute(
                "DELETE FROM batches WHERE rowid IN (SELECT place FROM (SELECT rowid AS place, "
                "sum(length(content)) OVER (ORDER BY rowid DESC) AS total FROM batches) WHERE total > ?)",
                (MOST_BYTES,),
            )

    def holds(self, batches: Sequence[str]) -> bool:
        """Whether a batch of one of these names is here."""
        with transaction(self._path) as database:
            names = {row[0] for row in database.execute("SELECT batch FROM batches")}
        return not names.isdisjoint(batches)

    def claim(self, batch: str, *, terms: str, ticket: str, now: datetime, until: datetime) -> bool:
        """Whether a batch is here for a job on these terms: then for this ticket's, and those that go with it, alone
        from now on, and only until the ticket's reservation lapses."""
        with transaction(self._path) as database:
            claimed = database.execute(
                "UPDATE batches SET ticket = ?, expires = ? "
                "WHERE batch = ? AND terms = ? AND ticket IS NULL AND expires > ?",
                (ticket, clock.rfc3339(until), batch, terms, clock.rfc3339(now)),
            )
        return claimed.rowcount == 1

    def take(self, ticket: str) -> dict[str, Json] | None:
        """The batch that a ticket has claimed, if there is one. It is erased before this returns."""
        with transaction(self._path) as database:
            row = database.execute("SELECT content FROM batches WHERE ticket = ?", (ticket,)).fetchone()
            database.execute("DELETE FROM batches WHERE ticket = ?", (ticket,))
        content: dict[str, Json] | None = canonical.decode(row[0]) if row else None
        return content

    def forget_claimed(self) -> None:
        """After a restart: the jobs that had claimed these will not be computed."""
        with transaction(self._path) as database:
            database.execute("DELETE FROM batches WHERE ticket IS NOT NULL")

    def purge(self, *, now: datetime) -> None:
        """Forget what has expired."""
        with transaction(self._path) as database:
            database.execute("DELETE FROM batches WHERE expires <= ?", (clock.rfc3339(now),))
