"""The bedside's local store: one SQLite file in the client home, its owner's alone (0600).

It holds patients' values and results in plaintext, as the home's `work/` does; nothing of it is ever sent anywhere, but
the requests and display receipts that the worker makes of it. Every write is one transaction that is on the disk when
it returns, so that a crash loses nothing that was answered.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from concordat.files import check_private
from concordat.reasons import Reason, Refused

FILE, LOCK = "bedside.sqlite3", "bedside.lock"

_TABLES = """
CREATE TABLE IF NOT EXISTS item (
    id TEXT PRIMARY KEY,             -- the request's id
    definition TEXT NOT NULL,        -- under which it was asked
    patient TEXT NOT NULL,           -- as the EHR names the patient
    about TEXT REFERENCES item (id), -- whose record a question changes; null of the record itself
    given TEXT NOT NULL,             -- values by feature (JSON)
    taken TEXT NOT NULL,             -- when each of them was taken (JSON, RFC 3339)
    change TEXT NOT NULL,            -- what a question puts in place of them (JSON)
    person TEXT NOT NULL,
    consent TEXT NOT NULL,
    subject TEXT NOT NULL,
    asked TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'open', 'failed')),
    reason TEXT NOT NULL DEFAULT '', -- why it failed
    result TEXT NOT NULL DEFAULT '', -- what was opened (JSON)
    retraction TEXT NOT NULL DEFAULT '',
    retracted TEXT NOT NULL DEFAULT '',
    merged TEXT NOT NULL DEFAULT '', -- into which patient
    urgency TEXT NOT NULL DEFAULT 'routine',
    source TEXT NOT NULL DEFAULT '', -- where the record was read, as an audit names it
    origins TEXT NOT NULL DEFAULT '', -- from which resource or row each value came (JSON)
    looked TEXT NOT NULL DEFAULT '', -- when it was looked at last what became of them at their server
    told TEXT NOT NULL DEFAULT ''    -- when the server said so last
);
CREATE INDEX IF NOT EXISTS item_of_patient ON item (patient, asked);
CREATE TABLE IF NOT EXISTS receipt (
    id INTEGER PRIMARY KEY,
    once TEXT NOT NULL UNIQUE,       -- what makes a repetition one
    item TEXT NOT NULL REFERENCES item (id),
    template TEXT NOT NULL,
    rendered TEXT NOT NULL,
    viewer TEXT NOT NULL,
    decision TEXT NOT NULL,
    reason TEXT NOT NULL,
    threshold TEXT NOT NULL,
    time TEXT NOT NULL,
    token TEXT NOT NULL DEFAULT '',  -- signed, before it is handed in
    state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'logged', 'local')),
    why TEXT NOT NULL DEFAULT ''     -- for which reason it stays here
);
CREATE TABLE IF NOT EXISTS card (
    id TEXT PRIMARY KEY,
    item TEXT NOT NULL REFERENCES item (id),
    standing TEXT NOT NULL,
    suggestion TEXT NOT NULL,
    rendered TEXT NOT NULL,
    time TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS token_seen (
    issuer TEXT NOT NULL, jti TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (issuer, jti)
);
CREATE TABLE IF NOT EXISTS link (
    hash TEXT PRIMARY KEY, item TEXT NOT NULL REFERENCES item (id), until INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS session (
    handle TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    csrf TEXT NOT NULL,
    item TEXT NOT NULL REFERENCES item (id),
    until INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS consent_ended (consent TEXT PRIMARY KEY, why TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS wrong (   -- what must not come back, when all else of it is deleted
    patient TEXT NOT NULL,
    record TEXT NOT NULL,            -- digest of values and times; empty for every record of the patient
    why TEXT NOT NULL,
    PRIMARY KEY (patient, record)
);
CREATE TABLE IF NOT EXISTS document (name TEXT PRIMARY KEY, content TEXT NOT NULL);
"""


_LATER = {
    "urgency": "TEXT NOT NULL DEFAULT 'routine'",
    "source": "TEXT NOT NULL DEFAULT ''",
    "origins": "TEXT NOT NULL DEFAULT ''",
    "looked": "TEXT NOT NULL DEFAULT ''",
    "told": "TEXT NOT NULL DEFAULT ''",
}
"""Columns of `item` that a store from before does not have."""


class Store:
    """The file. Opening it makes it, if it is not there. A connection waits for another's write `patience` seconds.

    Raises:
        Refused: KEYSTORE_UNSAFE if others may read it.
    """

    def __init__(self, folder: Path, *, patience: float = 5.0) -> None:
        self._folder, self._patience = folder, patience
        self._path = folder / FILE
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        check_private(self._path.stat(), self._path)
        with self.write() as connection:
            for statement in _TABLES.split(";\n"):
                connection.execute(statement)
            known = {row["name"] for row in connection.execute("PRAGMA table_info(item)")}
            for name, kind in _LATER.items():
                if name not in known:
                    connection.execute(f"ALTER TABLE item ADD COLUMN {name} {kind}")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection for questions only."""
        connection = self._connect()
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction of its own: everything that is written is kept, or nothing."""
        connection = self._connect()
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()  # rolls back what was not committed

    def overwrite(self) -> None:
        """Leave nothing in the file of what was deleted; the write-ahead log is emptied, too.

        Raises Refused(CONFLICT) while somebody reads: it is deleted then, and its bytes are there until this succeeds.
        """
        with self.read() as connection:
            connection.execute("PRAGMA temp_store = MEMORY")  # no copy elsewhere
            connection.execute("VACUUM")
        if not self.empty_log():
            detail = "It is deleted, and somebody reads the file: give the command again until its bytes are gone."
            raise Refused(Reason.CONFLICT, detail=detail)

    def empty_log(self) -> bool:
        """Whether the write-ahead log could be emptied, in which deleted bytes stand until then; those in the file
        itself were overwritten when they were deleted."""
        with self.read() as connection:
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    @contextmanager
    def only_worker(self) -> Iterator[None]:
        """Nobody else works meanwhile; the lock ends with the process. Raises Refused(WORKER_RUNNING)."""
        handle = os.open(self._folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused(Reason.WORKER_RUNNING, detail=f"The store is {self._path}.") from None
            yield
        finally:
            os.close(handle)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=self._patience, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
        return connection
