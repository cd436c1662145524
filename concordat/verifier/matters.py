"""Under whose authority a dossier was read or produced, where that was in a legal matter.

Then it carries the entry that opened the matter, with what was committed to, and the one that named this decision in
it; no other decision of the matter is opened, and nobody's reading. A dossier that was read in no matter has none.
"""

from concordat.canonical import Json
from concordat.events import MATTER_TOLD, Event
from concordat.fields import read
from concordat.matters import Told
from concordat.reasons import Reason, Refused
from concordat.verifier.case import Case

ENTRIES = frozenset({Event.MATTER_OPENED, Event.MATTER_NAMED})


def has(case: Case) -> bool:
    """Whether the dossier says that it was read in a matter."""
    return bool(case.evidence.of(*ENTRIES))


def named(case: Case) -> str:
    """The matter names this decision, and both stood in the log before the dossier was made.

    Raises:
        Refused: MATTER_MISMATCH for a matter that names another decision; NOT_FOUND or SEQUENCE_BROKEN unless there is
            one entry of each kind.
        NotCheckable: ERASED, NOT_DISCLOSED.
    """
    opened, scope = case.one(Event.MATTER_OPENED), case.one(Event.MATTER_NAMED)
    matter = opened.text("matter")
    if scope.text("matter") != matter or case.evidence.opened(scope, "record") != case.decision.number:
        raise Refused(Reason.MATTER_MISMATCH)
    read({field: case.evidence.opened(opened, field) for field in MATTER_TOLD}, Told)
    return f"It was read in the matter {matter}, which names this decision since {scope.leaf['time']}."


def tell(case: Case) -> dict[str, Json]:
    """The matter as it was opened, and since when it names the decision; nothing of it where its key is destroyed."""
    opened, scope = case.one(Event.MATTER_OPENED), case.one(Event.MATTER_NAMED)
    fields = case.evidence.openings["opened"].get(str(opened.index), {})
    told = {name: each["value"] for name, each in fields.items()} if set(MATTER_TOLD) <= set(fields) else {}
    return {
        "matter": opened.text("matter"),
        "entry": opened.number,
        "opened": opened.leaf["time"],
        "named": scope.leaf["time"],
        **{field: told.get(field) for field in MATTER_TOLD},
    }
