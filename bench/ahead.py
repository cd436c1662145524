"""What it saves a job that its correlated randomness was dealt before it: this engine, with and without.

As much is dealt in all; what changes is when. In the service one job deals for the next while the parties compute.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256

from rich.table import Table

from bench.jobs import MODELS, ONE_WAY_MS, Job
from bench.measure import Row
from compute.engine import batches, correlations
from compute.engine.arithmetic import Party
from compute.engine.batches import Taken
from compute.engine.dealing import Rehearsal
from compute.engine.job import DealerBatch, PartyBatch
from compute.engine.protocol import rehearse
from compute.engine.wires import digest_of

SHOWN = ("dealer_trips", "bytes_dealer", "seconds_offline", "seconds_online")


def jobs() -> list[Job]:
    """Each job twice: dealt in it, and before it."""
    alone = [Job("concordat", model, 1000, delay_ms=delay) for model in MODELS for delay in (0, ONE_WAY_MS)]
    return [each for job in alone for each in (job, replace(job, ahead=True))]


def batch(job: Job, rank: int) -> PartyBatch | DealerBatch:
    """One engine's part of a batch for a job. Every engine makes it for itself: keys are public here."""
    rehearsal = Rehearsal()
    rehearse(job.case().protocol(0, job.parties, job.target)(Party(0, rehearsal)))
    asked = correlations.encode(rehearsal.plan, 1)
    keys = {party: [sha256(f"party {party}".encode()).digest()] for party in range(job.parties)}
    if 0 < rank < job.parties:
        return batches.keep(asked, Taken(keys[rank], []))
    first = Taken(keys[0], list(batches.corrections(rehearsal.plan, keys)))
    if rank == 0:
        return batches.keep(asked, first)
    others = [[digest_of(key) for key in keys[party]] for party in range(1, job.parties)]
    return batches.keep_digests(asked, [first.digests, *others])


def table(rows: Iterable[Row]) -> Table:
    """The rows of `jobs`, a line for each pair."""
    shown = Table(
        title="Correlated randomness dealt in the job, and before it: three parties and a dealer, slopes",
        caption="Offline: meeting, the rehearsal that finds the plan, and dealing where it is in the job.\n"
        f"The service deals batches of more than {batches.LARGEST >> 20} MiB in their jobs.",
    )
    for heading in ("model", "n", "delay\nms"):
        shown.add_column(heading, justify="left" if heading == "model" else "right")
    for heading in ("trips", "dealer\nMB", "offline\ns", "online\ns"):
        shown.add_column(f"in: {heading}", justify="right")
    for heading in ("trips", "dealer\nMB", "offline\ns", "online\ns"):
        shown.add_column(f"before: {heading}", justify="right")
    by_job = {(row["model"], row["n"], row["delay_ms"], row["ahead"]): row for row in rows}
    for model, n, delay, ahead in by_job:
        if not ahead and (model, n, delay, True) in by_job:
            pair = [by_job[model, n, delay, each] for each in (False, True)]
            shown.add_row(model, f"{n:,}", str(delay), *(cell for row in pair for cell in _cells(row)))
    return shown


def _cells(row: Row) -> Sequence[str]:
    trips, sent, offline, online = (row[name] for name in SHOWN)
    return str(trips), f"{sent / 1e6:.3f}", f"{offline:.3f}", f"{online:.3f}"
