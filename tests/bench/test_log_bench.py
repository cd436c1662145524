"""The log's benchmark as `make bench-log` runs it, in a small log. No test judges a time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KEYS = {
    *("database", "entries", "batch", "seconds", "entries_per_second", "entries_per_second_slowest"),
    *("cpu_microseconds_per_entry", "megabytes_after_a_tenth", "megabytes_at_the_end"),
    *("seconds_inclusion", "seconds_inclusion_slowest_in_20"),
    *("seconds_consistency", "seconds_consistency_slowest_in_20", "machine"),
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What the script prints, and its row."""
    output = tmp_path_factory.mktemp("bench") / "log.json"
    numbers = ["--entries", "1050", "--batch", "100", "--proofs", "20", "--output", str(output)]
    done = subprocess.run(
        [sys.executable, "-m", "bench.log", *numbers],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(output.read_text())


def test_the_row_says_what_was_there(measured):
    _, row = measured
    assert set(row) == KEYS
    assert (row["database"], row["entries"], row["batch"]) == ("sqlite", 1050, 100)
    assert row["entries_per_second"] == round(row["entries"] / row["seconds"])


def test_the_table_shows_the_row_beside_the_targets(measured):
    printed, row = measured
    (line,) = [line for line in printed.splitlines() if "entries a second" in line]
    assert [cell.strip() for cell in line.strip("│").split("│")][1:] == [f"{row['entries_per_second']:,}", "5,000"]
