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
        for engine in ENGINES:
            shown = sorted((row for row in rows if _is_shown(row, engine, model)), key=lambda row: row["n"])
            n = [row["n"] for row in shown]
            colour, marker, line = STYLES[engine]
            for axis, values in (
                (above, [(row["bytes_online"] + row["bytes_dealer"]) / 1e6 for row in shown]),
                (below, [row["seconds_offline"] + row["seconds_online"] for row in shown]),
            ):
                axis.plot(n, values, color=colour, marker=marker, linestyle=line, label=engine)
                for where, value in zip(n, values, strict=True):
                    offset = (0, -13) if engine == "concordat" else (0, 6)
                    axis.annotate(
                        f"{value:.2g}" if value < 100 else f"{value:,.0f}",
                        (where, value),
                        xytext=offset,
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


def _is_shown(row: Row, engine: str, model: str) -> bool:
    job = ("engine", "model", "design", "target", "parties", "delay_ms")
    return tuple(row[name] for name in job) == (engine, model, "slopes", "log-odds", 3, 0)
