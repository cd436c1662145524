"""Hand out a dossier. Who asked for which one, for whom, and what it opened to them is itself in the log.

It stands there under a key of its own, not under the person's: the entry names the request in the open, which is how
what was disclosed of a person is found, and who read must neither be told to the person nor go with an erasure.
"""

from collections.abc import Collection

from django.db import transaction

from concordat import record_number
from concordat.canonical import Json
from concordat.events import Event
from ledger import dossier
from ledger.dossier import collect
from ledger.models import LogEntry, Payload
from ledger.services.publish import publish
from ledger.services.record import record


def hand_out(
    *,
    number: str,
    role: str,
    reader: str,
    institution: str = "",
    disclose: Collection[str] = (),
    form: str = "bundle",
    moment: dossier.Moment | None = None,
    under: collect.Under | None = None,
) -> bytes:
    """The bundle of the decision with this record number, up to date, for `reader` in `role`.

    Args:
        institution: for which one they read; empty for an operator.
        form: as what it is handed out.
        moment: in which this reader has seen it before, instead of this one.
        disclose: names of private fields that this reader may see; whoever calls this has decided so.
        under: the legal matter in which it is read. Then its log entry says in the open only which matter; it belongs
            to no dossier, and nobody outside the matter learns what was read.

    Raises:
        Refused: RECORD_NUMBER_INVALID, NOT_FOUND, and what `publish` refuses.
    """
    index = record_number.parse(number)
    decided = collect.decision(index)
    opened: list[Json] = [*_opened(decided, disclose)] if disclose else []
    with transaction.atomic():  # short: building the bundle verifies all of it, and nobody else could record meanwhile
        if under is not None:
            record(
                event=Event.MATTER_DOSSIER_READ,
                public={"matter": str(under.matter)},
                private={
                    "reader": reader,
                    "request": decided.public["request"],
                    "record": decided.record_number,
                    "form": form,
                    "opened": opened,
                },
                subject=under.matter,
                holder=under.holder,
            )
        else:
            record(
                event=Event.DOSSIER_READ,
                public={"request": decided.public["request"], "role": role, "form": form},
                private={"reader": reader, "institution": institution, "opened": opened},
            )
        publish()
    return dossier.build(index, disclose=disclose, moment=moment, under=under)


def _opened(decided: LogEntry, disclose: Collection[str]) -> list[str]:
    """Which of these fields there are in the decision's entries, and not erased."""
    shown = {entry.index: set(entry.commitments).intersection(disclose) for entry in collect.entries(decided)}
    there = Payload.objects.filter(entry__in=[index for index, fields in shown.items() if fields])
    readable = there.filter(key__wrapped__isnull=False).values_list("entry_id", flat=True)
    return sorted({field for index in readable for field in shown[index]})
