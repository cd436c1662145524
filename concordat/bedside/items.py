"""What was asked for a patient, and how far it has come."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from concordat import canonical, clock
from concordat.bedside.item import Item, item_of
from concordat.bedside.store import FILE, Store
from concordat.display import ENDINGS, TAKEN_BACK
from concordat.reading.record import Origins
from concordat.reasons import Reason, Refused
from concordat.request import Urgency
from concordat.schema import Value
from concordat.what_if import Change

FORGET_CONSENTS = "DELETE FROM consent_ended WHERE consent NOT IN (SELECT consent FROM item)"
"""Of a consent that nothing names any more, nothing is kept."""

_SAME = ("given", "taken", "person", "consent", "subject", "urgency", "source")
"""What makes a record asked for again the same; how old its values were when it was read does not count."""

_RETRACTIONS = (
    "SELECT id, retraction FROM item WHERE id IN (SELECT value FROM json_each(?)) "
    "AND (retraction != '' OR state != 'failed')"
)

_LATEST = "SELECT * FROM item WHERE patient = ? AND about IS NULL ORDER BY asked DESC, rowid DESC LIMIT 1"


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
        urgency: Urgency = "routine",
        source: str = "",
        origins: Origins | None = None,
        request: str = "",
    ) -> Item:
        """Ask for a patient's record, unless that is what was asked last: what is asked for twice is computed once.

        Only the very same values, taken at the same times and read at the same place, for the same person, as urgently
        and under the same definition, are the same.

        Args:
            source: where the record was read, as an audit names it; `VALUES` of plain values.
            origins: from where each value came.
            request: the id (UUID) of the request, where it was made already and is to be shown here too.

        Raises:
            Refused: WRONG_STATE for a record that was retracted as wrong or of another patient, or for a patient who
                was merged into another: what was found to be wrong does not come back by itself.
        """
        asked = {
            "given": _json(values),
            "taken": _json(taken),
            "person": person,
            "consent": consent,
            "subject": subject,
            "urgency": urgency,
            "source": source,
            "origins": _json(origins) if origins else "",
        }
        with self.store.write() as db:
            if wrong := _wrong(db, patient, asked["given"], asked["taken"]):
                detail = f"{TAKEN_BACK[wrong]}. Correct the record at its source, and ask with that."
                raise Refused(Reason.WRONG_STATE, detail=detail, field="patient")
            last = db.execute(_LATEST, (patient,)).fetchone()
            again = last is not None and (
                all(last[name] == asked[name] for name in _SAME)
                and last["definition"] == self.definition
                and last["retraction"] == ""
                and last["state"] != "failed"
            )
            return item_of(last) if again else _insert(db, self.definition, patient, None, asked, {}, request)

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
                return item_of(known)
            row = db.execute("SELECT * FROM item WHERE id = ?", (about.id,)).fetchone()
            asked = {name: row[name] for name in (*_SAME, "origins")}
            return _insert(db, about.definition, about.patient, about.id, asked, change, once)

    def of(self, request: str) -> Item:
        """Raises Refused(NOT_FOUND)."""
        with self.store.read() as db:
            row = db.execute("SELECT * FROM item WHERE id = ?", (request,)).fetchone()
        if row is None:
            raise Refused(Reason.NOT_FOUND, detail="The bedside knows no such request.", field="request")
        return item_of(row)

    def latest(self, patient: str) -> Item | None:
        """What was asked last for a patient, questions aside."""
        with self.store.read() as db:
            row = db.execute(_LATEST, (patient,)).fetchone()
        return None if row is None else item_of(row)

    def questions(self, about: Item) -> list[Item]:
        """The questions about a record, the latest first."""
        return self._all("about = ? ORDER BY asked DESC, rowid DESC", about.id)

    def unfinished(self) -> list[Item]:
        """What the worker has to do, in the order in which it was asked."""
        return self._all("state IN ('waiting', 'sent') ORDER BY asked, rowid")

    def due(self, *, looked: datetime, asked: datetime) -> list[Item]:
        """Records of FHIR servers whose results are shown under the definition, or may come to be: asked for since
        `asked`, and not looked at since `looked`; some of them, the longest ago first."""
        which = (
            "about IS NULL AND retraction = '' AND state != 'failed' AND definition = ? AND source LIKE 'http%' "
            "AND asked >= ? AND looked <= ? ORDER BY looked, asked, rowid LIMIT 100"
        )
        return self._all(which, self.definition, clock.rfc3339(asked), clock.rfc3339(looked))

    def looked(self, item: Item) -> None:
        """It was looked at now what became of a record at its server."""
        self._set("looked = ? WHERE id = ?", clock.rfc3339(clock.now()), item.id)

    def told(self, item: Item) -> None:
        """The server said now what became of a record."""
        self._set("told = ? WHERE id = ?", clock.rfc3339(clock.now()), item.id)

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
        """Nothing of these is shown any more: the first retraction of each stays, but for what had only ended. Answers
        all that are retracted.

        `into`: the patient into whom this one was merged; nothing is asked for this one from then on. Both patients'
        results are taken back: neither record is any more the one that was computed on."""
        which, named = "(patient = ? OR id = ? OR about = ?)", (patient, request, request)
        first = f"(retraction = '' OR retraction IN ({', '.join('?' * len(ENDINGS))}))"
        change = f"UPDATE item SET retraction = ?, retracted = ?, merged = ? WHERE {which} AND {first}"  # noqa: S608
        with self.store.write() as db:
            db.execute(change, (why, clock.rfc3339(clock.now()), into, *named, *ENDINGS))
        found = self._all(f"{which} ORDER BY asked, rowid", *named)
        return found + (self.retract(patient=into, why=why) if into else [])

    def end(self, why: str, *, consent: str = "") -> None:
        """What the open results under the definition rest on, or under it on one consent, has ended: they are taken
        back. `why` is a code of `display.ENDINGS`."""
        change = "retraction = ?, retracted = ? WHERE state = 'open' AND retraction = '' AND definition = ?"
        more, named = (" AND consent = ?", [consent]) if consent else ("", [])
        self._set(change + more, why, clock.rfc3339(clock.now()), self.definition, *named)

    def consents(self) -> list[str]:
        """The consents on which what is shown rests."""
        query = (
            "SELECT DISTINCT consent FROM item WHERE state = 'open' AND retraction = '' AND definition = ? "
            "AND consent != ''"
        )
        with self.store.read() as db:
            return [str(consent) for (consent,) in db.execute(query, (self.definition,))]

    def first_asked(self) -> datetime | None:
        """When the first was asked of those that are shown, or may come to be, and rest on a consent."""
        query = "SELECT min(asked) FROM item WHERE state != 'failed' AND retraction = '' AND consent != ''"
        with self.store.read() as db:
            (asked,) = db.execute(query).fetchone()
        return None if asked is None else clock.parse(asked)

    def untold(self) -> list[Item]:
        """Results that were taken back, of which no receipt says so yet."""
        return self._all(
            "retraction != '' AND result != '' AND NOT EXISTS (SELECT 1 FROM receipt WHERE receipt.item = item.id "
            "AND receipt.decision = 'retracted' AND receipt.reason = item.retraction) ORDER BY asked, rowid"
        )

    def forget(self, patient: str) -> list[str]:
        """Delete whatever the store holds on a patient, receipts that were not handed in included, and overwrite it.

        Answers the requests' ids: their folders in the home's `work/` are not the store's to delete."""
        with self.store.write() as db:
            rows = db.execute(
                "SELECT id FROM item WHERE patient = ? ORDER BY about IS NULL, rowid", (patient,)
            ).fetchall()
            for (request,) in rows:  # questions first: they name the record that they are about
                delete(db, request)
            db.execute("DELETE FROM wrong WHERE patient = ?", (patient,))
            db.execute(FORGET_CONSENTS)
        self.store.overwrite()
        return [str(request) for (request,) in rows]

    def _all(self, which: str, *parameters: str) -> list[Item]:
        with self.store.read() as db:
            return [item_of(row) for row in db.execute(f"SELECT * FROM item WHERE {which}", parameters)]  # noqa: S608

    def _set(self, change: str, *parameters: str) -> None:
        with self.store.write() as db:
            db.execute(f"UPDATE item SET {change}", parameters)  # noqa: S608


