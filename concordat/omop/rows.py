"""The rows of some persons, in one query a table, however many persons these are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from concordat.omop.codes import Codes, Found
from concordat.omop.database import COLUMNS, Database, marks
from concordat.reading.times import Span, always, on
from concordat.reasons import Reason, Refused

Day = date | str | None
Moment = datetime | str | None


class PersonRow(NamedTuple):
    """A row of `person`."""

    person: int
    gender: int | None
    year: int | None
    month: int | None
    day: int | None
    race: int | None
    ethnicity: int | None


class ValueRow(NamedTuple):
    """A row of `measurement` or `observation`: a value, or none."""

    number: int
    person: int
    concept: int
    source: int | None
    day: Day
    moment: Moment
    operator: int | None
    qualifier: int | None
    amount: float | Decimal | None
    answer: int | None
    text: str | None
    unit: int | None
    unit_text: str | None
    value_text: str | None
    table: str

    @property
    def content(self) -> tuple[Any, ...]:
        """All but its own number: what makes two rows the same."""
        return self[1:]


class StatementRow(NamedTuple):
    """A row of `condition_occurrence`, `drug_exposure` or `drug_era`."""

    number: int
    person: int
    concept: int
    source: int | None
    start: Day
    start_moment: Moment
    end: Day
    end_moment: Moment
    status: int | None
    table: str


@dataclass
class Rows:
    """What the tables say of one person."""

    person: PersonRow
    values: list[ValueRow] = field(default_factory=list)
    conditions: list[StatementRow] = field(default_factory=list)
    drugs: list[StatementRow] = field(default_factory=list)


def fetch(database: Database, codes: Codes, persons: Sequence[int]) -> dict[int, Rows]:
    """Rows by person, of those persons who are there: at most one query for each table.

    Raises:
        Refused: OMOP_UNAVAILABLE, OMOP_INVALID.
    """
    query = (
        "SELECT person_id, gender_concept_id, year_of_birth, month_of_birth, day_of_birth, race_concept_id, "  # noqa: S608
        f"ethnicity_concept_id FROM {{person}} WHERE person_id IN ({marks(persons)})"
    )
    found = {row[0]: Rows(PersonRow._make(row)) for row in database.rows("person", query, persons)}
    observed = codes.found["Observation"]
    for table in ("measurement", "observation"):
        for row in _select(database, table, observed, persons):
            if row[1] in found:
                found[row[1]].values.append(ValueRow._make((*row, table)))
    for row in _select(database, "condition_occurrence", codes.found["Condition"], persons):
        if row[1] in found:
            found[row[1]].conditions.append(StatementRow._make((*row, "condition_occurrence")))
    drugs = database.source.get("drugs", "drug_exposure")
    for row in _select(database, drugs, codes.found["MedicationStatement"], persons):
        if row[1] in found:
            found[row[1]].drugs.append(StatementRow._make((*row, drugs)))
    return found


_MEASUREMENT = (
    "measurement_id, person_id, measurement_concept_id, measurement_source_concept_id, measurement_date, "
    "measurement_datetime, operator_concept_id, NULL, value_as_number, value_as_concept_id, NULL, unit_concept_id, "
    "unit_source_value, value_source_value"
)
_OBSERVATION = (
    "observation_id, person_id, observation_concept_id, observation_source_concept_id, observation_date, "
    "observation_datetime, NULL, qualifier_concept_id, value_as_number, value_as_concept_id, value_as_string, "
    "unit_concept_id, unit_source_value, value_source_value"
)
_SELECTED: Mapping[str, str] = {
    "measurement": _MEASUREMENT,
    "observation": _OBSERVATION,
    "condition_occurrence": ", ".join(COLUMNS["condition_occurrence"]),
    "drug_exposure": f"{', '.join(COLUMNS['drug_exposure'])}, NULL",
    "drug_era": "drug_era_id, person_id, drug_concept_id, NULL, drug_era_start_date, NULL, drug_era_end_date, NULL, "
    "NULL",
}


def _select(database: Database, table: str, found: Found, persons: Sequence[int]) -> list[tuple[Any, ...]]:
    """Rows of these persons with a concept that is asked for. What lies below a concept is found by the database: it
    may be thousands."""
    own, source = sorted(found.named), sorted(found.source)
    if not source:
        return []
    kind = table.split("_")[0]
    wanted = f"{kind}_concept_id IN ({marks(own)})"
    parameters: list[int] = [*persons, *own]
    if found.below:
        below = f"SELECT descendant_concept_id FROM {{concept_ancestor}} WHERE ancestor_concept_id IN ({marks(own)})"  # noqa: S608
        wanted += f" OR {kind}_concept_id IN ({below})"
        parameters += own
    if table != "drug_era":
        wanted += f" OR {kind}_source_concept_id IN ({marks(source)})"
        parameters += source
    query = (
        f"SELECT {_SELECTED[table]} FROM {{{table}}} WHERE person_id IN ({marks(persons)}) AND ({wanted}) "  # noqa: S608
        f"ORDER BY {COLUMNS[table][0]}"
    )
    return database.rows(table, query, parameters)


def day_of(written: Day, table: str) -> date | None:
    """A date of the database. Raises Refused(OMOP_INVALID) for what is none."""
    if isinstance(written, datetime):
        return written.date()
    if written is None or isinstance(written, date):
        return written
    if isinstance(written, str):
        return _parsed_day(written, table)
    raise _no_date(table)


@lru_cache(100_000)
def _parsed_day(written: str, table: str) -> date:
    try:
        return date.fromisoformat(written[:10])
    except ValueError:
        raise _no_date(table) from None


@lru_cache(100_000)
def span(day: Day, moment: Moment, table: str, zone: ZoneInfo | None) -> Span | None:
    """When something was so: the moment if it is of that day and no midnight, which many a database has where the time
    is not known; else the day. None if neither is said.

    Raises:
        Refused: OMOP_INVALID for what is no date.
    """
    whole, exact = day_of(day, table), _moment(moment, table)
    if exact is None or exact.time() == time():
        known = whole or (exact.date() if exact else None)
        return on(known) if known else None
    found = _exact(exact, zone)
    if whole is None or whole == exact.date():
        return found
    first, last = sorted((on(whole), on(exact.date())), key=lambda each: each.first)  # they differ: either may be right
    return Span(first.first, last.last, False, f"{first.words}/{last.words}")


def _exact(moment: datetime, zone: ZoneInfo | None) -> Span:
    if always(moment.date()):
        return on(moment.date())
    words = moment.isoformat(timespec="seconds")
    if moment.tzinfo is None and zone is None:
        said = moment.replace(tzinfo=UTC)
        return Span(said, said, False, words)
    if moment.tzinfo is not None:
        said = moment.astimezone(UTC)
        return Span(said, said, True, words)
    # In the hour that comes twice when the clocks go back, either one may be meant.
    either = [moment.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    return Span(min(either), max(either), True, moment.replace(tzinfo=zone).isoformat(timespec="seconds"))


def _moment(written: Moment, table: str) -> datetime | None:
    if written is None or isinstance(written, datetime):
        return written
    if not isinstance(written, str):
        raise _no_date(table)
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        raise _no_date(table) from None


def _no_date(table: str) -> Refused:
    detail = f"In {table} something else stands where a date belongs; in SQLite it is a text such as 2026-01-31."
    return Refused(Reason.OMOP_INVALID, detail=detail, field=table)
