"""The seeds of recent jobs, for a day: what names a node that cheated, should a canary come back wrong.

A tape holds no share and no message. Together with all other nodes' seeds of one record, that record's shares and the
model's, it lays open that record's run; by then no node and no coordinator has the shares of a person's record, so
their run cannot be computed again from what nodes keep.
"""

from datetime import datetime
from pathlib import Path

from pydantic import with_config
from typing_extensions import TypedDict

from compute.engine.runner import SeedsDocument
from compute.node.state import transaction
from concordat import canonical, clock
from concordat.alarm import TAPES_KEPT, Conversation
from concordat.fields import STRICT, Digest, Slug, Uuid, plain, read
from concordat.reasons import Reason, Refused

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tapes (
    job     TEXT PRIMARY KEY,
    tape    TEXT NOT NULL,
    expires TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS testimonies (
    job     TEXT PRIMARY KEY,
    alarm   TEXT NOT NULL,
    token   TEXT NOT NULL
) STRICT
"""


@with_config(STRICT)
class JobTape(TypedDict):
    """Of one job: what was asked by whom of which model, the request's commitments by record, and what the engine
    left."""

    model: Digest
    request: Digest
    name: Uuid
    requester: Slug
    commitments: list[dict[Slug, Digest]]
    seeds: list[SeedsDocument]
    conversations: list[Conversation]


class Tapes:
    """The tapes in `path`, by job. Safe for several threads; each call is a transaction of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with transaction(self._path) as database:
            for statement in _SCHEMA.split(";"):
                database.execute(statement)

    def keep(self, job: str, tape: JobTape, *, now: datetime) -> None:
        """Keep a job's tape for a day, and forget those whose day is over."""
        content = canonical.encode(plain(tape)).decode()
        with transaction(self._path) as database:
            database.execute("DELETE FROM tapes WHERE expires <= ?", (clock.rfc3339(now),))
            database.execute(
                "INSERT OR REPLACE INTO tapes VALUES (?, ?, ?)", (job, content, clock.rfc3339(now + TAPES_KEPT))
            )

    def of(self, job: str, *, now: datetime) -> JobTape:
        """A job's tape. Raises Refused(TAPE_MISSING) if there is none, or its day is over."""
        with transaction(self._path) as database:
            row = database.execute(
                "SELECT tape FROM tapes WHERE job = ? AND expires > ?", (job, clock.rfc3339(now))
            ).fetchone()
        if row is None:
            raise Refused(Reason.TAPE_MISSING)
        return read(canonical.decode(row[0].encode()), JobTape)

    def testified(self, job: str, alarm: str) -> str | None:
        """The testimony (JWS) that was given on the alarm with this digest, if it was. Raises Refused(CONFLICT) if it
        was given on another: of no job are the seeds of two records laid open."""
        with transaction(self._path) as database:
            row = database.execute("SELECT alarm, token FROM testimonies WHERE job = ?", (job,)).fetchone()
        if row is not None and row[0] != alarm:
            raise Refused(Reason.CONFLICT, detail="This node has testified on another alarm about this job.")
        return row[1] if row else None

    def testify(self, job: str, alarm: str, token: str) -> None:
        """Put the testimony in the tape's place, before it is sent: it is sent again as it is, and the seeds are gone.

        Raises Refused(CONFLICT) if another one is there already."""
        with transaction(self._path) as database:
            if database.execute("SELECT 1 FROM testimonies WHERE job = ?", (job,)).fetchone():
                raise Refused(Reason.CONFLICT, detail="This node has testified already.")
            database.execute("INSERT INTO testimonies VALUES (?, ?, ?)", (job, alarm, token))
            database.execute("DELETE FROM tapes WHERE job = ?", (job,))

    def purge(self, *, now: datetime) -> None:
        """Forget the tapes whose day is over."""
        with transaction(self._path) as database:
            database.execute("DELETE FROM tapes WHERE expires <= ?", (clock.rfc3339(now),))