def check_not_taken_back(folder: Path, requests: Sequence[str]) -> None:
    """Raises Refused(WRONG_STATE) if the bedside of the home in this folder, where there is one, has taken the result
    of one of these requests back: of what is to be shown, or of what it asks about."""
    found = retractions(folder, requests)
    if why := next(filter(None, map(found.get, requests)), ""):
        detail = f"The bedside has taken the result back. {TAKEN_BACK[why]}."
        raise Refused(Reason.WRONG_STATE, detail=detail, field="request")


def check_not_shown(folder: Path, requests: Sequence[str]) -> None:
    """Raises Refused(WRONG_STATE) if the bedside of the home in this folder, where there is one, shows the result of
    one of these requests or may come to, since it has not taken it back: what its page shows as good must not be called
    an error elsewhere."""
    known = retractions(folder, requests)
    if shown := next((each for each in requests if known.get(each) == ""), ""):
        detail = f"The bedside still has it. Take it back there first: concordat bedside retract --request {shown}"
        raise Refused(Reason.WRONG_STATE, detail=detail, field="request")


def retractions(folder: Path, requests: Sequence[str]) -> dict[str, str]:
    """Of each of these requests that the bedside of the home in this folder has, if there is one, why it was taken
    back; empty where it was not. What failed there is never shown, and not taken back."""
    if not (folder / FILE).exists():
        return {}
    with Store(folder).read() as db:
        return dict(db.execute(_RETRACTIONS, [json.dumps(list(requests))]).fetchall())


