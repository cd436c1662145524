"""A cohort: for each of its rows the features' values on the index day, whether the outcome came, and stated groups.

The rows are those of OHDSI's table `cohort`: `subject_id` is a person, `cohort_start_date` the index day. Of a person
that of the first index day is read, whatever becomes of it, and no other: what is counted are people, and what is said
of one row is said of a person. They are read in batches, each by as many queries as there are tables, however many
persons there are. Who cannot be used is left out, and only counted: nothing that is yielded or counted names a person.

What comes later than the index day is read for the outcome alone.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal

from concordat.omop.database import Database, marks
from concordat.omop.reader import GENDERS, Index, Reader
from concordat.omop.rows import Rows, day_of, fetch
from concordat.omop.statements import certainty
from concordat.reasons import Reason, Refused
from concordat.schema import Code, Feature, FeatureSchema, Value

BATCH = 500
"""Persons in a batch."""

FEWEST = 5
"""Smaller counts are not shown."""

OUTCOME = "cohort-outcome"
"""The name of the outcome beside the schema's features."""

NOBODY = "not in the table person"
UNOBSERVED = "not observed on the index day, or not for long enough before it"
DEAD = "died on the index day or before it"
DIED = "died within the time of the outcome"
LOST = "not observed for the whole time of the outcome"
UNCERTAIN = "the outcome is neither certain nor excluded"
NO_DATE = "no index day"
AGAIN = "the person has an earlier index day, or another row of the same"

Period = tuple[date, date]


@dataclass(frozen=True)
class Outcome:
    """Whether a condition with one of the codes, or below one, begins in the `days` after the index day."""

    codes: tuple[Code, ...]
    days: int

    def __post_init__(self) -> None:
        if not self.codes or self.days < 1:
            raise Refused(
                Reason.FIELD_INVALID, detail="An outcome has a code, and at least one day to come.", field="outcome"
            )

    @property
    def feature(self) -> Feature:
        """The same as a feature that is found in conditions."""
        about: dict[str, Any] = {"name": OUTCOME, "label": "The outcome", "words": "whether the outcome came"}
        return Feature(
            **about,
            kind="boolean",
            codes=list(self.codes),
            missing="refuse",
            group=OUTCOME,
            reference=False,
            resource="Condition",
        )


@dataclass(frozen=True)
class Group:
    """Which group a row belongs to: by a feature of the schema (of a number, between which of the `cuts`), or by a
    column of `person`. Unknown is a group of its own, named `unknown`."""

    name: str
    of: str
    cuts: tuple[float, ...] = ()

    def value(self, values: Mapping[str, Value], rows: Rows) -> str:
        """The row's group."""
        if self.of in PERSONAL:
            return _personal(self.of, rows)
        value = values.get(self.of)
        if value is None:
            return "unknown"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if not isinstance(value, int | float):
            return value
        below = [cut for cut in self.cuts if value >= cut]
        above = [cut for cut in self.cuts if value < cut]
        return (
            f"{below[-1]:g} and more"
            if not above
            else f"below {above[0]:g}"
            if not below
            else (f"{below[-1]:g} to below {above[0]:g}")
        )


PERSONAL: tuple[Literal["gender", "race", "ethnicity"], ...] = ("gender", "race", "ethnicity")
"""Columns of `person` by which groups may be stated; a race or ethnicity is named by its concept."""


@dataclass(frozen=True)
class CohortRow:
    """A row that can be used: `values` of the schema's features, None for a missing one; no person is named."""

    values: Mapping[str, Value]
    outcome: bool
    groups: Mapping[str, str]


@dataclass
class Summary:
    """How many rows there were, how many were used, and how many were left out, by the reason."""

    rows: int = 0
    used: int = 0
    events: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    present: Counter[str] = field(default_factory=Counter)
    """Of the rows that were used, in how many each feature has a value."""

    def said(self) -> list[tuple[str, str]]:
        """Every reason and count in words, no small count among them."""
        return [(why, shown(count)) for why, count in sorted(self.left_out.items())]


def shown(count: int) -> str:
    """A count, or that it is too small to be shown."""
    return str(count) if count == 0 or count >= FEWEST else f"fewer than {FEWEST}"


def shown_of(count: int, whole: int) -> str:
    """A count of some of a whole that is shown as well: the difference may not be small either."""
    return f"all but fewer than {FEWEST}" if whole >= FEWEST and 0 < whole - count < FEWEST else shown(count)


