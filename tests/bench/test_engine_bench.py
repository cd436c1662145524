"""The engine's benchmark as `make bench` runs it, for one small job. No test judges a time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KEYS = {
    *("engine", "model", "parties", "n", "target", "design", "rounds", "bytes_parties", "bytes_dealer"),
    *(
        "seconds_startup",
        "seconds_job",
        "seconds_online",
        "seconds_baseline",
        "ratio",
        "peak_mb",
        "max_abs_error",
        "machine",
    ),
}


def bench(*arguments):
    command = [sys.executable, "bench/engine.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What the script prints, and the only row that it writes."""
    output = tmp_path_factory.mktemp("bench") / "rows" / "engine.json"
    done = bench("--model", "linear", "--n", 128, "--runs", 1, "--output", output)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(output.read_text())
    return done.stdout, row


def test_a_row_has_exactly_these_keys(measured):
    _, row = measured
    assert set(row) == KEYS
    assert set(row["machine"]) == {"cores", "python", "torch"}


def test_a_row_says_what_was_run(measured):
    _, row = measured
    named = ("engine", "model", "parties", "n", "target", "design")
    assert [row[name] for name in named] == ["concordat", "linear", 3, 128, "log-odds", "masks"]


def test_rounds_and_bytes_are_those_of_the_engine(measured):
    """The constants of tests/compute/engine/test_jobs.py, added up over the parties."""
    _, row = measured
    assert row["rounds"] == 5
    assert row["bytes_parties"] == 3 * 5664
    assert row["bytes_dealer"] == 5694


def test_the_secure_numbers_are_the_plaintext_ones_up_to_fixed_point(measured):
    _, row = measured
    assert 0 < row["max_abs_error"] < 1e-3


def test_the_ratio_is_of_the_job_to_the_plaintext_baseline(measured):
    _, row = measured
    assert row["ratio"] == round(row["seconds_job"] / row["seconds_baseline"])


def test_start_up_and_memory_are_those_of_processes_with_torch(measured):
    _, row = measured
    assert row["seconds_startup"] > 0
    assert row["peak_mb"] > 100


def test_the_table_shows_the_row(measured):
    printed, row = measured
    line = next(line for line in printed.splitlines() if "linear" in line)
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells[:5] == ["linear", "128", "5", "16,992", "5,694"]
    assert cells[9] == f"{row['ratio']:,}"


def test_the_documented_table_has_the_measured_rounds_and_bytes(measured):
    _, row = measured
    documented = (ROOT / "docs/reference/benchmarks.md").read_text()
    exact = f"| linear | {row['n']} | {row['rounds']} | {row['bytes_parties']:,} | {row['bytes_dealer']:,} |"
    assert exact in documented


def test_a_design_that_is_not_measured_is_refused_before_anything_runs(tmp_path):
    done = bench("--n", 100, "--output", tmp_path / "engine.json")
    assert done.returncode == 2
    assert "invalid choice: 100" in done.stderr
    assert not list(tmp_path.iterdir())
