"""What the log costs in the large: entries a second in batches, a proof's time, and memory.

python -m bench.log                                    1,000,000 entries on SQLite
python -m bench.log --database postgres://…/empty      the same on a PostgreSQL database that is empty
python -m bench.log --entries 20000                    less

Entries are recorded by the sequencer in batches of 1,000, a transaction each, and a head is published after every
tenth batch, as under load: the rate is of both together, and so is the slowest tenth of the way. A proof is measured
cold, with no tile in memory, as the interface serves it; each is verified. Among the entries are three decisions, whose
dossiers are handed out; then the whole log is copied into files, and one dossier is verified with them.
"""

import argparse
import json
import os
import platform
import random
import resource
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import dossiers
from bench.dossiers import Decisions
from bench.verdict import start

ROOT = Path(__file__).resolve().parents[1]
ENTRIES, BATCH, BATCHES_A_HEAD, PROOFS, DOSSIERS = 1_000_000, 1_000, 10, 200, 12
TARGETS = {
    "entries_per_second": 5_000,
    "seconds_inclusion": 0.010,
    "seconds_consistency": 0.010,
    "seconds_dossier": 1.0,
}
WIDTH = 110

Row = dict[str, Any]


def measure(entries: int, batch: int, proofs: int, state: Path) -> Row:
    """The whole row, of a log that was empty."""
    from django.db import connection

    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    with Decisions.settings():
        decisions = Decisions(state / "institutions")
        row = {"database": connection.vendor, **fill(entries, batch, decisions), **prove(proofs)}
        decisions.cosign()
        row |= dossiers.measure(decisions.numbers, DOSSIERS)
        row |= dossiers.check_whole(decisions.numbers[0], state / "copy")
    return {**row, "machine": machine}


def fill(entries: int, batch: int, decisions: Decisions) -> Row:
    """Record and publish, and answer how fast that went and how memory grew. A decision before, one in the middle and
    one at the end are not counted."""
    from django.db import transaction

    from ledger.services.publish import publish
    from ledger.services.record import record_all

    rates, sizes, done = [], [], 0
    decisions.decide()
    begin, processor = perf_counter(), process_time()
    tenth = begin
    for number, first in enumerate(range(0, entries, batch), start=1):
        count = min(batch, entries - first)
        drafts = decisions.others(count, number)
        with transaction.atomic():
            record_all(drafts)
        if first < entries / 2 <= first + count:
            paused, idle = perf_counter(), process_time()
            decisions.decide()
            idle, paused = process_time() - idle, perf_counter() - paused
            begin, tenth, processor = begin + paused, tenth + paused, processor + idle
        if number % BATCHES_A_HEAD == 0 or first + count == entries:
            publish()
        if first + count - done >= entries / 10 or first + count == entries:
            now = perf_counter()
            rates.append((first + count - done) / (now - tenth))
            sizes.append(_megabytes())
            done, tenth = first + count, now
    seconds, cpu = perf_counter() - begin, process_time() - processor
    decisions.decide()
    publish()
    return {
        "entries": entries,
        "batch": batch,
        "seconds": seconds,
        "entries_per_second": round(entries / seconds),
        "entries_per_second_slowest": round(min(rates)),
        "cpu_microseconds_per_entry": round(1e6 * cpu / entries, 1),
        "megabytes_after_a_tenth": sizes[0],
        "megabytes_at_the_end": sizes[-1],
    }


def prove(proofs: int) -> Row:
    """Inclusion and consistency proofs at random places, each verified. SystemExit if one does not hold."""
    from concordat import merkle
    from ledger import selectors
    from ledger.models import LogEntry, SignedCheckpoint

    choose, head = random.Random(1), selectors.latest_checkpoint()  # noqa: S311  (places to measure at)
    assert head is not None
    older = list(SignedCheckpoint.objects.all())
    inclusion, consistency = [], []
    for _ in range(proofs):
        index = choose.randrange(head.size)
        leaf = bytes(LogEntry.objects.values_list("leaf_hash", flat=True).get(index=index))
        begin = perf_counter()
        path = selectors.inclusion(index, head.size)
        inclusion.append(perf_counter() - begin)
        first = choose.choice(older)
        begin = perf_counter()
        extension = selectors.consistency(first.size, head.size)
        consistency.append(perf_counter() - begin)
        root = bytes(head.root)
        if not (
            merkle.verify_inclusion(leaf, index, head.size, path, root)
            and merkle.verify_consistency(first.size, head.size, bytes(first.root), root, extension)
        ):
            raise SystemExit("A proof does not verify: nothing to measure.")
    return {
        "seconds_inclusion": statistics.median(inclusion),
        "seconds_inclusion_slowest_in_20": statistics.quantiles(inclusion, n=20)[-1],
        "seconds_consistency": statistics.median(consistency),
        "seconds_consistency_slowest_in_20": statistics.quantiles(consistency, n=20)[-1],
    }


