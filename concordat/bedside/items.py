"""What was asked for a patient, and how far it has come."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

from concordat import clock
from concordat.bedside.config import Config
from concordat.bedside.store import Store
from concordat.display import RETRACTIONS
from concordat.reasons import Reason, Refused
from concordat.schema import Value
from concordat.what_if import Change

State = Literal["waiting", "sent", "open", "failed"]

Standing = Literal["pending", "late", "down", "failed", "stale", "retracted", "superseded", "ready"]
"""What can be said of a result now. Only `ready` is a result; none of the others says anything about a risk."""

SKEW = timedelta(minutes=10)
"""By how much the clock of whoever took a value may be ahead of ours."""

WORKER_SILENT = timedelta(minutes=2)
"""After so long without a sign of the worker, what is pending waits for nobody."""


_LATEST = "SELECT * FROM item WHERE patient = ? AND about IS NULL ORDER BY asked DESC, rowid DESC LIMIT 1"


@dataclass(frozen=True)
class Item:
    """One request: a patient's record, or with a `change` a question `about` one. `result` is null until it is open."""

    id: str
    definition: str
    patient: str
    about: str | None
    values: dict[str, Value]
    taken: dict[str, str]
    change: dict[str, Value]
    person: str
    consent: str
    subject: str
    asked: datetime
    state: State
    reason: str
    result: dict[str, Any] | None
    retraction: str
    retracted: str

    @property
    def oldest(self) -> datetime:
        """When the oldest of its inputs was taken; when it was asked, if none says so."""
        return min(map(clock.parse, self.taken.values()), default=self.asked)


class Items:
    """Requests in the store; what is asked now is asked under the `definition` with this digest."""

    def __init__(self, store: Store, definition: str) -> None:
        self.store, self.definition = store, definition

    def put(
        self,
        *,
        patient: str,
        values: Mapping[str, Value],
        taken: Mapping[str, str],
        person: str,
        consent: str,
        subject: str,
    ) -> Item:
        """Ask for a patient's record, unless that is what was asked last: what is asked for twice is computed once.

        Only the very same values, taken at the same times, for the same person under the same definition, are the same.

        Raises:
            Refused: WRONG_STATE for a record that was retracted as wrong or of another patient, or for a patient who
                was merged into another: what was found to be wrong does not come back by itself.
        """
        asked = _json(values), _json(taken), person, consent, subject
        with self.store.write() as db:
            wrong = db.execute(
                "SELECT retraction FROM item WHERE patient = ? AND about IS NULL AND ((given, taken) = (?, ?) AND "
                "retraction IN ('wrong-patient', 'entered-in-error') OR retraction = 'merged' AND merged != '')",
                (patient, *asked[:2]),
            ).fetchone()
            if wrong is not None:
                detail = f"{RETRACTIONS[wrong['retraction']]} Correct the record at its source, and ask with that."
                raise Refused(Reason.WRONG_STATE, detail=detail, field="patient")
            last = db.execute(_LATEST, (patient,)).fetchone()
            again = last is not None and (
                tuple(last[name] for name in ("given", "taken", "person", "consent", "subject")) == asked
                and last["definition"] == self.definition
                and last["retraction"] == ""
                and last["state"] != "failed"
            )
            return _item(last) if again else _insert(db, self.definition, patient, None, asked, {})

    def ask(self, about: Item, change: Change, *, once: str) -> Item:
        """Ask what would be predicted if `change` held. `once` (UUID) is the question's id: the same again is one.

        Raises Refused(FIELD_INVALID) for no change, and for an id that is another question's.
        """
        if not change:
            raise Refused(Reason.FIELD_INVALID, detail="Change at least one value first.", field="change")
        with self.store.write() as db:
            known = db.execute("SELECT * FROM item WHERE id = ?", (once,)).fetchone()
            if known is not None:
                if (known["about"], known["change"]) != (about.id, _json(change)):
                    raise Refused(Reason.FIELD_INVALID, detail="Ask the question anew.", field="once")
                return _item(known)
            asked = _json(about.values), _json(about.taken), about.person, about.consent, about.subject
            return _insert(db, about.definition, about.patient, about.id, asked, change, once)

    def of(self, request: str) -> Item:
        """Raises Refused(NOT_FOUND)."""
        with self.store.read() as db:
            row = db.execute("SELECT * FROM item WHERE id = ?", (request,)).fetchone()
        if row is None:
            raise Refused(Reason.NOT_FOUND, detail="The bedside knows no such request.", field="request")
        return _item(row)

    def latest(self, patient: str) -> Item | None:
        """What was asked last for a patient, questions aside."""
        with self.store.read() as db:
            row = db.execute(_LATEST, (patient,)).fetchone()
        return None if row is None else _item(row)

    def questions(self, about: Item) -> list[Item]:
        """The questions about a record, the latest first."""
        return self._all("about = ? ORDER BY asked DESC, rowid DESC", about.id)

    def unfinished(self) -> list[Item]:
        """What the worker has to do, in the order in which it was asked."""
        return self._all("state IN ('waiting', 'sent') ORDER BY asked, rowid")

    def sent_on(self, day: datetime) -> int:
        """How many requests of that day (UTC) went out from here, questions included."""
        with self.store.read() as db:
            query = "SELECT count(*) FROM item WHERE asked LIKE ? AND state IN ('sent', 'open')"
            return int(db.execute(query, (f"{day:%Y-%m-%d}%",)).fetchone()[0])

    def sent(self, item: Item) -> None:
        self._set("state = 'sent' WHERE id = ? AND state = 'waiting'", item.id)

    def opened(self, item: Item, result: Mapping[str, Any]) -> None:
        self._set("state = 'open', reason = '', result = ? WHERE id = ?", _json(result), item.id)

    def failed(self, item: Item, reason: Reason) -> None:
        self._set("state = 'failed', reason = ? WHERE id = ?", str(reason), item.id)

    def retract(self, *, patient: str = "", request: str = "", why: str, into: str = "") -> list[Item]:
        """Nothing of these is shown any more: the first retraction of each stays. Answers all that are retracted.

        `into`: the patient into whom this one was merged; nothing is asked for this one from then on."""
        which, named = "(patient = ? OR id = ? OR about = ?)", (patient, request, request)
        change = f"UPDATE item SET retraction = ?, retracted = ?, merged = ? WHERE {which} AND retraction = ''"  # noqa: S608
        with self.store.write() as db:
            db.execute(change, (why, clock.rfc3339(clock.now()), into, *named))
        return self._all(f"{which} ORDER BY asked, rowid", *named)

    def forget(self, patient: str) -> list[str]:
        """Delete whatever the store holds on a patient, receipts that were not handed in included, and overwrite it.

        Answers the requests' ids: their folders in the home's `work/` are not the store's to delete."""
        with self.store.write() as db:
            rows = db.execute(
                "SELECT id FROM item WHERE patient = ? ORDER BY about IS NULL, rowid", (patient,)
            ).fetchall()
            for (request,) in rows:  # questions first: they name the record that they are about
                for table in ("receipt", "card", "link", "session"):
                    db.execute(f"DELETE FROM {table} WHERE item = ?", (request,))  # noqa: S608
                db.execute("DELETE FROM item WHERE id = ?", (request,))
        self.store.overwrite()
        return [str(request) for (request,) in rows]

    def _all(self, which: str, *parameters: str) -> list[Item]:
        with self.store.read() as db:
            return [_item(row) for row in db.execute(f"SELECT * FROM item WHERE {which}", parameters)]  # noqa: S608

    def _set(self, change: str, *parameters: str) -> None:
        with self.store.write() as db:
            db.execute(f"UPDATE item SET {change}", parameters)  # noqa: S608


