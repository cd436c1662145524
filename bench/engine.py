"""What the secure explanation costs, beside CrypTen as it comes on the same jobs: `make bench`, or `make bench FULL=1`.

Rounds and bytes are exact, seconds depend on the machine. Prints one table of what was measured, what the check of the
record's ranges and more records add, what it takes to start, and earlier figures of other engines; writes the rows to
var/bench/engine.json and a picture beside it. docs/reference/benchmarks.md says what each column means.
"""

import argparse
import json
import os
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.progress import track

from bench import ahead, costs, peers, plot, start, tables
from bench.jobs import MODELS, Engine, Job, jobs
from bench.measure import ROOT, Row, Stopped, measure
from bench.rows import Name

WIDTH = 156


def measure_all(wanted: Iterable[Job], console: Console) -> tuple[list[Row], list[str]]:
    """A row for each job, and where a series stopped: an engine that fails gets no larger job of that model."""
    rows, stopped = [], []
    failed: dict[tuple[Engine, Name], int] = {}
    for job in track(list(wanted), "Measuring", console=console, transient=True):
        if job.n > failed.get((job.engine, job.model), job.n):
            continue
        try:
            rows.append(measure(job))
        except Stopped as reason:
            failed[job.engine, job.model] = job.n
            stopped.append(f"Stopped at {job}: {reason}. Nothing larger was tried.")
    return rows, stopped


def _load() -> str:
    return " ".join(f"{load:.1f}" for load in os.getloadavg())


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="bench.engine", description="What the secure explanation costs.")
    parser.add_argument("--full", action="store_true", help="2 and 4 parties, a delay and growth in n as well")
    parser.add_argument("--output", type=Path, default=ROOT / "var/bench", help="directory of rows and picture")
    wanted = parser.parse_args()
    console = Console(width=WIDTH)  # a narrow terminal breaks lines, and loses no column
    before = _load()
    rows, stopped = measure_all(jobs(wanted.full), console)
    console.print(tables.table(rows, f"{before} and {_load()}"))
    for reason in stopped:
        console.print(reason)
    large = [Job("concordat", model, 1000) for model in MODELS]
    console.print(costs.table(large))
    console.print(costs.records_table(large))
    console.print(ahead.table(measure_all(ahead.jobs(), console)[0]))
    console.print(start.table([start.measure() for _ in range(start.RUNS)]))
    console.print(peers.table())
    wanted.output.mkdir(parents=True, exist_ok=True)
    (wanted.output / "engine.json").write_text(json.dumps(rows, indent=2) + "\n")
    plot.draw(rows, wanted.output / "engine.svg")
    console.print(f"Rows and picture: {wanted.output}/engine.json, engine.svg")


if __name__ == "__main__":
    main()
