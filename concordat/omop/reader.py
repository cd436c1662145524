"""Reading persons' rows into the values of a feature schema, at a moment or on an index day.

At a moment (now), all rows are read, and one of the future is refused as in a FHIR Bundle. On an index day, what was
recorded later is not read: the database knows more than anybody did on that day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Self

from concordat.omop import statements
from concordat.omop.codes import Codes, resolve
from concordat.omop.database import Database
from concordat.omop.rows import PersonRow, Rows, StatementRow, ValueRow, day_of, fetch, span
from concordat.omop.values import ValueCandidate, speaks, value_of
from concordat.reading import tally as left_out
from concordat.reading import times
from concordat.reading.newest import check_taken, newest, young
from concordat.reading.record import Item, Reading
from concordat.reading.tally import Tally
from concordat.reading.times import Span
from concordat.reading.values import invalid
from concordat.reasons import Reason, Refused
from concordat.schema import Feature, FeatureSchema, Value

GENDERS: Mapping[int, str] = {8507: "male", 8532: "female", 8521: "other"}
"""`gender_concept_id`, as FHIR's `gender`; any other one says nothing."""


@dataclass(frozen=True)
class Index:
    """When a record is read: `now`, and the last day of which rows are read (None: all)."""

    now: Span
    until: date | None

    @classmethod
    def at(cls, moment: datetime) -> Self:
        """A moment (aware): all rows are read."""
        return cls(times.at(moment), None)

    @classmethod
    def on(cls, day: date) -> Self:
        """A day: rows of that day and of those before it are read."""
        return cls(times.on(day), day)

    def reads(self, day: date | None) -> bool:
        """Whether a row of this day is read."""
        return self.until is None or day is None or day <= self.until

    @property
    def day(self) -> date:
        """The day on which a person's age is counted."""
        return date.fromisoformat(self.now.words[:10])


@dataclass(frozen=True)
class Person:
    """Whose record is read: by the number that the database gave, or by what the hospital calls them. Never shown."""

    person_id: int | None = None
    person_source_value: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """`person_id=42` or `person_source_value=…`, on one line. Raises Refused(FIELD_INVALID)."""
        name, mark, value = text.strip().partition("=")
        name, value = name.strip(), value.strip()
        if mark and value and "\n" not in value:
            if name == "person_source_value":
                return cls(person_source_value=value)
            if name == "person_id" and value.isascii() and value.isdigit() and len(value) < 19:
                return cls(person_id=int(value))
        detail = "A person is named on one line: person_id=NUMBER or person_source_value=TEXT."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="person")

    def __repr__(self) -> str:
        return "Person(…)"


