"""Rows that an institution brings: from OMOP tables where data.json says so, else from its own table."""

import json
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from compute.node import cohort_rows
from concordat.audit_plan import check_plan
from concordat.omop import Database
from concordat.omop.cohort import AGAIN, Cohort, Outcome
from concordat.reasons import Reason, Refused
from tests.support.audited import FEATURES, SCHEMA, new_plan, people, write_table

EXAMPLE = Path(__file__).parents[3] / "examples/heart_disease/omop.sql"
DIGEST = "sha256:" + "7" * 64
STUDY = "chest-pain-explained"
DISEASE = 2000009999


@pytest.fixture
def home(tmp_path: Path) -> Any:
    return SimpleNamespace(directory=tmp_path)


@pytest.fixture
def asked() -> Any:
    """What is read of a grant."""
    return SimpleNamespace(
        plan=check_plan(new_plan(), FEATURES),
        documents={"schema": SCHEMA},
        definition={"study": STUDY},
        ticket={"definition": DIGEST},
    )


@pytest.fixture
def warehouse(home: Any) -> Any:
    """The example's tables, in which three people of twelve have the outcome."""
    with sqlite3.connect(home.directory / "cdm.sqlite3") as connection:
        connection.executescript(EXAMPLE.read_text())
        connection.execute(
            "INSERT INTO concept (concept_id, concept_name, domain_id, vocabulary_id, concept_class_id, "
            "standard_concept, concept_code, valid_start_date, valid_end_date) VALUES "
            f"({DISEASE}, 'Coronary arteriosclerosis', 'Condition', 'SNOMED', 'Disorder', 'S', '53741008', "
            "'1970-01-01', '2099-12-31')"
        )
        connection.execute("UPDATE observation_period SET observation_period_end_date = '2028-12-31'")
        for number, (person, day) in enumerate(
            [(1, "2026-04-01"), (2, "2026-12-01"), (3, "2027-02-01"), (4, "2027-04-01")]
        ):
            connection.execute(
                "INSERT INTO condition_occurrence (condition_occurrence_id, person_id, condition_concept_id, "
                "condition_start_date, condition_type_concept_id) VALUES (?, ?, ?, ?, 32817)",
                (900 + number, person, DISEASE, day),
            )
    source = {
        "url": f"sqlite:///{home.directory}/cdm.sqlite3",
        "vocabularies": {"urn:concordat:heart-disease": "Heart disease"},
    }
    uses = [{"study": STUDY, "definition": DIGEST, "cohorts": [1]}]
    (home.directory / "data.json").write_text(json.dumps({"source": source, "uses": uses}))
    return source


def test_rows_of_a_cohort_are_those_of_the_tables(home: Any, asked: Any, warehouse: Any) -> None:
    cohort_rows.check(home, asked)
    found = cohort_rows.encoded(home, asked)
    plan = asked.plan
    outcome = Outcome(tuple(plan.outcome["codes"]), plan.outcome["days"])
    with Database(warehouse, home.directory) as database:
        rows = list(Cohort(database, FEATURES, 1, outcome=outcome))
    assert found.counted == len(rows) == 12
    assert sum(row.outcome for row in rows) == 3  # the fourth came after a year
    expected = np.stack([FEATURES.encode_row(row.values).vector for row in rows])
    assert found.records[:12] / 2**16 == pytest.approx(expected, abs=2**-16)
    assert found.members[:12, 1::2].sum() == sum(row.outcome and row.values["sex"] is not None for row in rows)


def test_one_person_fills_no_cell_however_many_index_days_they_have(home: Any, asked: Any, warehouse: Any) -> None:
    with sqlite3.connect(home.directory / "cdm.sqlite3") as connection:
        connection.execute("DELETE FROM cohort WHERE subject_id != 1")
        connection.executemany(
            "INSERT INTO cohort (cohort_definition_id, subject_id, cohort_start_date, cohort_end_date) "
            "VALUES (1, 1, ?, ?)",
            [(f"2027-01-{day:02}",) * 2 for day in range(1, 13)],
        )
    found = cohort_rows.encoded(home, asked)
    assert (found.counted, found.left_out) == (1, {AGAIN: 12})
    assert found.members.sum() <= 1


def name_people(path: Path, names: list[str]) -> None:
    """A first column of a table."""
    lines = path.read_text().splitlines()
    path.write_text("\n".join(f"{name},{line}" for name, line in zip(names, lines, strict=True)))


def test_of_a_table_that_names_people_the_first_row_of_each_is_read(home: Any, asked: Any) -> None:
    rows = people(5, seed=1)
    write_table(home.directory / "data.csv", rows)
    name_people(home.directory / "data.csv", ["person_id", "P1", "P2", " P1", "", "P1"])
    found = cohort_rows.encoded(home, asked)
    assert (found.counted, found.left_out) == (2, {Reason.CONFLICT: 2, Reason.FEATURE_MISSING: 1})
    expected = np.stack([FEATURES.encode_row(row.values).vector for row in rows[:2]])
    assert found.records[:2] / 2**16 == pytest.approx(expected, abs=2**-16)


def test_a_table_that_names_people_twice_is_refused(home: Any, asked: Any) -> None:
    write_table(home.directory / "data.csv", people(2, seed=1))
    for names in (["person_id", "P1", "P2"], ["person_id", "P1", "P1"]):
        name_people(home.directory / "data.csv", names)
    with pytest.raises(Refused) as caught:
        cohort_rows.check(home, asked)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "person_id")


def test_a_definition_that_data_json_does_not_list_gets_no_rows(home: Any, asked: Any, warehouse: Any) -> None:
    asked.ticket["definition"] = "sha256:" + "8" * 64
    write_table(home.directory / "data.csv", people(3, seed=1))
    for call in (cohort_rows.check, cohort_rows.encoded):
        with pytest.raises(Refused) as caught:
            call(home, asked)
        assert caught.value.reason is Reason.POLICY_REFUSES


def test_without_data_json_they_are_those_of_the_table(home: Any, asked: Any) -> None:
    write_table(home.directory / "data.csv", people(5, seed=1))
    cohort_rows.check(home, asked)
    assert cohort_rows.encoded(home, asked).counted == 5


def test_tables_that_cannot_be_read_are_refused_beforehand(home: Any, asked: Any, warehouse: Any) -> None:
    (home.directory / "cdm.sqlite3").unlink()
    with pytest.raises(Refused) as caught:
        cohort_rows.check(home, asked)
    assert caught.value.reason is Reason.OMOP_UNAVAILABLE
