"""The database: SQLite or PostgreSQL, opened to be read alone, in one transaction in which nothing changes.

No error says what the database said: drivers quote values.
"""

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NotRequired
from urllib.parse import parse_qs, quote, unquote, urlsplit
from zoneinfo import ZoneInfo

from pydantic import with_config
from typing_extensions import TypedDict

from concordat.fields import STRICT, Text
from concordat.files import read_private
from concordat.reasons import Reason, Refused

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "concept": ("concept_id", "concept_name", "domain_id", "vocabulary_id", "standard_concept", "concept_code"),
    "concept_relationship": ("concept_id_1", "concept_id_2", "relationship_id", "invalid_reason"),
    "concept_ancestor": ("ancestor_concept_id", "descendant_concept_id"),
    "person": (
        *("person_id", "gender_concept_id", "year_of_birth", "month_of_birth", "day_of_birth"),
        *("race_concept_id", "ethnicity_concept_id", "person_source_value"),
    ),
    "measurement": (
        *("measurement_id", "person_id", "measurement_concept_id", "measurement_source_concept_id", "measurement_date"),
        *("measurement_datetime", "operator_concept_id", "value_as_number", "value_as_concept_id", "unit_concept_id"),
        *("unit_source_value", "value_source_value"),
    ),
    "observation": (
        *("observation_id", "person_id", "observation_concept_id", "observation_source_concept_id", "observation_date"),
        *("observation_datetime", "qualifier_concept_id", "value_as_number", "value_as_concept_id", "value_as_string"),
        *("unit_concept_id", "unit_source_value", "value_source_value"),
    ),
    "condition_occurrence": (
        *("condition_occurrence_id", "person_id", "condition_concept_id", "condition_source_concept_id"),
        *("condition_start_date", "condition_start_datetime", "condition_end_date", "condition_end_datetime"),
        "condition_status_concept_id",
    ),
    "drug_exposure": (
        *("drug_exposure_id", "person_id", "drug_concept_id", "drug_source_concept_id"),
        *("drug_exposure_start_date", "drug_exposure_start_datetime"),
        *("drug_exposure_end_date", "drug_exposure_end_datetime"),
    ),
    "drug_era": ("drug_era_id", "person_id", "drug_concept_id", "drug_era_start_date", "drug_era_end_date"),
    "observation_period": ("person_id", "observation_period_start_date", "observation_period_end_date"),
    "death": ("person_id", "death_date"),
    "cohort": ("cohort_definition_id", "subject_id", "cohort_start_date"),
}
"""The tables and columns that are read, and no others."""

_VOCABULARY = ("concept", "concept_relationship", "concept_ancestor")
_HERE = frozenset({"", "localhost", "127.0.0.1", "::1"})
_VERIFIED = frozenset({"require", "verify-ca", "verify-full"})
_SCHEMA = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)


@with_config(STRICT)
class Source(TypedDict):
    """Where the tables are, and what only their owner knows about them.

    `url`: `sqlite:////folder/cdm.sqlite3` or `postgresql://reader@host/database`; a password is in a file of its own
    (`password_file`, mode 0600), or where libpq looks for one. `schema`, `vocabulary_schema` and `results_schema`: of
    the clinical tables, the vocabulary and the table `cohort`, if they have one. `zone`: of times without a zone, such
    as `Europe/Zurich`; unknown if not said. `drugs`: which table says what a person takes, `drug_exposure` unless said
    otherwise. `condition_ends`: what a date in the past means at which a condition ended: that nobody can say
    (`unknown`, unless said otherwise), that it is over (`resolved`), or nothing, as it is the visit's (`visit`).
    `vocabularies`: further code systems, by URI, and the vocabulary that has them.
    """

    url: Text
    schema: NotRequired[Text]
    vocabulary_schema: NotRequired[Text]
    results_schema: NotRequired[Text]
    password_file: NotRequired[Text]
    zone: NotRequired[Text]
    drugs: NotRequired[Literal["drug_exposure", "drug_era"]]
    condition_ends: NotRequired[Literal["unknown", "resolved", "visit"]]
    vocabularies: NotRequired[dict[str, Text]]