def delete(db: sqlite3.Connection, request: str) -> None:
    """Everything of one request; the questions about it have to be gone."""
    for table in ("receipt", "card", "link", "session"):
        db.execute(f"DELETE FROM {table} WHERE item = ?", (request,))  # noqa: S608
    db.execute("DELETE FROM item WHERE id = ?", (request,))


def record_digest(given: str, taken: str) -> str:
    """Names a record, as the store holds it, when the store does not hold it any more."""
    return canonical.digest([given, taken])


def _wrong(db: sqlite3.Connection, patient: str, given: str, taken: str) -> str:
    """Why a record must not be asked for, if so: it, or every record of the patient, was found to be wrong."""
    known = db.execute(
        "SELECT retraction FROM item WHERE patient = ? AND about IS NULL AND ((given, taken) = (?, ?) AND "
        "retraction IN ('wrong-patient', 'entered-in-error') OR retraction = 'merged' AND merged != '') "
        "UNION SELECT why FROM wrong WHERE patient = ? AND record IN ('', ?)",
        (patient, given, taken, patient, record_digest(given, taken)),
    ).fetchone()
    return "" if known is None else str(known[0])


def _insert(
    db: sqlite3.Connection,
    definition: str,
    patient: str,
    about: str | None,
    asked: Mapping[str, str],
    change: Change,
    once: str = "",
) -> Item:
    row = {
        "id": once or str(uuid4()),
        "definition": definition,
        "patient": patient,
        "about": about,
        **asked,
        "change": _json(change),
        "asked": clock.rfc3339(clock.now()),
        "state": "waiting",
    }
    names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
    db.execute(f"INSERT INTO item ({names}) VALUES ({places})", row)  # noqa: S608
    return item_of(db.execute("SELECT * FROM item WHERE id = ?", (row["id"],)).fetchone())


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True)
