"""Hand out a dossier. Who asked for which one is itself in the log."""

from collections.abc import Collection

from django.db import transaction

from concordat import record_number
from concordat.events import Event
from ledger import dossier
from ledger.dossier import collect
from ledger.services.publish import publish
from ledger.services.record import record


def hand_out(
    *,
    number: str,
    role: str,
    reader: str,
    disclose: Collection[str] = (),
    form: str = "bundle",
    moment: dossier.Moment | None = None,
    under: collect.Under | None = None,
) -> bytes:
    """The bundle of the decision with this record number, up to date, for `reader` in `role`.

    Args:
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
                },
                subject=under.matter,
                holder=under.holder,
            )
        else:
            record(
                event=Event.DOSSIER_READ,
                public={"request": decided.public["request"], "role": role, "form": form},
                private={"reader": reader},
            )
        publish()
    return dossier.build(index, disclose=disclose, moment=moment, under=under)