def standing(item: Item, config: Config, *, now: datetime, worker: datetime | None) -> Standing:
    """What can be said of an item. `worker` is when the worker last reached the coordinator."""
    if item.retraction:
        return "retracted"
    if item.definition != config["definition"]:
        return "superseded"
    if item.state == "open":
        fresh = -SKEW <= now - item.oldest <= timedelta(hours=config["stale_after_hours"])
        return "ready" if fresh else "stale"
    if item.state == "failed":
        return "failed"
    if worker is None or now - worker > WORKER_SILENT:
        return "down"
    return "late" if now - item.asked > timedelta(minutes=config["late_after_minutes"]) else "pending"


def _insert(
    db: sqlite3.Connection,
    definition: str,
    patient: str,
    about: str | None,
    asked: tuple[str, str, str, str, str],
    change: Change,
    once: str = "",
) -> Item:
    given, taken, person, consent, subject = asked
    row = {
        "id": once or str(uuid4()),
        "definition": definition,
        "patient": patient,
        "about": about,
        "given": given,
        "taken": taken,
        "change": _json(change),
        "person": person,
        "consent": consent,
        "subject": subject,
        "asked": clock.rfc3339(clock.now()),
        "state": "waiting",
    }
    names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
    db.execute(f"INSERT INTO item ({names}) VALUES ({places})", row)  # noqa: S608
    return _item(db.execute("SELECT * FROM item WHERE id = ?", (row["id"],)).fetchone())


def _item(row: sqlite3.Row) -> Item:
    return Item(
        id=row["id"],
        definition=row["definition"],
        patient=row["patient"],
        about=row["about"],
        values=json.loads(row["given"]),
        taken=json.loads(row["taken"]),
        change=json.loads(row["change"]),
        person=row["person"],
        consent=row["consent"],
        subject=row["subject"],
        asked=clock.parse(row["asked"]),
        state=row["state"],
        reason=row["reason"],
        result=json.loads(row["result"]) if row["result"] else None,
        retraction=row["retraction"],
        retracted=row["retracted"],
    )


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True)
