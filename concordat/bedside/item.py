"""One request as the store holds it: a patient's record, or a question about one."""

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from concordat import clock
from concordat.fields import read
from concordat.reading.record import Origins
from concordat.request import Urgency
from concordat.schema import Value

State = Literal["waiting", "sent", "open", "failed"]

VALUES = "urn:concordat:values"
"""In place of a source, for plain values: the record says neither when nor from what each of them was taken."""


@dataclass(frozen=True)
class Item:
    """One request: a patient's record, or with a `change` a question `about` one. `result` is null until it is open.

    `source` is where the record was read, as an audit names it; empty where that was not written down. `told` is when a
    FHIR server that it came from said last what became of it, which it did first when it was read."""

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
    urgency: Urgency
    source: str
    origins: Origins | None
    told: datetime

    @property
    def stated(self) -> bool:
        """Whether the times of its values are what whoever asked stated."""
        return self.source == VALUES

    @property
    def server(self) -> str:
        """The address of the FHIR server that the record came from; empty if it came from none."""
        return self.source if urlsplit(self.source).scheme in ("http", "https") else ""

    @property
    def oldest(self) -> datetime:
        """When the oldest of its inputs was taken; when it was asked, if none says so."""
        return min(map(clock.parse, self.taken.values()), default=self.asked)


def item_of(row: sqlite3.Row) -> Item:
    """A row of the store."""
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
        urgency=row["urgency"],
        source=row["source"],
        origins=read(json.loads(row["origins"]), Origins) if row["origins"] else None,
        told=clock.parse(row["told"] or row["asked"]),
    )
