"""The measured rows for people, with what they mean and where a series ended."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version

from rich.table import Table

from bench.measure import Row

JOB = ("model", "design", "target", "parties", "delay_ms", "n")
NOTE = """\
{machine}; load before and after: {load}.
Rounds, trips and bytes are exact; seconds depend on the machine: compare them within this table only. Of all runs of
a job (3 up to n = 1000, 1 above): the median of times, the largest peak and error. All without the check of ranges.
MB: payload of all parties, online from party to party, dealer to and from it. This engine counts at its connections;
CrypTen's is counted at the calls of its communicator: a round for each on the parties' group; 2 (p - 1) times a tensor
for gloo's ring to reduce it, p - 1 times to gather it.
Trips: waits for the dealer. Offline: meeting, and this engine's dealing; CrypTen's dealer answers while it computes.
CrypTen computes no sum of squares (R²) and truncates nothing before its shares leave: 2 rounds of this engine's.
This engine computes blocks of rows, one after the other: its rounds grow with their number, its memory does not.
Faster: CrypTen's seconds over this engine's. Error: of coefficients against float64, over the largest of them.
A delay is a wait before each round, and two for each trip: the least that a network adds."""


def table(rows: Sequence[Row], load: str) -> Table:
    """Both engines' rows of a job next to each other, with the ratios of their times."""
    machine = f"{len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}, torch {version('torch')}"
    shown = Table(
        title="Secure LIME: this engine and CrypTen 0.4.1 as it comes, processes on one machine",
        caption=NOTE.format(machine=machine, load=load),
        caption_justify="left",
    )
    for heading in ("model", "design", "target"):
        shown.add_column(heading)
    shown.add_column("p", justify="right")
    shown.add_column("delay\nms", justify="right")
    shown.add_column("n", justify="right")
    shown.add_column("engine")
    for heading in ("rounds", "trips", "online\nMB", "dealer\nMB", "offline\ns", "online\ns"):
        shown.add_column(heading, justify="right")
    for heading in ("faster\nonline", "faster\nin all", "peak\nMB", "error"):
        shown.add_column(heading, justify="right")
    stock = {_job(row): row for row in rows if row["engine"] == "crypten"}
    for row in rows:
        shown.add_row(
            *(row[name] for name in ("model", "design", "target")),
            *(f"{row[name]:,}" for name in ("parties", "delay_ms", "n")),
            row["engine"],
            *(str(row[name]) for name in ("rounds", "dealer_trips")),
            *(f"{row[name] / 1e6:.3f}" for name in ("bytes_online", "bytes_dealer")),
            *(f"{row[name]:.3f}" for name in ("seconds_offline", "seconds_online")),
            *_ratios(row, stock.get(_job(row))),
            f"{row['peak_mb']:.0f}",
            f"{row['relative_error']:.0e}",
            end_section=row["engine"] == "crypten",
        )
    return shown


def _ratios(row: Row, stock: Row | None) -> tuple[str, str]:
    if stock is None or stock is row:
        return "", ""
    online = stock["seconds_online"] / row["seconds_online"]
    whole = _seconds(stock) / _seconds(row)
    return f"{online:.1f}x", f"{whole:.1f}x"


def _seconds(row: Row) -> float:
    seconds: float = row["seconds_offline"] + row["seconds_online"]
    return seconds


def _job(row: Row) -> tuple[object, ...]:
    return tuple(row[name] for name in JOB)