class Cohort:
    """The rows of one cohort, one a person, to be read once.

    Args:
        cohort: its `cohort_definition_id`.
        outcome: none for the features alone; then nobody need be observed after the index day.
        before: for how many days before the index day a person has to have been observed.

    Raises:
        Refused: FIELD_INVALID, CODE_UNKNOWN naming a feature or a group; OMOP_UNAVAILABLE, OMOP_INVALID.
    """

    def __init__(
        self,
        database: Database,
        schema: FeatureSchema,
        cohort: int,
        *,
        outcome: Outcome | None = None,
        groups: Sequence[Group] = (),
        before: int = 0,
        batch: int = BATCH,
    ) -> None:
        known = {*PERSONAL, *(feature.name for feature in schema.features)}
        for group in groups:
            if group.of not in known or list(group.cuts) != sorted(set(group.cuts)):
                detail = "A group is stated by a feature of the schema or a column of person, with rising cuts."
                raise Refused(Reason.FIELD_INVALID, detail=detail, field=group.name)
        if OUTCOME in known:
            detail = f"A feature of the schema has the name {OUTCOME}, which stands for the outcome here."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field=OUTCOME)
        self.summary = Summary()
        self._database, self._cohort, self._groups, self._outcome = database, cohort, tuple(groups), outcome
        self._before, self._batch = before, batch
        self._target = outcome.feature if outcome is not None else None
        self._reader = Reader(database, schema, *([self._target] if self._target else []))
        if OUTCOME in self._reader.codes.found["Condition"].unsure:
            detail = "A code of the outcome maps to no single standard concept: that it did not come could not be said."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="outcome")

    def __iter__(self) -> Iterator[CohortRow]:
        last: int | None = None
        while persons := self._persons(last):
            yield from self._read(persons)
            last = persons[-1]

    def _persons(self, after: int | None) -> list[int]:
        further = "" if after is None else "AND subject_id > ? "
        query = (
            f"SELECT DISTINCT subject_id FROM {{cohort}} WHERE cohort_definition_id = ? {further}"  # noqa: S608
            "ORDER BY subject_id LIMIT ?"
        )
        parameters = [self._cohort, *([] if after is None else [after]), self._batch]
        return [person for (person,) in self._database.rows("cohort", query, parameters)]

    def _read(self, persons: Sequence[int]) -> Iterator[CohortRow]:
        query = (
            "SELECT subject_id, cohort_start_date FROM {cohort} WHERE cohort_definition_id = ? "
            "AND subject_id BETWEEN ? AND ? ORDER BY subject_id, cohort_start_date"
        )
        index_days = self._database.rows("cohort", query, [self._cohort, persons[0], persons[-1]])
        found = fetch(self._database, self._reader.codes, persons)
        periods, deaths = self._periods(persons), self._deaths(persons)
        seen: int | None = None
        for person, written in index_days:
            self.summary.rows += 1
            index, rows = day_of(written, "cohort"), found.get(person)
            row: CohortRow | str
            if index is None:
                row = NO_DATE
            elif person == seen:
                row = AGAIN
            elif rows is None:
                row = NOBODY
            else:
                row = self._row(rows, index, periods.get(person, []), deaths.get(person))
            seen = person if index is not None else seen
            if isinstance(row, str):
                self.summary.left_out[row] += 1
                continue
            self.summary.used += 1
            self.summary.events += row.outcome
            self.summary.present.update(name for name, value in row.values.items() if value is not None)
            yield row

    def _row(self, rows: Rows, index: date, periods: Sequence[Period], death: date | None) -> CohortRow | str:
        why = self._unusable(index, periods, death)
        if why:
            return why
        came = self._came(rows, index)
        if came is None:
            return UNCERTAIN
        try:
            read = self._reader.read(rows, Index.on(index)).values
            values = {feature.name: read.get(feature.name) for feature in self._reader.schema.features}
            self._reader.schema.encode_row(values)
        except Refused as refused:
            if refused.reason in (Reason.OMOP_INVALID, Reason.OMOP_UNAVAILABLE):
                raise
            return f"{refused.field}: {refused.reason}"
        return CohortRow(values, came, {group.name: group.value(values, rows) for group in self._groups})

    def _unusable(self, index: date, periods: Sequence[Period], death: date | None) -> str:
        if death is not None and death <= index:
            return DEAD
        # Differences of days, since sums may lie beyond the calendar.
        before = timedelta(days=self._before)
        end = next((end for start, end in periods if index - start >= before and index <= end), None)
        if end is None:
            return UNOBSERVED
        if self._outcome is None:
            return ""
        time = timedelta(days=self._outcome.days)
        if end - index >= time:
            return ""
        return DIED if death is not None and death - index <= time else LOST

    def _came(self, rows: Rows, index: date) -> bool | None:
        """Whether the outcome came; None if somebody only suspected it."""
        if self._outcome is None or self._target is None:
            return False
        time = timedelta(days=self._outcome.days)
        found, statuses = self._reader.codes.found["Condition"], self._reader.codes.statuses
        said = {
            certainty(row, statuses)
            for row in rows.conditions
            if any(each is self._target for each in found.of(row.concept, row.source))
            and timedelta() < (day_of(row.start, row.table) or index) - index <= time
        }
        return True if "yes" in said else None if "uncertain" in said else False

    def _periods(self, persons: Sequence[int]) -> dict[int, list[Period]]:
        """When each was observed; periods that follow upon each other are one."""
        query = (
            "SELECT person_id, observation_period_start_date, observation_period_end_date "  # noqa: S608
            f"FROM {{observation_period}} WHERE person_id IN ({marks(persons)})"
        )
        found: dict[int, list[Period]] = {}
        for person, start, end in self._database.rows("observation_period", query, persons):
            first, last = day_of(start, "observation_period"), day_of(end, "observation_period")
            if first is not None and last is not None:
                found.setdefault(person, []).append((first, last))
        return {person: _joined(sorted(each)) for person, each in found.items()}

    def _deaths(self, persons: Sequence[int]) -> dict[int, date]:
        query = f"SELECT person_id, death_date FROM {{death}} WHERE person_id IN ({marks(persons)})"  # noqa: S608
        found: dict[int, date] = {}
        for person, written in self._database.rows("death", query, persons):
            day = day_of(written, "death")
            if day is not None:
                found[person] = min(day, found.get(person, day))
        return found


def _joined(periods: Sequence[Period]) -> list[Period]:
    joined: list[Period] = []
    for start, end in periods:
        if joined and start - joined[-1][1] <= timedelta(days=1):
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _personal(column: str, rows: Rows) -> str:
    if column == "gender":
        return GENDERS.get(rows.person.gender or 0, "unknown")
    concept = rows.person.race if column == "race" else rows.person.ethnicity
    return f"concept {concept}" if concept else "unknown"
