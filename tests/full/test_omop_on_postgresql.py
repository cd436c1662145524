"""OMOP tables in PostgreSQL, in a schema of their own: read to the same as in SQLite, and never written."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from concordat.omop import Database, Index, Person, Reader, Source
from concordat.omop.cohort import Cohort, Group, Outcome
from concordat.reasons import Reason, Refused
from concordat.schema import Code
from tests.support.bundles import NOW, SNOMED, schema
from tests.support.omop import C_DIABETES_WITH, C_KIDNEY, C_NEPHRITIS, KPA, PERSON, Warehouse
from tests.support.postgresql import database as empty_database

pytestmark = pytest.mark.full

KIDNEY = Outcome((Code(system=SNOMED, code="709044004", display="Chronic kidney disease"),), days=90)


@pytest.fixture
def url() -> Iterator[str]:
    """Without a password: libpq takes it from where the server of the tests has it."""
    with empty_database() as made:
        parts = urlsplit(made)
        yield f"postgresql://{parts.username}@{parts.hostname}:{parts.port}{parts.path}"


def filled(warehouse: Warehouse) -> Warehouse:
    for person in (PERSON, 8):
        warehouse.add("person", person_id=person, person_source_value=f"MRN-{person}")
        warehouse.measure(person_id=person, amount=16.5, unit=KPA, measurement_datetime="2026-03-01 09:00:00")
        warehouse.measure(person_id=person, amount=17, unit=0, unit_source_value="kPa", measurement_date="2026-02-01")
        warehouse.observe(person_id=person)
        warehouse.diagnose(C_DIABETES_WITH, person_id=person)
        warehouse.give(person_id=person)
        warehouse.add("observation_period", person_id=person)
        warehouse.add("cohort", subject_id=person)
    warehouse.diagnose(C_NEPHRITIS, person_id=8, condition_start_date="2026-04-01")
    assert C_KIDNEY
    return warehouse


def test_the_same_is_read_as_in_sqlite(url: str, tmp_path: Path) -> None:
    told = []
    for warehouse in (Warehouse(tmp_path / "cdm.sqlite3"), Warehouse(url, schema="cdm")):
        with filled(warehouse).open(zone="Europe/Zurich") as database:
            assert all(database.found().values())
            reading = Reader(database, schema()).person(Person(person_source_value="MRN-7"), Index.at(NOW))
            cohort = Cohort(database, schema(), 1, outcome=KIDNEY, groups=[Group("sex", "gender")], batch=1)
            told.append((reading, list(cohort), cohort.summary))
        warehouse.close()
    assert told[0] == told[1]
    assert [each.outcome for each in told[0][1]] == [False, True]


def test_a_table_that_is_not_there_is_told_among_others(url: str) -> None:
    warehouse = Warehouse(url, schema="cdm")
    warehouse.execute("DROP TABLE cdm.death")
    with warehouse.open() as database:
        assert [name for name, there in database.found().items() if not there] == ["death"]
    warehouse.close()


def test_nothing_can_be_written_and_no_error_quotes_a_value(url: str) -> None:
    warehouse = filled(Warehouse(url, schema="cdm"))
    for query in ("DELETE FROM {person}", "SELECT CAST(person_source_value AS integer) FROM {person}"):
        with warehouse.open() as database, pytest.raises(Refused) as caught:
            database.rows("person", query)
        assert "MRN" not in f"{caught.value.detail} {caught.value}"
        assert caught.value.__cause__ is None
    warehouse.close()


def test_a_password_comes_from_its_file(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server of the tests asks for none, that a wrong name is refused and the file is read is what shows."""
    (tmp_path / "password").write_text(os.environ.get("PGPASSWORD", "secret") + "\n")
    monkeypatch.delenv("PGPASSWORD", raising=False)
    (tmp_path / "password").chmod(0o600)
    source: Source = {"url": url, "password_file": "password"}
    with Database(source, tmp_path) as database:
        assert database.name.startswith("postgresql://")
    with pytest.raises(Refused) as caught:
        Database({"url": url.rpartition("/")[0] + "/nowhere"})
    assert caught.value.reason is Reason.OMOP_UNAVAILABLE
    assert psycopg
