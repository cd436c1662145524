"""What jobs cost in rounds and bytes, exactly, without running them: `python -m bench.costs`.

The protocols run alone, on zeros: rounds and lengths depend on public shapes only. `bench.engine` measures real jobs,
and finds the same numbers plus what meeting costs (keys, plan, the check of the record's ranges).
"""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.rows import Case, DesignName, Name
from compute.engine.arithmetic import Party
from compute.engine.dealing import Rehearsal, size
from compute.engine.protocol import run
from concordat.kinds.kind import Scale

JOBS: list[tuple[Name, DesignName, int, Scale]] = [
    ("lr", "slopes", 1000, "log-odds"),
    ("lr", "slopes", 1000, "probability"),
    ("mlp", "slopes", 1000, "log-odds"),
    ("trees", "slopes", 1000, "log-odds"),
    ("lr", "masks", 128, "log-odds"),
    ("mlp", "masks", 128, "log-odds"),
    ("trees", "masks", 128, "log-odds"),
]


def cost(name: Name, design: DesignName, n: int, target: Scale, parties: int) -> dict[str, Any]:
    """Rounds after the input; bytes that all parties send, and that the dealer does."""
    case, rehearsal, lengths = Case.make(name, design, n), Rehearsal(), []

    def alone(mine: bytes) -> list[bytes]:
        lengths.append(len(mine))
        return []

    run(case.protocol(0, parties, target)(Party(0, rehearsal)), alone)
    return {
        "engine": "concordat",
        "model": name,
        "design": design,
        "n": n,
        "target": target,
        "parties": parties,
        "rounds": len(lengths),
        "bytes_online": parties * (parties - 1) * sum(lengths),
        "bytes_dealer": sum(size(part) for each in rehearsal.plan for part in each.bound()),
    }


def costs(parties: int = 3) -> Iterator[dict[str, Any]]:
    """A row for each job."""
    return (cost(*job, parties) for job in JOBS)


def main() -> None:
    """Print the table."""
    table = Table(title="Rounds and bytes, three parties and a dealer; exact")
    for heading in ("model", "design", "n", "target", "rounds", "online, MB", "dealer, MB", "together, MB"):
        table.add_column(heading, justify="left" if heading in ("model", "design", "target") else "right")
    for row in costs():
        online, dealer = row["bytes_online"], row["bytes_dealer"]
        numbers = (f"{value / 1e6:.3f}" for value in (online, dealer, online + dealer))
        table.add_row(row["model"], row["design"], str(row["n"]), row["target"], str(row["rounds"]), *numbers)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
