"""Whether what opened results rest on still stands: the computation's approval, the model, the study, the consent.

The worker looks about once a minute. What has ended takes every result back that rests on it, for good: a study that
goes on after a suspension is computed for anew. Nothing is believed here that could put a result back, so that what the
coordinator says needs no proof; the definition's votes and the model's recall are verified all the same, and what this
home knows by itself (consents, periods, its own revocation) needs no coordinator.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from concordat import clock
from concordat.bedside.config import Config
from concordat.bedside.item import Item
from concordat.bedside.items import Items
from concordat.bedside.store import Store
from concordat.canonical import unb64
from concordat.client import consents
from concordat.client.api import Api
from concordat.client.ballots import revocation
from concordat.client.governance import CheckedDefinition, fetch_definition
from concordat.client.home import ClientHome
from concordat.consent import Consent, check_reconsent
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.verifier.evidence import read_leaf

EVERY = timedelta(minutes=1)
"""How often the worker looks."""

LATE = timedelta(minutes=10)
"""After so long without a look, card and page say since when nobody has looked."""

_LOOKED, _READ, _RECALL = "authority", "consents", "recall"
_ENDED = {Event.CONSENT_WITHDRAWN: "consent-withdrawn", Event.CONSENT_LAPSED: "consent-lapsed"}
_STUDY = {"approved": "", "suspended": "study-suspended", "expired": "study-expired"}


def last_look(store: Store) -> datetime | None:
    """When everything was last found out, here and at the coordinator."""
    with store.read() as db:
        row = db.execute("SELECT content FROM document WHERE name = ?", (_LOOKED,)).fetchone()
    return None if row is None else clock.parse(row["content"])


def advice(store: Store, item: Item) -> str:
    """What the owner of the model says is to be done since it was recalled, for whatever reason this result was taken
    back first; empty while it was not."""
    with store.read() as db:
        row = db.execute("SELECT content FROM document WHERE name = ?", (f"{_RECALL} {item.definition}",)).fetchone()
    return "" if row is None else str(row["content"])


class Authority:
    """Of one home and the configured definition."""

    def __init__(self, home: ClientHome, api: Api, store: Store, config: Config) -> None:
        self._home, self._api, self._store = home, api, store
        self._digest = config["definition"]
        self._items = Items(store, self._digest)
        self._statements: dict[str, Consent] = {}

    def look(self) -> None:
        """Take back what rests on something that has ended, and note that everything was looked at.

        What this home knows by itself is heeded first, whether or not the coordinator can be reached.

        Raises:
            Refused: what the calls do, and what `fetch_definition` refuses; what was found out before is heeded.
        """
        now = clock.now()
        if revocation(self._home.directory, self._digest).exists():
            self._items.end("definition-revoked")
        self._own_consents(now)
        definition = fetch_definition(self._home, self._api, self._digest)
        if definition.recall is not None:
            with self._store.write() as db:
                advice = definition.recall["advice"]
                db.execute("INSERT OR REPLACE INTO document VALUES (?, ?)", (f"{_RECALL} {self._digest}", advice))
            self._items.end("model-recalled")
        for why in (_of_definition(definition, self._home.institution, now), self._of_study(definition)):
            if why:
                self._items.end(why)
        self._logged_consents()
        with self._store.write() as db:
            db.execute("INSERT OR REPLACE INTO document VALUES (?, ?)", (_LOOKED, clock.rfc3339(now)))

    def _own_consents(self, now: datetime) -> None:
        """What the statements that are kept here say: withdrawn from here, or their time is over."""
        for consent in self._items.consents():
            with suppress(Refused):  # nothing is computed on a consent that is none
                if consent not in self._statements:
                    self._statements[consent] = consents.kept(self._home, consent).statement
                if why := self._of_statement(consent, now):
                    self._items.end(why, consent=consent)

    def _of_statement(self, consent: str, now: datetime) -> str:
        statement = self._statements[consent]
        if consents.withdrawn_here(self._home, consent):
            return "consent-withdrawn"
        if now >= clock.parse(statement["until"]):
            return "consent-expired"
        try:
            check_reconsent(statement, now)
        except Refused:
            return "consent-lapsed"
        return ""

    def _of_study(self, definition: CheckedDefinition) -> str:
        state = self._api.study(definition.content["study"])["state"]
        return _STUDY.get(state, "study-ended")

    def _logged_consents(self) -> None:
        """What this institution said from another machine, by the log: its consents that have ended since."""
        since = self._items.first_asked()
        if since is None:
            return
        asked = {"institution": self._home.institution, "since": clock.rfc3339(since - timedelta(hours=1))}
        for event, why in _ENDED.items():
            name, last = f"{_READ} {event}", -1
            with self._store.read() as db:
                row = db.execute("SELECT content FROM document WHERE name = ?", (name,)).fetchone()
            known = -1 if row is None else int(row["content"])
            for index, consent in self._found(event, asked, known):
                last = max(last, index)
                with self._store.write() as db:
                    _note(db, consent, why)
            with self._store.write() as db:  # not before all of them are noted
                content = str(max(last, known))
                db.execute("INSERT OR REPLACE INTO document VALUES (?, ?)", (name, content))
        with self._store.read() as db:
            ended = db.execute("SELECT consent, why FROM consent_ended").fetchall()
        for consent, why in ended:
            self._items.end(why, consent=consent)

    def _found(self, event: Event, asked: dict[str, str], known: int) -> Iterator[tuple[int, str]]:
        """Entries behind the one that is known, the latest first: index, and the consent's id."""
        for found in self._api.lists.entries(event=str(event), **asked):
            if found["index"] <= known:
                return
            leaf = read_leaf(unb64(self._api.entry(found["index"])["leaf"]))
            if leaf["event"] is not event or leaf["public"].get("institution") != self._home.institution:
                raise Refused(Reason.ENTRY_ALTERED, detail="The entry records something else.", field=str(event))
            yield found["index"], str(leaf["public"].get("consent", ""))


def _note(db: sqlite3.Connection, consent: str, why: str) -> None:
    """Keep it for as long as something asked here names the consent: a result may still be on its way."""
    named = "SELECT ?, ? WHERE EXISTS (SELECT 1 FROM item WHERE consent = ?)"
    db.execute(f"INSERT OR IGNORE INTO consent_ended {named}", (consent, why, consent))


def _of_definition(definition: CheckedDefinition, requester: str, now: datetime) -> str:
    """Revoked once somebody without whom nothing runs has said no, or too many of the quorum have."""
    content = definition.content
    refusing = {slug for slug, approves in definition.approvals.items() if not approves}
    needed = {*content["parties"], definition.manifest["owner"], requester}
    left = set(content["quorum"]["of"]) - refusing
    if definition.state == "revoked" or refusing & needed or len(left) < content["quorum"]["needed"]:
        return "definition-revoked"
    return "definition-expired" if now >= clock.parse(content["valid_until"]) else ""
