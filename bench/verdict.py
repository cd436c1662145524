"""What the one authority check costs in a big database: its queries, which are exact, and its time as a ratio.

python -m bench.verdict                                    10,000 studies and 1,000,000 consents on SQLite
python -m bench.verdict --database postgres://…/empty      the same on a PostgreSQL database that is empty
python -m bench.verdict --studies 10 --consents 100        less

The studies beside the one that is asked about are copies that wait for their boards, each with a definition; the
consents are copies of a real one, spread over all studies. The baseline is one look-up by primary key.
"""

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import django
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
STUDIES, CONSENTS, RUNS = 10_000, 1_000_000, 200
REGISTRY = "0x52908400098527886E0F7030069857D2E4169EE7"
WIDTH = 110

Row = dict[str, Any]


def start(state: Path, database: str) -> None:
    """Django on an empty database with all its tables. Nothing of Django can be imported before."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "CONCORDAT_STATE": str(state),
        "CONCORDAT_DATABASE_URL": database or f"sqlite:///{state / 'bench.sqlite3'}",
        "CONCORDAT_REGISTRY_ADDRESS": REGISTRY,
    }
    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    from tests.support.keys import coordinator_keys

    coordinator_keys(settings.KEYS_DIR)
    call_command("migrate", verbosity=0, skip_checks=True)


def prepare(state: Path) -> Callable[[], bool]:
    """A study that every board has approved, a definition that every institution has approved, a consent and a request;
    the answer asks the verdict about it, and says whether it passed."""
    from concordat import clock
    from concordat.keystore import Keystore
    from governance import verdict
    from tests.governance.conftest import ROLES, Consortium

    keystores = {slug: Keystore(state / "institutions" / slug).create() for slug in ROLES}
    consortium = Consortium(keystores)
    request = consortium.request(consortium.voted())
    return lambda: verdict.authorise(request, now=clock.now(), chain=consortium.chain).passed


def fill(studies: int, consents: int) -> None:
    """Copies of what is there, made by the database itself."""
    from django.db import connection

    from governance.models import Consent, Definition, Study

    sqlite = connection.vendor == "sqlite"
    uuid = "lower(hex(randomblob(16)))" if sqlite else "gen_random_uuid()"
    sha256 = "'sha256:' || " + (
        "lower(hex(randomblob(32)))" if sqlite else "md5(random()::text) || md5(random()::text)"
    )
    study, before = Study.objects.get(), Consent.objects.get().pk
    fresh = {"uuid": uuid, "slug": "'copy-' || i", "state": "'draft'", "in_force_id": "NULL", "expires": "NULL"}
    _copies(Study, study.pk, studies - 1, fresh)
    Study.objects.exclude(pk=study.pk).update(state="submitted")
    first = Study.objects.exclude(pk=study.pk).order_by("pk").first()
    _copies(Definition, Definition.objects.get().pk, studies - 1, {"digest": sha256, "study_id": f"{first.pk} + i - 1"})
    spread = f"{first.pk} + i % {studies - 1}"
    _copies(Consent, before, consents - 1, {"uuid": uuid, "subject": uuid, "digest": sha256, "study_id": spread})
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _copies(model: Any, pk: int, count: int, fresh: dict[str, str]) -> None:
    from django.db import connection

    columns = [field.column for field in model._meta.concrete_fields if not field.primary_key]
    values = [fresh.get(column, f'"{column}"') for column in columns]
    names, table = ", ".join(f'"{column}"' for column in columns), model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{table}" ({names}) '  # noqa: S608  (names of our own models)
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
            f'SELECT {", ".join(values)} FROM n CROSS JOIN "{table}" WHERE "{table}".id = {pk}'
        )


def measure(ask: Callable[[], bool], runs: int) -> Row:
    """One row. SystemExit if the verdict is a no, which would be cheaper, or if its queries differ between runs."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from governance.models import Consent, Study

    study = Study.objects.order_by("pk").first()
    assert study is not None  # the one that is asked about
    counted = set()
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            if not ask():
                raise SystemExit("The request is not authorised: nothing to measure.")
        counted.add(len(queries))
    if len(counted) > 1:
        raise SystemExit(f"The verdict does not ask the same number of queries every time: {sorted(counted)}.")
    baseline = _median(lambda: Study.objects.get(pk=study.pk), runs)
    seconds = _median(ask, runs)
    return {
        "database": connection.vendor,
        "studies": Study.objects.count(),
        "consents": Consent.objects.count(),
        "queries": counted.pop(),
        "seconds_verdict": seconds,
        "seconds_baseline": baseline,
        "ratio": round(seconds / baseline, 1),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
    }


def _median(call: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        begin = perf_counter()
        call()
        times.append(perf_counter() - begin)
    return statistics.median(times)


def table(rows: list[Row]) -> Table:
    """The rows for people."""
    machine = rows[0]["machine"]
    shown = Table(
        title=f"Is this authorised now? {rows[0]['database']}, against one look-up by primary key",
        caption=f"{machine['cores']} cores, Python {machine['python']}. Queries are exact; times vary.",
    )
    for name in ("studies", "consents", "queries", "verdict\nms", "look-up\nms", "verdict /\nlook-up"):
        shown.add_column(name, justify="right")
    for row in rows:
        shown.add_row(
            f"{row['studies']:,}",
            f"{row['consents']:,}",
            str(row["queries"]),
            f"{1e3 * row['seconds_verdict']:.2f}",
            f"{1e3 * row['seconds_baseline']:.3f}",
            f"{row['ratio']:,}",
        )
    return shown


def main() -> None:
    """Measure in the small and in the large, print the table, write the rows."""
    parser = argparse.ArgumentParser(prog="bench.verdict", description="What the one authority check costs.")
    parser.add_argument("--studies", type=int, default=STUDIES, help="how many studies, at least 2")
    parser.add_argument("--consents", type=int, default=CONSENTS, help="how many consents, at least 2")
    parser.add_argument("--runs", type=int, default=RUNS, help="runs for each median, at least 1")
    parser.add_argument("--database", default="", help="URL of an empty database; a new SQLite file without it")
    parser.add_argument("--output", type=Path, default=ROOT / "var/bench/verdict.json", help="where the rows go")
    wanted = parser.parse_args()
    if min(wanted.studies, wanted.consents) < 2 or wanted.runs < 1:
        parser.error("--studies and --consents are at least 2, --runs is at least 1")
    wanted.output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=wanted.output.parent) as state:
        start(Path(state), wanted.database)
        ask = prepare(Path(state))
        rows = [measure(ask, wanted.runs)]
        fill(wanted.studies, wanted.consents)
        rows.append(measure(ask, wanted.runs))
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    console.print(table(rows))
    wanted.output.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
