"""What the secure job costs: rounds and bytes, which are exact, and seconds, which depend on the machine.

python bench/engine.py                            every model and design; a table, and rows in var/bench/engine.json
python bench/engine.py --model linear --n 128     only this

docs/reference/benchmarks.md says what each column means.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
MODELS = ["linear", "mlp", "trees"]
PERTURBATIONS = [128, 1024]
RUNS = 3
EXACT = ("rounds", "bytes_parties", "bytes_dealer")
TIMED = ("seconds_startup", "seconds_job", "seconds_online", "seconds_baseline")
WORST = ("peak_mb", "max_abs_error")
WIDTH = 120

Row = dict[str, Any]


def measure(model: str, n: int) -> Row:
    """One run, in a process of its own; SystemExit with its last words if it fails."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "bench.secure_job", model, str(n)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},  # the baseline gets as many threads as each engine
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{model}, n = {n}: {done.stderr.strip()}")
    run: Row = json.loads(done.stdout)
    return run


def combine(runs: list[Row]) -> Row:
    """The row of several runs of one job: the median of times, the worst of memory and error.

    Rounds and bytes do not vary; SystemExit if they do, since then they are not what the table calls them.
    """
    row = runs[0] | {name: statistics.median(run[name] for run in runs) for name in TIMED}
    row |= {name: max(run[name] for run in runs) for name in WORST}
    for name in EXACT:
        if any(run[name] != row[name] for run in runs):
            raise SystemExit(f"{row['model']}, n = {row['n']}: {name} differs between runs of one job.")
    return row | {"ratio": round(row["seconds_job"] / row["seconds_baseline"])}


def measure_all(models: list[str], perturbations: list[int], runs: int, console: Console) -> list[Row]:
    """One row for each model and each number of perturbations, with a progress bar."""
    wanted = [(model, n) for model in models for n in perturbations]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    rows = []
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(wanted) * runs)
        for model, n in wanted:
            progress.update(task, description=f"{model}, n = {n}")
            measured = []
            for _ in range(runs):
                measured.append(measure(model, n))
                progress.advance(task)
            rows.append(combine(measured))
    return rows


def table(rows: list[Row]) -> Table:
    """The rows for people."""
    machine = rows[0]["machine"]
    shown = Table(
        title=f"Secure LIME, {rows[0]['parties']} parties and a dealer, against the same in plaintext with numpy",
        caption=f"{machine['cores']} cores, Python {machine['python']}, torch {machine['torch']}. "
        "Rounds and bytes are exact; seconds depend on the machine.",
    )
    shown.add_column("model")
    for name in (
        "n",
        "rounds",
        "bytes\nparties",
        "bytes\ndealer",
        "start-up\ns",
        "job\ns",
        "online\ns",
        "plaintext\nms",
        "job /\nplaintext",
        "peak\nMB",
        "largest\nerror",
    ):
        shown.add_column(name, justify="right")
    for row in rows:
        shown.add_row(
            row["model"],
            str(row["n"]),
            str(row["rounds"]),
            f"{row['bytes_parties']:,}",
            f"{row['bytes_dealer']:,}",
            f"{row['seconds_startup']:.1f}",
            f"{row['seconds_job']:.2f}",
            f"{row['seconds_online']:.3f}",
            f"{1e3 * row['seconds_baseline']:.3f}",
            f"{row['ratio']:,}",
            f"{row['peak_mb']:.0f}",
            f"{row['max_abs_error']:.0e}",
        )
    return shown


def main() -> None:
    """Measure, print the table, write the rows."""
    parser = argparse.ArgumentParser(description="What the secure job costs.")
    parser.add_argument("--model", choices=MODELS, action="append", help="only this model; repeatable")
    parser.add_argument(
        "--n", type=int, choices=PERTURBATIONS, action="append", help="only this many perturbations; repeatable"
    )
    parser.add_argument("--runs", type=int, default=RUNS, help="runs for each row, at least 1")
    parser.add_argument("--output", type=Path, default=ROOT / "var/bench/engine.json", help="where the rows go")
    wanted = parser.parse_args()
    if wanted.runs < 1:
        parser.error("--runs is at least 1")
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    rows = measure_all(wanted.model or MODELS, wanted.n or PERTURBATIONS, wanted.runs, console)
    console.print(table(rows))
    wanted.output.parent.mkdir(parents=True, exist_ok=True)
    wanted.output.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
