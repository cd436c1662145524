"""What this engine's jobs cost in rounds and bytes, exactly, without running them: `python -m bench.costs`.

The protocols run alone, on zeros: rounds and lengths depend on public shapes only. `bench.engine` measures real jobs,
and finds the same numbers, plus the plans and keys of the dealing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table

from bench.jobs import MODELS, TARGETS, Job
from bench.rows import KIND, Case, Name
from compute.engine.arithmetic import Party
from compute.engine.counting import count, share_own
from compute.engine.dealing import Rehearsal, size
from compute.engine.protocol import run_all

RECORDS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Cost:
    """Rounds after the input; bytes that all parties send to one another, and that the dealer sends."""

    rounds: int
    bytes_online: int
    bytes_dealer: int


def cost(job: Job, *, checked: bool = False, records: int = 1) -> Cost:
    """What the protocol of the job costs, with or without the check of the record's ranges beside it, for so many
    records at once."""
    case, rehearsal, lengths = job.case(), Rehearsal(), []

    def alone(mine: Sequence[bytes]) -> list[list[bytes]]:
        lengths.append(sum(map(len, mine)))
        return []

    start = (case.checked if checked else case.protocol)(0, job.parties, job.target)
    run_all([start(Party(0, rehearsal)) for _ in range(records)], alone)
    return Cost(
        rounds=len(lengths),
        bytes_online=job.parties * (job.parties - 1) * sum(lengths),
        bytes_dealer=sum(size(part) for each in rehearsal.plan for part in each.bound()),
    )


def audit_cost(model: Name, rows: int, parties: int = 3) -> Cost:
    """What an audit costs of so many rows of each party, by six groups and four thresholds."""
    case, rehearsal, lengths = Case.make(model, "slopes", 64), Rehearsal(), list[int]()
    tensors, record = case.shares(0, parties)

    def alone(mine: Sequence[bytes]) -> list[list[bytes]]:
        lengths.append(sum(map(len, mine)))
        return []

    party = Party(0, rehearsal)
    own = torch.zeros(rows, len(record), dtype=torch.int64), torch.zeros(rows, 2 * 6, dtype=torch.int64)
    everybody = [share_own(party, parties, part) for part in own]
    run_all([count(party, KIND[model], tensors, *everybody, thresholds=(0.2, 0.4, 0.6, 0.8), smallest=5)], alone)
    return Cost(
        rounds=len(lengths),
        bytes_online=parties * (parties - 1) * sum(lengths),
        bytes_dealer=sum(size(part) for each in rehearsal.plan for part in each.bound()),
    )


def audits_table() -> Table:
    """The costs of audits."""
    shown = Table(
        title="Audits: rounds and bytes, three parties and a dealer; exact, computed",
        caption="By six groups and four thresholds. Rows are those of each party, padding included.",
    )
    for heading in ("model", "rows", "rounds", "online\nMB", "dealer\nMB"):
        shown.add_column(heading, justify="left" if heading == "model" else "right")
    for model in MODELS:
        for rows in (400, 4000):
            found = audit_cost(model, rows)
            megabytes = (f"{count / 1e6:.3f}" for count in (found.bytes_online, found.bytes_dealer))
            shown.add_row(model, f"{rows:,}", str(found.rounds), *megabytes, end_section=rows == 4000)
    return shown


def table(jobs: Iterable[Job]) -> Table:
    """The costs for people; those of the check of the record's ranges apart."""
    shown = Table(
        title="Rounds and bytes of this engine, three parties and a dealer; exact, computed",
        caption="The check of the record's ranges is a part of every job of the service. It runs beside\n"
        "the protocol; what it adds stands in the last three columns, and is in no other figure.",
    )
    for heading in ("model", "design", "target", "n"):
        shown.add_column(heading, justify="right" if heading == "n" else "left")
    for heading in ("rounds", "online\nMB", "dealer\nMB", "check:\nrounds", "online\nkB", "dealer\nkB"):
        shown.add_column(heading, justify="right")
    for job in jobs:
        alone, checked = cost(job), cost(job, checked=True)
        shown.add_row(
            job.model,
            job.design,
            job.target,
            f"{job.n:,}",
            str(alone.rounds),
            f"{alone.bytes_online / 1e6:.3f}",
            f"{alone.bytes_dealer / 1e6:.3f}",
            f"+{checked.rounds - alone.rounds}",
            f"+{(checked.bytes_online - alone.bytes_online) / 1e3:.1f}",
            f"+{(checked.bytes_dealer - alone.bytes_dealer) / 1e3:.1f}",
        )
    return shown


def records_table(jobs: Iterable[Job]) -> Table:
    """What more records cost in one job, with the check of each one's ranges: canaries, and other requests."""
    shown = Table(
        title="The same with the check of ranges, for several records at once; exact, computed",
        caption="A canary is one record more, and so is another person's request with its own: runs of their own,\n"
        "whose messages travel together. The service computes a person's record and a canary, so two.",
    )
    for heading in ("model", "n", "records", "rounds", "online\nMB", "dealer\nMB"):
        shown.add_column(heading, justify="left" if heading == "model" else "right")
    for job in jobs:
        for records in RECORDS:
            found = cost(job, checked=True, records=records)
            megabytes = (f"{count / 1e6:.3f}" for count in (found.bytes_online, found.bytes_dealer))
            last = records == RECORDS[-1]
            shown.add_row(job.model, f"{job.n:,}", str(records), str(found.rounds), *megabytes, end_section=last)
    return shown


def main() -> None:
    """Print the tables."""
    jobs = [Job("concordat", model, 1000, target) for model in MODELS for target in TARGETS]
    jobs += [Job("concordat", model, 128, design="masks") for model in MODELS]
    console = Console(width=110)
    console.print(table(jobs))
    console.print(records_table(jobs))
    console.print(audits_table())


if __name__ == "__main__":
    main()