class Database:
    """The tables of one source. A context manager; every call raises Refused: OMOP_UNAVAILABLE or OMOP_INVALID.

    Args:
        source: where they are.
        folder: from which the file of a password is named.
    """

    def __init__(self, source: Source, folder: Path | None = None) -> None:
        check_url(source["url"])
        self.source = source
        self.zone = _zone(source)
        self._schemas = {name: _named(source, name) for name in ("schema", "vocabulary_schema", "results_schema")}
        self._postgresql = urlsplit(source["url"]).scheme in ("postgresql", "postgres")
        self.queries = 0
        """How many were made."""
        self.answered: set[str] = set()
        """The tables about persons that had rows to answer with."""
        self._connection: Any = _postgresql(source, folder) if self._postgresql else _sqlite(source)

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @property
    def name(self) -> str:
        """The source without who reads it: for an audit."""
        return name_of(self.source["url"])

    def table(self, name: str) -> str:
        """A table's name as it stands in a query."""
        kind = "vocabulary_schema" if name in _VOCABULARY else "results_schema" if name == "cohort" else "schema"
        schema = self._schemas[kind] or self._schemas["schema"]
        return f'"{schema}".{name}' if schema else name

    def rows(self, table: str, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What a query answers. In it, `?` stands for a parameter, and `{name}` for a table.

        Args:
            table: which one to blame if it fails.
        """
        self.queries += 1
        tables = {name: self.table(name) for name in COLUMNS}
        text = query.format(**tables)
        try:
            found: list[tuple[Any, ...]] = self._connection.execute(
                text.replace("?", "%s") if self._postgresql else text, tuple(parameters)
            ).fetchall()
        except _errors() as error:
            if _broken(error):
                raise Refused(Reason.OMOP_UNAVAILABLE) from None
            detail = f"The table {table} cannot be read with the columns of CDM 5.4."
            raise Refused(Reason.OMOP_INVALID, detail=detail, field=table) from None
        if found and table not in _VOCABULARY:
            self.answered.add(table)
        return found

    def found(self) -> dict[str, bool]:
        """Which of the tables are there, with the columns that are read."""
        return {table: self._has(table, columns) for table, columns in COLUMNS.items()}

    def _has(self, table: str, columns: Sequence[str]) -> bool:
        try:
            self.rows(table, f"SELECT {', '.join(columns)} FROM {{{table}}} WHERE 1 = 0")  # noqa: S608 - names of ours
        except Refused as refused:
            if refused.reason is not Reason.OMOP_INVALID:
                raise
            if self._postgresql:
                self._connection.rollback()  # or the transaction answers nothing any more
            return False
        return True


def marks(values: Sequence[object]) -> str:
    """As many `?` as there are values, between commas; NULL for none, which nothing equals."""
    return ", ".join("?" * len(values)) or "NULL"


def name_of(url: str) -> str:
    """A source's address without user, password and options."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"


def check_url(url: str) -> None:
    """Raises Refused(FIELD_INVALID) unless the URL is of SQLite or PostgreSQL, and holds no password."""
    try:
        parts = urlsplit(url)
        secret = parts.password is not None or "password" in parse_qs(parts.query)
        _ = parts.port
    except ValueError:
        raise _bad_url("It is no URL.") from None
    if secret:
        raise _bad_url("A password stands in a file of its own (password_file), or where libpq looks for one.")
    if parts.scheme not in ("sqlite", "postgresql", "postgres"):
        raise _bad_url("A source is sqlite:////folder/file or postgresql://user@host/database.")
    if parts.scheme == "sqlite" and (parts.netloc or not parts.path.strip("/") or parts.query):
        raise _bad_url("A file of SQLite is named sqlite:////folder/file, with four strokes from the root.")


def _bad_url(detail: str) -> Refused:
    return Refused(Reason.FIELD_INVALID, detail=detail, field="url")


def _named(source: Source, kind: str) -> str:
    name = str(source.get(kind, ""))
    if name and not _SCHEMA.fullmatch(name):
        raise Refused(Reason.FIELD_INVALID, detail="A schema's name has letters, digits and underscores.", field=kind)
    return name


def _zone(source: Source) -> ZoneInfo | None:
    try:
        return ZoneInfo(source["zone"]) if "zone" in source else None
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        raise Refused(Reason.FIELD_INVALID, detail="A zone reads like Europe/Zurich.", field="zone") from None


def _sqlite(source: Source) -> sqlite3.Connection:
    path = unquote(urlsplit(source["url"]).path)[1:]  # sqlite:///x is relative, sqlite:////x is not
    try:
        connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, isolation_level=None)
        connection.execute("PRAGMA query_only = ON")
        connection.execute("BEGIN")  # all that is read is of one moment
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.Error:
        raise Refused(Reason.OMOP_UNAVAILABLE, detail="There is no SQLite database that can be read.") from None
    return connection


def _postgresql(source: Source, folder: Path | None) -> Any:
    try:
        import psycopg
    except ImportError:
        detail = "PostgreSQL is read by psycopg, which is not installed here."
        raise Refused(Reason.OMOP_UNAVAILABLE, detail=detail) from None
    try:
        parts = psycopg.conninfo.conninfo_to_dict(source["url"])  # libpq's own reading: of what stands twice, the last
    except psycopg.Error:
        raise _bad_url("It has options that PostgreSQL does not know.") from None
    options: dict[str, Any] = {"options": "-c default_transaction_read_only=on", "connect_timeout": 10}
    asked = parts.get("sslmode", "")
    if not _is_here(parts):
        if asked and asked not in _VERIFIED:
            raise _bad_url("A server elsewhere is reached by TLS (sslmode=verify-full).")
        options["sslmode"] = asked or "verify-full"
    if "password_file" in source:
        options["password"] = _password((folder or Path()) / source["password_file"])
    try:
        connection = psycopg.connect(source["url"], **options)
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT 1")
    except psycopg.Error:
        raise Refused(Reason.OMOP_UNAVAILABLE) from None
    return connection


def _is_here(parts: Mapping[str, Any]) -> bool:
    """Whether all that libpq may connect to is this machine. What stands elsewhere than in the URL is not known."""
    hosts = str(parts.get("host", "")).split(",")
    elsewhere = {"hostaddr", "service"} & parts.keys()
    return not elsewhere and all(host in _HERE or host.startswith("/") for host in hosts)


def _password(path: Path) -> str:
    try:
        return read_private(path).decode().rstrip("\r\n")
    except (FileNotFoundError, UnicodeDecodeError):
        detail = f"{path.name} does not hold the password."
        raise Refused(Reason.FILE_UNREADABLE, detail=detail, field="password_file") from None


def _errors() -> tuple[type[Exception], ...]:
    try:
        import psycopg
    except ImportError:
        return (sqlite3.Error,)
    return sqlite3.Error, psycopg.Error


def _broken(error: Exception) -> bool:
    """Whether the connection failed, and not the query."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorname", "") not in ("SQLITE_ERROR", "")
    return getattr(error, "sqlstate", None) is None or str(getattr(error, "sqlstate", ""))[:2] in ("08", "53", "57")


def chunks(values: Sequence[Any], size: int = 10_000) -> Iterator[Sequence[Any]]:
    """Parts of a sequence that fit the parameters of one query."""
    return (values[start : start + size] for start in range(0, len(values), size))
