"""The node as a witness of the log: it cosigns a head only if that extends every head that it cosigned before.

What it is about to sign is durable before it signs (C2SP tlog-witness), so that after `kill -9` at any moment it cannot
be brought to sign two histories. A head that the log's key signed and that was not shown to extend what this node
cosigned is kept beside that, and `concordat-node witness` shows both. A shorter one is refused and not kept: a log that
lags behind shows it, too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from compute.node.coordinator import Coordinator
from compute.node.home import NodeHome
from compute.node.state import transaction
from concordat import clock, cosignature, note
from concordat import witness as witnessing
from concordat.checkpoint import Checkpoint
from concordat.pins import Pins
from concordat.reasons import Reason, Refused
from concordat.witness import AddCheckpoint, Seen

MOST_CONTRADICTIONS = 100
"""How many contradicting heads are kept; one is proof enough."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS witnessed (
    origin TEXT PRIMARY KEY,
    size   INTEGER NOT NULL,
    root   BLOB NOT NULL,
    note   TEXT NOT NULL
) STRICT
"""
_CONTRADICTIONS = """
CREATE TABLE IF NOT EXISTS contradictions (
    origin   TEXT NOT NULL,
    note     TEXT NOT NULL,
    cosigned TEXT NOT NULL,
    reason   TEXT NOT NULL,
    time     TEXT NOT NULL,
    PRIMARY KEY (origin, note)
) STRICT
"""

log = structlog.get_logger()


@dataclass(frozen=True)
class Contradiction:
    """Two notes that the log's key signed: one cosigned here, and one of the same or a larger size that was refused.

    Of the same size they prove by themselves that the log was rewritten. Of a larger one the log owed a proof that it
    extends the other, and gave one that does not hold: a log that was not rewritten can show a true one to anybody.
    """

    refused: str
    cosigned: str
    reason: str
    time: str


class Heads:
    """The last head of each log that this node cosigned, in `path`. Safe for several threads and processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with transaction(path) as database:
            database.execute(_SCHEMA)
            database.execute(_CONTRADICTIONS)

    def last(self, origin: str) -> Seen:
        """The head cosigned last, or the empty one."""
        with transaction(self._path) as database:
            row = database.execute("SELECT size, root FROM witnessed WHERE origin = ?", (origin,)).fetchone()
        return Seen(*row) if row else Seen()

    def advance(self, call: AddCheckpoint, pins: Pins) -> Checkpoint:
        """Check a head against the last one and put it in its place, at once and durably: whoever gets the answer may
        sign it. Raises Refused as `concordat.witness.check` does, and then nothing has changed."""
        origin = pins.log_origin
        with transaction(self._path) as database:
            row = database.execute("SELECT size, root FROM witnessed WHERE origin = ?", (origin,)).fetchone()
            seen = Seen(*row) if row else Seen()
            head = witnessing.check(call, seen, origin=origin, keys={origin: pins.coordinator})
            database.execute(
                "INSERT OR REPLACE INTO witnessed VALUES (?, ?, ?, ?)", (origin, head.size, head.root, call.note)
            )
        return head

    def keep(self, origin: str, refused: str, reason: Reason, now: datetime) -> None:
        """Keep a note that contradicts what was cosigned, beside that."""
        with transaction(self._path) as database:
            (count,) = database.execute("SELECT count(*) FROM contradictions").fetchone()
            row = database.execute("SELECT note FROM witnessed WHERE origin = ?", (origin,)).fetchone()
            if row and count < MOST_CONTRADICTIONS:
                database.execute(
                    "INSERT OR IGNORE INTO contradictions VALUES (?, ?, ?, ?, ?)",
                    (origin, refused, row[0], reason.value, clock.rfc3339(now)),
                )

    def contradictions(self) -> list[Contradiction]:
        """What was kept, oldest first."""
        with transaction(self._path) as database:
            rows = database.execute("SELECT note, cosigned, reason, time FROM contradictions ORDER BY time").fetchall()
        return [Contradiction(*row) for row in rows]


class Witness:
    """One institution's witness. Safe for several threads."""

    def __init__(self, home: NodeHome, coordinator: Coordinator, *, now: Callable[[], datetime] = clock.now) -> None:
        self.heads = Heads(home.state)
        self._home = home
        self._coordinator = coordinator
        self._now = now

    def cosign(self) -> Checkpoint:
        """Ask for the log's latest head, cosign it if it extends the one before, and hand that in. Repeatable.

        Raises:
            Refused: what `concordat.witness` refuses, CONSISTENCY_INVALID above all, when both heads are kept;
                COORDINATOR_UNAVAILABLE; what the coordinator refuses, such as NOT_FOUND before the first head.
        """
        pins = self._home.pins
        origin = pins.log_origin
        call = witnessing.read(self._coordinator.checkpoint(self.heads.last(origin).size))
        try:
            head = self.heads.advance(call, pins)
        except Refused as refused:
            if refused.reason is Reason.CONSISTENCY_INVALID:
                self.heads.keep(origin, call.note, refused.reason, self._now())
                log.error("witness.log_rewritten", reason=refused.reason.value)
            raise
        name = cosignature.name_of(origin, self._home.institution)
        line = cosignature.cosign(note.parse(call.note).text, self._home.keys.identity, name, self._now())
        self._coordinator.cosign(head.size, line)
        return head