class Reader:
    """Reads by one feature schema. Its codes are found once.

    Args:
        others: features that the schema does not have, such as an outcome; their rows are fetched, too.

    Raises:
        Refused: what `resolve` refuses.
    """

    def __init__(self, database: Database, schema: FeatureSchema, *others: Feature) -> None:
        self.database = database
        self.schema = schema
        self.codes: Codes = resolve(database, schema, *others)

    def person(self, person: Person, index: Index) -> Reading:
        """What the tables say of one person.

        Raises:
            Refused: NOT_FOUND for nobody; CONFLICT for several persons; what `read` refuses.
        """
        if person.person_id is None:
            query = "SELECT person_id FROM {person} WHERE person_source_value = ?"
            found = self.database.rows("person", query, [person.person_source_value])
        else:
            found = [(person.person_id,)]
        if len(found) > 1:
            raise Refused(Reason.CONFLICT, detail="Several rows of person have this source value.", field="person")
        rows = fetch(self.database, self.codes, [each for (each,) in found]) if found else {}
        if not rows:
            raise Refused(Reason.NOT_FOUND, detail="The table person has no such row.", field="person")
        return self.read(next(iter(rows.values())), index)

    def read(self, rows: Rows, index: Index) -> Reading:
        """What a person's rows say about the features of the schema.

        Returns:
            As `concordat.fhir.read_bundle`: a reading with an item for each feature; `patient` is empty.

        Raises:
            Refused: FIELD_INVALID, UNIT_WRONG, CODE_UNKNOWN or VALUE_TOO_OLD naming the feature, OMOP_INVALID naming
                the table. No value is ever named.
        """
        tally = Tally()
        personal = (_said(each, rows.person, index) for each in self.schema.features if each.patient is not None)
        items = {item.feature: item for item in personal if item is not None}
        features: dict[str, list[Feature]] = {"Observation": [], "Condition": [], "MedicationStatement": []}
        for feature in self.schema.features:
            if feature.name not in items:
                features[feature.resource or "Observation"].append(feature)
        items |= self._values(rows.values, features["Observation"], index, tally)
        for kind, found in (("Condition", rows.conditions), ("MedicationStatement", rows.drugs)):
            if features[kind]:
                items |= self._statements(kind, found, features[kind], index, tally)
        listed = tuple(
            items.get(feature.name) or Item(feature.name, None, "missing", why="nothing in the tables speaks of it")
            for feature in self.schema.features
        )
        values: dict[str, Value] = {item.feature: item.value for item in listed if item.feature in items}
        return Reading(values, listed, tuple(tally.left_out), "")

    def _values(
        self, rows: Sequence[ValueRow], features: Sequence[Feature], index: Index, tally: Tally
    ) -> dict[str, Item]:
        asked = {feature.name for feature in features}
        found, zone = self.codes.found["Observation"], self.database.zone
        candidates: dict[str, list[ValueCandidate]] = {}
        for row in rows:
            when = span(row.day, row.moment, row.table, zone)
            if not index.reads(day_of(row.day, row.table) or (when.first.date() if when else None)):
                continue
            candidate = ValueCandidate(row, when, speaks(row))
            for feature in found.of(row.concept, row.source):
                if feature.name in asked:
                    candidates.setdefault(feature.name, []).append(candidate)
            tally.leave(row.table, _place(row), left_out.OLDER)
        return {
            feature.name: self._item(feature, candidates[feature.name], index, tally)
            for feature in features
            if feature.name in candidates
        }

    def _item(self, feature: Feature, candidates: Sequence[ValueCandidate], index: Index, tally: Tally) -> Item:
        best, again = newest(feature, candidates)
        for other in again:
            tally.leave(other.row.table, _place(other.row), left_out.AGAIN)
        check_taken(feature, best.when, now=index.now)
        found = value_of(best.row, feature, self.codes)
        tally.use(_place(best.row))
        item = Item(
            feature.name,
            found.value,
            "missing" if found.value is None else "read",
            why="" if found.value is not None else "absent, or without a value",
            taken=best.when.words if best.when else "",
            age=best.when.age(index.now) if best.when else None,
            unit=found.unit,
            converted=bool(found.unit) and found.unit != feature.unit,
            resource=best.row.table,
            place=_place(best.row),
        )
        return young(item, feature)

    def _statements(
        self, kind: str, rows: Sequence[StatementRow], features: Sequence[Feature], index: Index, tally: Tally
    ) -> dict[str, Item]:
        source, zone, now = self.database.source, self.database.zone, index.now
        ends = source.get("condition_ends", "unknown")
        said = [
            (
                row,
                statements.condition_says(row, now, self.codes, ends=ends, zone=zone)
                if kind == "Condition"
                else statements.drug_says(row, now, zone=zone),
            )
            for row in rows
            if index.reads(day_of(row.start, row.table))
        ]
        table = "condition_occurrence" if kind == "Condition" else source.get("drugs", "drug_exposure")
        return statements.read_statements(
            table, said, features, self.codes.found[kind], now=now, zone=zone, tally=tally
        )


def _place(row: ValueRow) -> str:
    return f"{row.table}/{row.number}"


def _said(feature: Feature, person: PersonRow, index: Index) -> Item | None:
    """What the table `person` says about a feature, if anything."""
    value: Value = None
    if feature.patient == "gender":
        value = GENDERS.get(person.gender or 0)
    elif person.year:
        value = _age(feature, person, index.day)
    if value is None:
        return None
    return Item(feature.name, value, "read", resource="person", place="person")


def _age(feature: Feature, person: PersonRow, day: date) -> int:
    """Completed years on a day, by as much of the date of birth as there is."""
    try:
        born = f"{person.year:04}"
        if person.month:
            born += f"-{person.month:02}" + (f"-{person.day:02}" if person.day else "")
        age = times.years(born, day)
    except ValueError:
        raise invalid(feature, "The date of birth is no date, or lies after the index day.") from None
    if age is None:
        raise invalid(feature, "The date of birth is not complete, and fits two ages. Give year, month and day.")
    return age
