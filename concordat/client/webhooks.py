"""Taking in what the coordinator tells: verified against the pin, and each message once.

receiver = Receiver(Pins.load(home).coordinator, Memory(home / "webhooks.sqlite3"))
with receiver.receive(request.headers, request.body) as message:
    ...                     # what is to be done; if it fails, the message is not remembered and comes again
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from concordat import clock, webhook
from concordat.reasons import Reason, Refused
from concordat.signatures import VerifyKey
from concordat.webhook import Message

KEPT = timedelta(days=30)
"""For how long a message is remembered: the coordinator gives one up much sooner."""


class Memory:
    """The ids of messages that were dealt with, in a file, for all processes that receive."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as database:
            database.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY, until INTEGER NOT NULL)")

    def knows(self, message_id: str) -> bool:
        with self._open() as database:
            return database.execute("SELECT 1 FROM seen WHERE id = ?", (message_id,)).fetchone() is not None

    def add(self, message_id: str, *, now: datetime) -> None:
        """Remember a message, and forget those that are long past."""
        with self._open() as database:
            database.execute("DELETE FROM seen WHERE until <= ?", (int(now.timestamp()),))
            until = int((now + KEPT).timestamp())
            database.execute("INSERT OR REPLACE INTO seen (id, until) VALUES (?, ?)", (message_id, until))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=30)) as database, database:
            yield database


class Receiver:
    """Verifies with the coordinator's pinned key and remembers what was dealt with."""

    def __init__(self, key: VerifyKey, memory: Memory, *, now: Callable[[], datetime] = clock.now) -> None:
        self._key, self._memory, self._now = key, memory, now

    @contextmanager
    def receive(self, headers: Mapping[str, str], body: bytes) -> Iterator[Message]:
        """The message, for a `with` block; remembered once the block has ended without an exception.

        Raises Refused: what `concordat.webhook.verify` refuses; MESSAGE_REPLAYED for one that was dealt with, which is
        to be answered like a success, or it comes again.
        """
        message = webhook.verify(headers, body, key=self._key, now=self._now())
        message_id = next(value for name, value in headers.items() if name.lower() == "webhook-id")
        if self._memory.knows(message_id):
            raise Refused(Reason.MESSAGE_REPLAYED)
        yield message
        self._memory.add(message_id, now=self._now())
