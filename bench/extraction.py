"""What explanations give away of a secret model, tested by attacking some: `make bench-extraction`.

Prints how many explanations give a surrogate of a certain fidelity, next to what predictions alone give; writes the
rows to var/bench/extraction.json and a picture beside it. docs/explanation/secure-lime.md says what they mean. The
figures are the same in every run on one machine, up to the last bits of its arithmetic.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import get_args

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import fidelity_plot
from bench.attacks import What, linear_weights, without
from bench.fidelities import CASES, COUNTS, DRAWS, Row, counted, enough, measure_all, middle
from bench.victims import ASKED, Data, Victim, victim
from concordat.kinds.kind import Scale

OUTPUT = Path(__file__).parents[1] / "var/bench"
LEVELS = (0.9, 0.95, 0.99)


def table(rows: Sequence[Row]) -> Table:
    """For each model, how many explanations (predictions alone) suffice for each level of fidelity."""
    shown = Table(title="How many explanations make a surrogate of a secret model (in brackets: predictions alone)")
    for heading in ("data", "model", "counted", "nothing asked"):
        shown.add_column(heading)
    for figure in ("agreement", "R²"):
        for level in LEVELS:
            shown.add_column(f"{figure}\n{level}", justify="right")
    for data, model in dict.fromkeys((row["data"], row["model"]) for row in rows):
        target = victim(data, model)  # type: ignore[arg-type]
        cells = []
        for figure in ("agreement", "r_squared"):
            for level in LEVELS:
                told, alone = (
                    enough(middle(rows, data, model, what, figure), level) or f"> {ASKED}" for what in get_args(What)
                )
                cells.append(f"{told} ({alone})")
        shown.add_row(data, model, str(counted(target)), f"{without(target):.2f}", *cells)
    return shown


def linear_table() -> Table:
    """How far the weights that one explanation gives are from the model's, over twenty patients."""
    shown = Table(title="A linear model's weights from one explanation: the largest error of any, over 20 patients")
    for heading in ("data", "target", "middle patient", "worst patient", "largest weight"):
        shown.add_column(heading, justify="right")
    for data in get_args(Data):
        target = victim(data, "linear")
        for scale in get_args(Scale):
            errors = sorted(weight_error(target, index, scale) for index in range(20))
            largest = np.abs(target.tensors["weight"]).max()
            shown.add_row(data, scale, f"{median(errors):.0e}", f"{errors[-1]:.0e}", f"{largest:.2f}")
    return shown


def weight_error(target: Victim, patient: int, scale: Scale) -> float:
    """The largest error of the weights that this patient's explanation tells."""
    seen = target.explain(target.asked[patient : patient + 1], scale)
    weights, _ = linear_weights(target.design, seen, scale)
    return float(np.nanmax(np.abs(weights - target.tensors["weight"])))


def main() -> None:
    """Attack, print, write."""
    parser = argparse.ArgumentParser(prog="bench.extraction", description="What explanations give away of a model.")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="directory of rows and picture")
    wanted = parser.parse_args()
    torch.set_num_threads(1)  # sums in the same order, whatever the machine has
    console = Console(width=132)
    total = len(CASES) * len(get_args(What)) * len(COUNTS) * DRAWS
    rows = list(track(measure_all(CASES), "Attacking", total=total, console=console, transient=True))
    console.print(linear_table())
    console.print(table(rows))
    wanted.output.mkdir(parents=True, exist_ok=True)
    (wanted.output / "extraction.json").write_text(json.dumps(rows, indent=2) + "\n")
    fidelity_plot.draw(rows, wanted.output / "extraction.svg")
    console.print(f"Rows and picture: {wanted.output}/extraction.json, extraction.svg")


if __name__ == "__main__":
    main()
