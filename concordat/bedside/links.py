"""How a clinician's browser gets to a result: a link that lives for minutes, and then a session of its own.

A link's token stands in no log and ends in the address bar's redirect; of tokens and cookies only digests are kept. A
session shows one patient's result only, under a handle of its own: two tabs with two patients never share one.
"""

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

from concordat.bedside.store import Store
from concordat.reasons import Reason, Refused

LINK_SECONDS = 10 * 60
SESSION_SECONDS = 30 * 60


@dataclass(frozen=True)
class Session:
    """`handle` stands in addresses and is no secret; `csrf` stands in the forms. `item` is what it shows."""

    handle: str
    csrf: str
    item: str


class Links:
    """Links and sessions in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def make(self, item: str) -> str:
        """A token that opens a session for this result."""
        token = secrets.token_urlsafe(32)
        with self._store.write() as db:
            db.execute("DELETE FROM link WHERE until < ?", (_now(),))
            db.execute("INSERT INTO link VALUES (?, ?, ?)", (_hash(token), item, _now() + LINK_SECONDS))
        return token

    def open(self, token: str) -> tuple[Session, str]:
        """A new session, and the secret of its cookie. Raises Refused(LINK_EXPIRED)."""
        with self._store.write() as db:
            db.execute("DELETE FROM session WHERE until < ?", (_now(),))
            query = "SELECT item FROM link WHERE hash = ? AND until >= ?"
            row = db.execute(query, (_hash(token), _now())).fetchone()
            if row is None:
                raise Refused(Reason.LINK_EXPIRED, field="link")
            session, secret = Session(secrets.token_urlsafe(12), secrets.token_urlsafe(32), row["item"]), _secret()
            stored = (session.handle, _hash(secret), session.csrf, session.item, _now() + SESSION_SECONDS)
            db.execute("INSERT INTO session VALUES (?, ?, ?, ?, ?)", stored)
        return session, secret

    def session(self, handle: str, secret: str) -> Session:
        """The session of a cookie. Raises Refused(LINK_EXPIRED)."""
        with self._store.read() as db:
            query = "SELECT * FROM session WHERE handle = ? AND until >= ?"
            row = db.execute(query, (handle, _now())).fetchone()
        if row is None or not hmac.compare_digest(row["hash"], _hash(secret)):
            raise Refused(Reason.LINK_EXPIRED, field="session")
        return Session(row["handle"], row["csrf"], row["item"])


def _secret() -> str:
    return secrets.token_urlsafe(32)


def _now() -> int:
    return int(time.time())


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
