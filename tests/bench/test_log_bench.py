"""The log's benchmark, in a small log. No test judges a time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from bench import log
from ledger.models import LogEntry, SignedCheckpoint, Tile

ROOT = Path(__file__).parents[2]
ENTRIES, BATCH, PROOFS = 1050, 100, 20
KEYS = {
    *("database", "entries", "batch", "seconds", "entries_per_second", "entries_per_second_slowest"),
    *("cpu_microseconds_per_entry", "megabytes_after_a_tenth", "megabytes_at_the_end"),
    *("seconds_inclusion", "seconds_inclusion_slowest_in_20"),
    *("seconds_consistency", "seconds_consistency_slowest_in_20", "machine"),
    *("seconds_dossier", "seconds_dossier_slowest", "queries_dossier", "bytes_dossier"),
    *("seconds_copy", "bytes_copy", "seconds_complete", "megabytes_complete"),
}


def shown(row):
    console = Console(width=log.WIDTH)
    with console.capture() as captured:
        console.print(log.table(row))
    return captured.get()


def check(row, printed):
    """The row says what was there, and the table shows it beside the targets."""
    assert set(row) == KEYS
    assert (row["entries"], row["batch"]) == (ENTRIES, BATCH)
    assert row["entries_per_second"] == round(row["entries"] / row["seconds"])
    (line,) = [line for line in printed.splitlines() if "entries a second" in line]
    assert [cell.strip() for cell in line.strip("│").split("│")][1:] == [f"{row['entries_per_second']:,}", "5,000"]


@pytest.mark.django_db
def test_what_is_measured_is_a_log_with_heads_proofs_and_dossiers_that_hold(tmp_path):
    row = log.measure(ENTRIES, BATCH, PROOFS, tmp_path)
    check(row, shown(row))
    assert LogEntry.objects.filter(event="prediction.recorded").count() == 3
    first, second, *_ = SignedCheckpoint.objects.order_by("size").values_list("size", flat=True)
    assert second - first == ENTRIES - 1000  # and behind it the last decision, and a head for every dossier
    assert LogEntry.objects.count() > ENTRIES


@pytest.mark.django_db
def test_nothing_is_measured_of_a_log_whose_proofs_do_not_hold(tmp_path):
    with log.Decisions.settings():
        log.fill(300, 100, log.Decisions(tmp_path))
    broken = Tile.objects.get(level=0, index=0)
    assert broken.hashes
    Tile.objects.filter(pk=broken.pk).update(hashes=bytes(len(broken.hashes)))
    with pytest.raises(SystemExit, match="does not verify"):
        log.prove(PROOFS)


@pytest.mark.full
def test_the_script_as_make_bench_log_runs_it(tmp_path):
    output = tmp_path / "log.json"
    numbers = ["--entries", str(ENTRIES), "--batch", str(BATCH), "--proofs", str(PROOFS), "--output", str(output)]
    done = subprocess.run(
        [sys.executable, "-m", "bench.log", *numbers],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    check(json.loads(output.read_text()), done.stdout)
