"""Which data a node may use, by its institution's own file; and what the check of it prints."""

import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from compute.node import data
from compute.node.cli import cli
from concordat.reasons import Reason, Refused

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples/heart_disease"
DIGEST, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A node's folder with a data.json, and the example's warehouse in it."""
    with sqlite3.connect(tmp_path / "cdm.sqlite3") as connection:
        connection.executescript((EXAMPLE / "omop.sql").read_text())
    source = {
        "url": f"sqlite:///{tmp_path}/cdm.sqlite3",
        "vocabularies": {"urn:concordat:heart-disease": "Heart disease"},
    }
    uses = [{"study": "chest-pain-explained", "definition": DIGEST, "cohorts": [1]}]
    (tmp_path / "data.json").write_text(json.dumps({"source": source, "uses": uses}))
    return tmp_path


def check(folder: Path, *more: object) -> Result:
    return CliRunner().invoke(cli, ["data", "check", "--home", str(folder), *map(str, more)])


def asked(folder: Path, cohort: int = 1) -> Result:
    return check(folder, "--schema", EXAMPLE / "schema.json", "--cohort", cohort)


def execute(folder: Path, text: str) -> None:
    with sqlite3.connect(folder / "cdm.sqlite3") as connection:
        connection.execute(text)


class TestTheFile:
    def test_that_is_not_there_means_no_data(self, tmp_path: Path) -> None:
        with pytest.raises(Refused) as caught:
            data.load(tmp_path)
        assert caught.value.reason is Reason.DATA_UNSTATED
        assert check(tmp_path).exception.reason is Reason.DATA_UNSTATED  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        ("study", "definition"),
        [("other", DIGEST), ("chest-pain-explained", OTHER)],
    )
    def test_allows_a_cohort_for_one_definition_of_one_study(self, folder: Path, study: str, definition: str) -> None:
        found = data.load(folder)
        assert data.cohort_for(found, study="chest-pain-explained", definition=DIGEST) == 1
        with pytest.raises(Refused) as caught:
            data.cohort_for(found, study=study, definition=definition)
        assert (caught.value.reason, caught.value.field) == (Reason.POLICY_REFUSES, "uses")

    def test_that_lists_two_cohorts_leaves_open_which(self, folder: Path) -> None:
        content = json.loads((folder / "data.json").read_text())
        content["uses"][0]["cohorts"] = [1, 2]
        (folder / "data.json").write_text(json.dumps(content))
        with pytest.raises(Refused) as caught:
            data.cohort_for(data.load(folder), study="chest-pain-explained", definition=DIGEST)
        assert caught.value.field == "uses"

    @pytest.mark.parametrize("change", [{"uses": [{"cohorts": [1]}]}, {"more": 1}, {"source": {}}])
    def test_of_another_form_is_refused(self, folder: Path, change: dict[str, object]) -> None:
        content = json.loads((folder / "data.json").read_text())
        (folder / "data.json").write_text(json.dumps({**content, **change}))
        with pytest.raises(Refused):
            data.load(folder)


class TestTheCheck:
    def test_names_the_tables(self, folder: Path) -> None:
        execute(folder, "DROP TABLE death")
        done = check(folder)
        assert done.exit_code == 0
        assert "table measurement\tfound\n" in done.output
        assert "table death\tmissing" in done.output

    def test_counts_values_and_shows_no_small_count(self, folder: Path) -> None:
        execute(folder, "DELETE FROM measurement WHERE measurement_concept_id = 3004249 AND person_id < 10")
        execute(folder, "DELETE FROM observation WHERE observation_source_concept_id = 2000000009 AND person_id = 3")
        execute(folder, "UPDATE observation_period SET observation_period_end_date = '2020-01-01' WHERE person_id > 10")
        lines = dict(line.split("\t") for line in asked(folder).output.splitlines())
        assert lines["rows of cohort 1"] == "12"
        assert lines["can be used"] == "all but fewer than 5"
        assert lines["left out: not observed on the index day, or not for long enough before it"] == "fewer than 5"
        assert (lines["age"], lines["trestbps"], lines["exang"]) == ("10", "fewer than 5", "all but fewer than 5")

    def test_prints_nothing_about_a_person(self, folder: Path) -> None:
        execute(folder, "UPDATE measurement SET value_as_number = 9173.5 WHERE person_id = 2")
        execute(folder, "UPDATE measurement SET measurement_date = 'P-0003' WHERE person_id = 3")
        for done in (asked(folder), check(folder)):
            said = f"{done.output}{done.exception}".replace(str(folder), "")  # its name may hold any number
            assert not [each for each in ("P-00", "9173", "1959", "144") if each in said]

    def test_refuses_a_cohort_that_no_use_lists(self, folder: Path) -> None:
        assert asked(folder, cohort=2).exception.reason is Reason.POLICY_REFUSES  # type: ignore[union-attr]

    def test_names_a_feature_whose_codes_are_not_there(self, folder: Path) -> None:
        execute(folder, "DELETE FROM concept WHERE concept_code = 'thalch'")
        refused = asked(folder).exception
        assert isinstance(refused, Refused)
        assert (refused.reason, refused.field) == (Reason.CODE_UNKNOWN, "thalch")

    def test_needs_both_or_neither(self, folder: Path) -> None:
        assert check(folder, "--cohort", 1).exit_code == 2
