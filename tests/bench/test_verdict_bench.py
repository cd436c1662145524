"""The verdict's benchmark as `make bench-verdict` runs it, in a small database. No test judges a time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.full  # a minute of two processors

ROOT = Path(__file__).parents[2]
KEYS = {
    *("database", "studies", "consents", "queries", "seconds_verdict", "seconds_baseline", "ratio", "machine"),
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What the script prints, and its rows: a database with one study, and one with more."""
    output = tmp_path_factory.mktemp("bench") / "verdict.json"
    numbers = ["--studies", "30", "--consents", "400", "--runs", "3", "--output", str(output)]
    done = subprocess.run(
        [sys.executable, "-m", "bench.verdict", *numbers],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, *json.loads(output.read_text())


def test_rows_say_what_was_there(measured):
    _, small, large = measured
    assert set(small) == set(large) == KEYS
    assert [(row["database"], row["studies"], row["consents"]) for row in (small, large)] == [
        ("sqlite", 1, 1),
        ("sqlite", 30, 400),
    ]


def test_the_queries_of_a_verdict_are_a_handful_and_do_not_grow_with_the_database(measured):
    _, small, large = measured
    assert large["queries"] == small["queries"] <= 20


def test_the_ratio_is_of_the_verdict_to_the_baseline(measured):
    _, _, large = measured
    assert large["ratio"] == round(large["seconds_verdict"] / large["seconds_baseline"], 1)


def test_the_table_shows_the_rows(measured):
    printed, _, large = measured
    line = next(line for line in printed.splitlines() if "400" in line)
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells[:3] == ["30", "400", str(large["queries"])]
