"""The measured rows of `bench.extraction` as a picture: fidelity over the number of explanations."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from matplotlib import rc_context
from matplotlib.figure import Figure

from bench.attacks import What, without
from bench.fidelities import COUNTS, Row, counted, middle
from bench.victims import victim

STYLES: dict[What, tuple[str, str, str]] = {
    "explanations": ("#0072B2", "o", "-"),
    "predictions": ("#D55E00", "s", "--"),
}
"""Colour (of Okabe and Ito's palette), marker and line: no two share any of them."""

LABELS: dict[What, str] = {"explanations": "explanations", "predictions": "predictions alone"}
TITLES = {
    "mlp": "network",
    "mlp-overfitted": "network, overfitted",
    "trees": "boosted trees",
    "forest": "random forest",
}


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write an SVG: for each model, agreement of decisions above and R² below; the grey line is the count, the dotted
    one what the requester has without asking."""
    cases = list(dict.fromkeys((row["data"], row["model"]) for row in rows))
    figure = Figure(figsize=(3 * len(cases) + 1, 6), layout="constrained")
    figure.suptitle("How well a surrogate stands in for a secret model, on patients that neither has used")
    axes = figure.subplots(2, len(cases), sharex=True, sharey="row", squeeze=False)
    for column, (data, model) in enumerate(cases):
        target = victim(data, model)
        above, below = axes[0][column], axes[1][column]
        above.set_title(f"{data}: {TITLES[model]}")
        below.set_xlabel("explanations or predictions")
        for axis, figure_name in ((above, "agreement"), (below, "r_squared")):
            for what in get_args(What):
                colour, marker, line = STYLES[what]
                found = middle(rows, data, model, what, figure_name)
                axis.plot(
                    list(found), list(found.values()), color=colour, marker=marker, linestyle=line, label=LABELS[what]
                )
            axis.axvline(counted(target), color="0.55", label="as many numbers as the model has")
            axis.set_xscale("log", base=2)
            axis.set_xticks(COUNTS[::2], list(map(str, COUNTS[::2])))
            axis.grid(alpha=0.3)
        above.axhline(without(target), color="black", linestyle=":", label="own diagnoses, nothing asked")
    axes[0][0].set(ylabel="decisions that agree", ylim=(0.3, 1.02))
    axes[1][0].set(ylabel="R² of outputs", ylim=(-0.2, 1.05))
    axes[0][0].legend(loc="lower right", fontsize=8)
    with rc_context({"svg.hashsalt": "extraction", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})
