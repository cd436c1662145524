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
from uuid import uuid4

from concordat import clock, webhook
from concordat.reasons import Reason, Refused
from concordat.signatures import VerifyKey
from concordat.webhook import Message

KEPT = timedelta(days=30)
"""For how long a message is remembered: the coordinator gives one up much sooner."""

IN_HAND = timedelta(minutes=4)
"""For how long whoever takes a message has it alone: if they have not ended by then, they have crashed, and the message
may be dealt with anew. Less than the pause before its third attempt, so that it is taken then."""


class Memory:
    """Which messages were dealt with, and which are in hand, in a file, for all processes that receive."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as database:
            database.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY, until INTEGER NOT NULL)")
            database.execute(
                "CREATE TABLE IF NOT EXISTS in_hand (id TEXT PRIMARY KEY, taken TEXT NOT NULL, until INTEGER NOT NULL)"
            )

    def take(self, message_id: str, *, now: datetime) -> str:
        """Take a message in hand, as the only one of all processes, and forget what is long past.

        Returns:
            what it was taken under, for `drop`.

        Raises:
            Refused: MESSAGE_REPLAYED for one that was dealt with; MESSAGE_IN_HAND for one that another has.
        """
        taken, until = uuid4().hex, int((now + IN_HAND).timestamp())
        with self._open() as database:
            past = (int(now.timestamp()),)
            database.execute("DELETE FROM seen WHERE until <= ?", past)  # a write first: until the end, nobody else can
            database.execute("DELETE FROM in_hand WHERE until <= ?", past)
            if database.execute("SELECT 1 FROM seen WHERE id = ?", (message_id,)).fetchone():
                raise Refused(Reason.MESSAGE_REPLAYED)
            insert = "INSERT INTO in_hand (id, taken, until) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
            if not database.execute(insert, (message_id, taken, until)).rowcount:
                raise Refused(Reason.MESSAGE_IN_HAND)
        return taken

    def keep(self, message_id: str, *, now: datetime) -> None:
        """Remember a message as dealt with."""
        with self._open() as database:
            until = int((now + KEPT).timestamp())
            database.execute("INSERT OR REPLACE INTO seen (id, until) VALUES (?, ?)", (message_id, until))
            database.execute("DELETE FROM in_hand WHERE id = ?", (message_id,))

    def drop(self, message_id: str, taken: str) -> None:
        """Let go of a message that was not dealt with, if it is still in hand as it was taken."""
        with self._open() as database:
            database.execute("DELETE FROM in_hand WHERE id = ? AND taken = ?", (message_id, taken))

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
        """The message, for a `with` block that has it alone; remembered once the block has ended without an exception.

        Raises Refused: what `concordat.webhook.verify` refuses; MESSAGE_REPLAYED for one that was dealt with, which is
        to be answered like a success, or it comes again; MESSAGE_IN_HAND for one that another block is dealing with,
        which is to be answered like a failure, or it does not come again if that block fails.
        """
        received = webhook.verify(headers, body, key=self._key, now=self._now())
        taken = self._memory.take(received.id, now=self._now())
        try:
            yield received.message
        except BaseException:
            self._memory.drop(received.id, taken)
            raise
        self._memory.keep(received.id, now=self._now())
