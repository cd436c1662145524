"""A log's decisions among its many other entries: what a dossier of one costs, and its check against the whole log.

The decisions are signed for real. The other entries name the same study, institution and definition, as most entries of
a log do, so that looking for the few that matter is as hard as it gets.
"""

import resource
import statistics
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import uuid4

Row = dict[str, Any]


class Decisions:
    """Decisions of one consortium, on one study, definition and consent. Use inside `settings`."""

    def __init__(self, root: Path) -> None:
        from django.conf import settings

        from concordat.keystore import Keystore
        from tests.support.consortium import Consortium
        from tests.support.decision import Decision

        self._made = Decision(Consortium(root, coordinator=Keystore(settings.KEYS_DIR).identity))
        self.numbers: list[str] = []

    @staticmethod
    def settings() -> Any:
        """A context in which the service is the one that the decisions name."""
        from django.test.utils import override_settings

        from tests.support.decision import SETTINGS

        return override_settings(**SETTINGS)

    def decide(self) -> None:
        """Record one more; the first time, everything that it rests on as well."""
        if not self.numbers:
            for step in (self._made.enrol, self._made.approve, self._made.define, self._made.consent):
                step()
        self._made.compute()
        self.numbers.append(self._made.entries["prediction"].record_number)

    def others(self, count: int, epoch: int) -> list[Any]:
        """Drafts of entries that concern none of them, though they name what they name: three references each."""
        from concordat.canonical import digest
        from concordat.events import Event
        from ledger.services.record import Draft
        from tests.support.consortium import STUDY

        definition = digest(self._made.consortium.definition)
        refused = {"authorised": False, "reasons": ["budget-spent"], "epoch": epoch}
        return [
            Draft(
                event=Event.CONSENT_WITHDRAWN,
                public={"study": STUDY, "institution": "zurich", "consent": str(uuid4()), "epoch": epoch},
            )
            if place % 2
            else Draft(
                event=Event.VERDICT,
                public={"study": STUDY, "definition": definition, "request": str(uuid4()), **refused},
            )
            for place in range(count)
        ]

    def cosign(self) -> None:
        """Have the newest head cosigned by every node."""
        from tests.support.consortium import NODES
        from tests.support.witnesses import witness

        for slug in NODES:
            witness(self._made.consortium.homes[slug]).cosign()


def measure(numbers: Sequence[str], runs: int) -> Row:
    """What handing out a dossier takes, its record in the log and the new head included. SystemExit if one fails."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from concordat.verifier import verify
    from ledger.services import dossiers

    seconds, queries, sizes = [], [], []
    for run in range(runs):
        number = numbers[run % len(numbers)]
        begin = perf_counter()
        data = dossiers.hand_out(number=number, role="operator", reader="bench", disclose=("request_statement",))
        seconds.append(perf_counter() - begin)
        sizes.append(len(data))
    for number in numbers:
        with CaptureQueriesContext(connection) as counted:
            data = dossiers.hand_out(number=number, role="operator", reader="bench", disclose=("request_statement",))
        queries.append(len(counted))
        if not verify(data).holds:
            raise SystemExit("A dossier does not hold: nothing to measure.")
    return {
        "seconds_dossier": statistics.median(seconds),
        "seconds_dossier_slowest": max(seconds),
        "queries_dossier": max(queries),
        "bytes_dossier": round(statistics.median(sizes)),
    }


def check_whole(number: str, folder: Path) -> Row:
    """Copy the log, and verify a dossier with the copy. SystemExit if completeness is not shown."""
    from concordat import checkpoint, mirror, record_number
    from concordat.verifier import Options, verify
    from ledger import dossier, selectors

    published = selectors.published_head()
    head = checkpoint.Checkpoint("bench", published.size, bytes(published.root))
    begin = perf_counter()
    mirror.copy(folder, selectors.tile, head, published.note, size=head.size, progress=lambda done: None)
    copied, before = perf_counter() - begin, _megabytes()
    data = dossier.build(record_number.parse(number))
    begin = perf_counter()
    result = verify(data, Options(log=folder))
    seconds = perf_counter() - begin
    passed = {check.name for check in result.checks if check.status == "passed"}
    if not {"log", "completeness"} <= passed:
        raise SystemExit("The copy does not show that the dossier is complete: nothing to measure.")
    return {
        "seconds_copy": copied,
        "bytes_copy": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        "seconds_complete": seconds,
        "megabytes_complete": round(_megabytes() - before, 1),
    }


def _megabytes() -> float:
    """The process's greatest resident size so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
