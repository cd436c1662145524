"""By when the decision was recorded, by a clock that is not the operator's: the time stamp of a head that covers it."""

from dataclasses import dataclass
from datetime import datetime

from concordat import timestamps
from concordat.clock import rfc3339
from concordat.documents import CLOCK_SKEW
from concordat.reasons import Reason, Refused
from concordat.verifier import integrity
from concordat.verifier.case import Case
from concordat.verifier.evidence import NotCheckable

ASSERTED = "Time asserted by the operator"


@dataclass(frozen=True)
class Timed:
    """The head of `size` entries existed at `latest` at the latest, says `authority`. `attested`: its signature was
    verified under a root that the reader brought; otherwise anybody may have written it."""

    size: int
    latest: datetime
    authority: str
    attested: bool


def timed(case: Case) -> str:
    """A time-stamping authority, whose root the reader brought, had a head that covers the decision."""
    found = read(case)
    if found is None:
        raise NotCheckable(
            Reason.TIME_ASSERTED, f"{ASSERTED}: no time-stamping authority stamped a head that covers the decision."
        )
    if not found.attested:
        raise NotCheckable(
            Reason.TIMESTAMP_AUTHORITY_NOT_GIVEN,
            f"{ASSERTED}, until the time stamp in the name of “{found.authority}”, of {rfc3339(found.latest)}, is "
            "checked: name that authority's root certificate with --tsa.",
        )
    return (
        f"Time attested by the authority “{found.authority}”: it had the head of {found.size} entries, which covers "
        f"the decision, not later than {rfc3339(found.latest)}. How long before, the operator asserts."
    )


def read(case: Case) -> Timed | None:
    """The time stamp; None where the dossier has none.

    Raises Refused: CHECKPOINT_INVALID, CONSISTENCY_INVALID; what `timestamps` refuses; FIELD_INVALID for a root that is
    none; TIME_CONTRADICTED if an entry under that head says that it was recorded later.
    """
    stamped = case.evidence.stamped
    if stamped is None:
        return None
    head = integrity.earlier_head(case.evidence, stamped.note, stamped.consistency, "stamped")
    data = stamped.note.encode()
    if case.tsa is None:
        said = timestamps.read(stamped.answer, data)
    else:
        said = timestamps.verify(stamped.answer, data, roots=timestamps.read_roots(case.tsa))
    for entry in case.evidence.entries:
        if entry.index < head.size and entry.time > said.latest + CLOCK_SKEW:
            raise Refused(Reason.TIME_CONTRADICTED, detail=f"{entry.number} names {entry.leaf['time']}.")
    return Timed(head.size, said.latest, said.authority, case.tsa is not None)
