"""The measured rows as a picture: what a job in log-odds moves and takes, over the number of perturbations."""

from collections.abc import Sequence
from pathlib import Path

from bench.jobs import ENGINES, MODELS, Engine
from bench.measure import Row

STYLES: dict[Engine, tuple[str, str, str]] = {
    "concordat": ("#0072B2", "o", "-"),
    "crypten": ("#D55E00", "s", "--"),
}
"""Colour (of Okabe and Ito's palette), marker and line: no two engines share any of them."""


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write an SVG of the rows of the slopes design with three parties and no delay."""
    from matplotlib.figure import Figure  # half a second, for the last step alone

    figure = Figure(figsize=(11, 6.5), layout="constrained")
    figure.suptitle("Secure LIME in log-odds, slopes design, three parties and a dealer")
    axes = figure.subplots(2, len(MODELS), sharex="col", sharey="row")
    for column, model in enumerate(MODELS):
        above, below = axes[0][column], axes[1][column]
        above.set_title({"lr": "LR, 30 features", "mlp": "MLP 30-16-1", "trees": "50 trees of depth 3"}[model])
        below.set_xlabel("perturbations, n")
        shown = {
            engine: sorted((row for row in rows if _is_shown(row, engine, model)), key=lambda row: row["n"])
            for engine in ENGINES
        }
        for axis, value in ((above, _megabytes), (below, _seconds)):
            highest: dict[int, float] = {}
            for row in (row for each in shown.values() for row in each):
                highest[row["n"]] = max(highest.get(row["n"], 0.0), value(row))
            for engine, own in shown.items():
                colour, marker, line = STYLES[engine]
                axis.plot(
                    [row["n"] for row in own],
                    [value(row) for row in own],
                    color=colour,
                    marker=marker,
                    linestyle=line,
                    label=engine,
                )
                for row in own:
                    number = value(row)
                    axis.annotate(
                        f"{number:.2g}" if number < 100 else f"{number:,.0f}",
                        (row["n"], number),
                        xytext=(0, 6 if number == highest[row["n"]] else -13),  # away from the other line
                        textcoords="offset points",
                        ha="center",
                        fontsize=8,
                        color=colour,
                    )
        for axis in (above, below):
            axis.set(xscale="log", yscale="log")
            axis.margins(0.2)
            axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("MB, online and dealer")
    axes[1][0].set_ylabel("seconds, offline and online")
    axes[0][0].legend(loc="upper left")
    figure.savefig(path)


def _megabytes(row: Row) -> float:
    return float(row["bytes_online"] + row["bytes_dealer"]) / 1e6


def _seconds(row: Row) -> float:
    return float(row["seconds_offline"] + row["seconds_online"])


def _is_shown(row: Row, engine: str, model: str) -> bool:
    job = ("engine", "model", "design", "target", "parties", "delay_ms")
    return tuple(row[name] for name in job) == (engine, model, "slopes", "log-odds", 3, 0)
