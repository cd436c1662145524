"""A database is read and never written; what cannot be read is said without quoting the database."""

import sqlite3
from pathlib import Path

import pytest

from concordat.omop import Database, Index, Person, Reader
from concordat.omop.database import COLUMNS, name_of
from concordat.reasons import Reason, Refused
from tests.support.bundles import NOW, schema
from tests.support.omop import DDL, PERSON, Warehouse

NEEDLES = ("MRN-4711", "1961", "7777")


def refusal(url: str, **more: object) -> Refused:
    with pytest.raises(Refused) as caught:
        Database({"url": url, **more})  # type: ignore[typeddict-item]
    return caught.value


def test_all_columns_that_are_read_are_those_of_the_model() -> None:
    for table, columns in COLUMNS.items():
        assert {column for column in columns if column not in DDL[table]} == set(), table


def test_nothing_can_be_written(warehouse: Warehouse) -> None:
    with warehouse.open() as database, pytest.raises(Refused):
        database.rows("person", "DELETE FROM {person}")
    with warehouse.open() as database:
        assert len(database.rows("person", "SELECT person_id FROM {person}")) == 1


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert refusal(f"sqlite:///{tmp_path}/none.sqlite3").reason is Reason.OMOP_UNAVAILABLE
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("MRN-4711 " * 100)
    assert refusal(f"sqlite:///{tmp_path}/text").reason is Reason.OMOP_UNAVAILABLE


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://reader:secret@db.example.org/cdm",
        "postgresql://db.example.org/cdm?password=secret",
        "postgresql://db.example.org/cdm?sslmode=disable",
        "postgresql:///cdm?sslmode=disable&host=localhost&host=db.example.org",
        "postgresql:///cdm?sslmode=disable&host=/tmp,db.example.org",
        "postgresql://localhost/cdm?sslmode=disable&hostaddr=203.0.113.5",
        "postgresql://localhost/cdm?sslmode=disable&service=elsewhere",
        "postgresql://db.example.org/cdm?sslmode=require&sslmode=disable",
        "postgresql://localhost/cdm?tls=yes",
        "mysql://db/cdm",
        "sqlite://cdm.sqlite3",
        "sqlite:///cdm.sqlite3?mode=rw",
        "cdm.sqlite3",
        "postgresql://[",
    ],
)
def test_a_url_that_holds_a_password_or_is_of_no_such_database_is_refused(url: str) -> None:
    refused = refusal(url)
    assert (refused.reason, refused.field) == (Reason.FIELD_INVALID, "url")
    assert "secret" not in refused.detail


@pytest.mark.parametrize(("field", "value"), [("schema", "a; DROP"), ("zone", "Mars/Base"), ("zone", "../x")])
def test_a_setting_that_is_none_is_refused_by_name(warehouse: Warehouse, field: str, value: str) -> None:
    assert refusal(warehouse.url, **{field: value}).field == field


def test_a_password_in_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    (tmp_path / "password").chmod(0o644)
    with pytest.raises(Refused) as caught:
        Database({"url": "postgresql://reader@127.0.0.1:9/cdm", "password_file": "password"}, tmp_path)
    assert caught.value.reason is Reason.KEYSTORE_UNSAFE


def test_the_name_of_a_source_says_not_who_reads_it() -> None:
    assert name_of("postgresql://reader@db:5433/cdm?sslmode=require") == "postgresql://db:5433/cdm"


def test_a_table_that_lacks_a_column_is_named(warehouse: Warehouse) -> None:
    warehouse.execute("ALTER TABLE measurement DROP COLUMN operator_concept_id")
    with warehouse.open() as database:
        assert [name for name, there in database.found().items() if not there] == ["measurement"]
        with pytest.raises(Refused) as caught:
            Reader(database, schema()).person(Person(PERSON), Index.at(NOW))
    assert (caught.value.reason, caught.value.field) == (Reason.OMOP_INVALID, "measurement")


@pytest.mark.parametrize("written", ["yesterday MRN-4711", 1_700_000_000, "2026-13-01"])
def test_no_error_quotes_what_the_tables_hold(warehouse: Warehouse, written: object) -> None:
    warehouse.execute("UPDATE person SET person_source_value = 'MRN-4711'")
    warehouse.measure(amount=7777, measurement_date=written)
    with warehouse.open() as database, pytest.raises(Refused) as caught:
        Reader(database, schema()).person(Person(person_source_value="MRN-4711"), Index.at(NOW))
    assert caught.value.field == "measurement"
    assert not [each for each in (*NEEDLES, str(written)) if each in f"{caught.value} {caught.value.detail}"]
    assert caught.value.__cause__ is None


def test_a_writer_is_not_kept_from_reading_a_moment_later(warehouse: Warehouse, tmp_path: Path) -> None:
    """One reading sees one state of the database."""
    with sqlite3.connect(tmp_path / "cdm.sqlite3") as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    with warehouse.open() as database:
        warehouse.add("person", person_id=8)
        assert len(database.rows("person", "SELECT person_id FROM {person}")) == 1
    with warehouse.open() as database:
        assert len(database.rows("person", "SELECT person_id FROM {person}")) == 2
