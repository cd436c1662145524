"""What is deleted when its time is over: values, results, the texts of cards and receipts, links and sessions.

Held back is what something not finished needs: a request on its way, a receipt that was not handed in yet, and the
record that a question which is held is about. Of a record that the hospital took back as wrong a digest stays, and of a
merged patient the id, so that neither is asked for again.
"""

import sqlite3
from datetime import datetime, timedelta

from concordat import clock
from concordat.bedside.config import Config, keep_days
from concordat.bedside.items import FORGET_CONSENTS, delete, record_digest
from concordat.bedside.store import Store

EVERY = timedelta(hours=1)
"""How often the worker deletes."""

_OVER = (
    "SELECT id FROM item WHERE asked < ? AND about IS {about} AND state IN ('open', 'failed') "
    "AND NOT EXISTS (SELECT 1 FROM receipt WHERE receipt.item = item.id AND receipt.state = 'queued') "
    "AND NOT EXISTS (SELECT 1 FROM item AS question WHERE question.about = item.id)"
)
_QUESTIONS, _RECORDS = _OVER.format(about="NOT NULL"), _OVER.format(about="NULL")


def purge(store: Store, config: Config, *, now: datetime) -> int:
    """Delete what was asked longer ago than `keep_days`, and answer of how many requests it was.

    What is deleted is overwritten; in the write-ahead log it stands until nobody reads, and then until the next purge.
    """
    limit = clock.rfc3339(now - timedelta(days=keep_days(config)))
    with store.write() as db:
        seconds = int(now.timestamp())
        for table in ("link", "session", "token_seen"):
            db.execute(f"DELETE FROM {table} WHERE until < ?", (seconds,))  # noqa: S608
        number = 0
        for over in (_QUESTIONS, _RECORDS):  # questions first: they name the record that they are about
            for (request,) in db.execute(over, (limit,)).fetchall():
                _remember(db, request)
                delete(db, request)
                number += 1
        db.execute(FORGET_CONSENTS)
    store.empty_log()
    return number


def _remember(db: sqlite3.Connection, request: str) -> None:
    """That a record is wrong outlives it."""
    row = db.execute("SELECT * FROM item WHERE id = ? AND about IS NULL", (request,)).fetchone()
    if row is None or row["retraction"] not in ("wrong-patient", "entered-in-error", "merged"):
        return
    if row["retraction"] == "merged" and not row["merged"]:
        return  # into whom is not said: the patient may be the one who stays
    record = "" if row["retraction"] == "merged" else record_digest(row["given"], row["taken"])
    db.execute("INSERT OR IGNORE INTO wrong VALUES (?, ?, ?)", (row["patient"], record, row["retraction"]))