def _megabytes() -> float:
    """The process's greatest resident size so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def table(row: Row) -> Table:
    """The row for people, with the targets."""
    machine = row["machine"]
    shown = Table(
        title=f"The log at {row['entries']:,} entries, {row['database']}, batches of {row['batch']:,}",
        caption=f"{machine['cores']} cores, Python {machine['python']}. Proofs cold, verified; times vary.",
    )
    for name in ("what", "measured", "target"):
        shown.add_column(name, justify="left" if name == "what" else "right")
    shown.add_row("entries a second", f"{row['entries_per_second']:,}", f"{TARGETS['entries_per_second']:,}")
    shown.add_row("… in the slowest tenth", f"{row['entries_per_second_slowest']:,}", "")
    shown.add_row("processor time of an entry, µs", f"{row['cpu_microseconds_per_entry']}", "")
    for name in ("inclusion", "consistency"):
        target = f"< {1e3 * TARGETS[f'seconds_{name}']:.0f}"
        shown.add_row(f"{name} proof, ms", f"{1e3 * row[f'seconds_{name}']:.2f}", target)
        shown.add_row("… the slowest in 20, ms", f"{1e3 * row[f'seconds_{name}_slowest_in_20']:.2f}", "")
    shown.add_row("dossier, s", f"{row['seconds_dossier']:.3f}", f"< {TARGETS['seconds_dossier']:.0f}")
    shown.add_row("… the slowest, s", f"{row['seconds_dossier_slowest']:.3f}", "")
    shown.add_row("… its queries", f"{row['queries_dossier']}", "")
    shown.add_row("… its size, kB", f"{row['bytes_dossier'] / 1e3:,.0f}", "")
    shown.add_row("copy of the log, s", f"{row['seconds_copy']:.1f}", "")
    shown.add_row("… its size, MB", f"{row['bytes_copy'] / 1e6:,.0f}", "")
    shown.add_row("dossier verified with the copy, s", f"{row['seconds_complete']:.1f}", "")
    shown.add_row("… memory that it adds, MB", f"{row['megabytes_complete']}", "flat")
    shown.add_row("memory after a tenth, MB", f"{row['megabytes_after_a_tenth']}", "")
    shown.add_row("memory at the end, MB", f"{row['megabytes_at_the_end']}", "flat")
    return shown


def main() -> None:
    """Fill, prove, print the table, write the row."""
    parser = argparse.ArgumentParser(prog="bench.log", description="What the log costs in the large.")
    parser.add_argument("--entries", type=int, default=ENTRIES, help="how many entries, at least 10")
    parser.add_argument("--batch", type=int, default=BATCH, help="entries recorded in one transaction")
    parser.add_argument("--proofs", type=int, default=PROOFS, help="proofs of each kind, at least 20")
    parser.add_argument("--database", default="", help="URL of an empty database; a new SQLite file without it")
    parser.add_argument("--output", type=Path, default=ROOT / "var/bench/log.json", help="where the row goes")
    wanted = parser.parse_args()
    if wanted.entries < 10 or wanted.batch < 1 or wanted.proofs < 20:
        parser.error("--entries is at least 10, --batch at least 1, --proofs at least 20")
    wanted.output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=wanted.output.parent) as state:
        start(Path(state), wanted.database)
        row = measure(wanted.entries, wanted.batch, wanted.proofs, Path(state))
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    console.print(table(row))
    wanted.output.write_text(json.dumps(row, indent=2) + "\n")


if __name__ == "__main__":
    main()
