"""Which entries of the log belong to a decision."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from concordat import canonical
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.request import named_consent, peek_request
from concordat.verifier.completeness import BY_REFERENCE, WITNESSES
from ledger import selectors
from ledger.models import LogEntry


@dataclass(frozen=True)
class Under:
    """The legal matter in which a dossier is read, and the institution that holds it; its entries are under the key of
    the matter."""

    holder: str
    matter: UUID


def decision(index: int) -> LogEntry:
    """Raises Refused(NOT_FOUND) unless the entry is a recorded prediction."""
    entry = selectors.entry(index)
    if entry.event != Event.PREDICTION_RECORDED:
        raise Refused(Reason.NOT_FOUND, detail="This record is not a decision.", field="record")
    return entry


def entries(decided: LogEntry, under: Under | None = None) -> list[LogEntry]:
    """The decision's entries, in the order of the log: before it, itself, and since. Read in a matter, those by which
    the matter was opened and names this decision as well, and none of another matter or of anybody's reading."""
    found: dict[int, LogEntry] = {}

    def add(name: str, values: Iterable[str]) -> None:
        for value in values:
            for event in BY_REFERENCE[name]:
                found.update({entry.index: entry for entry in selectors.entries(event=event, **{name: value})})

    for name in ("study", "definition", "model", "request", "job"):
        add(name, [str(decided.public[name])])
    about = {name: str(decided.public[name]) for name in ("study", "model")}
    found.update({entry.index: entry for entry in selectors.entries(event=Event.DISCLOSURE_SIGNED, **about)})
    add("consent", _consent(decided))
    add("institution", _institutions(decided, found.values()))
    for event in WITNESSES:
        found.update({entry.index: entry for entry in selectors.entries(event=event)})
    if under is not None:
        found.update({entry.index: entry for entry in _authority(decided, under)})
    return [found[index] for index in sorted(found)]


def leaves(size: int) -> Iterator[bytes]:
    """The exact bytes of the log's first `size` entries."""
    found = LogEntry.objects.filter(index__lt=size).order_by("index").values_list("leaf", flat=True)
    return (bytes(leaf) for leaf in found.iterator())


def _authority(decided: LogEntry, under: Under) -> Iterator[LogEntry]:
    of_matter = selectors.about(under.holder, under.matter)
    yield from of_matter.filter(event=Event.MATTER_OPENED)
    for entry in of_matter.filter(event=Event.MATTER_NAMED).order_by("index"):
        if selectors.private_fields(entry)["record"] == decided.record_number:
            yield entry
            return


def _consent(decided: LogEntry) -> list[str]:
    """The consent that the request rests on, if it rests on one; unknown once the subject's key is destroyed."""
    try:
        statement = selectors.private_fields(decided).get("request_statement")
    except Refused as refused:
        if refused.reason is not Reason.ERASED:
            raise
        return []
    if statement is None:
        return []
    named = named_consent(peek_request(statement))
    return [named] if named else []


def _institutions(decided: LogEntry, found: Iterable[LogEntry]) -> list[str]:
    """Everyone who computes, deals, asks, owns, votes or reviews, and every site of the protocol with its board."""
    named = {str(decided.public["institution"])}
    for entry in found:
        if "institution" in entry.public:
            named.add(str(entry.public["institution"]))
        if entry.event == Event.DEFINITION_REGISTERED:
            definition = canonical.decode(selectors.document(entry.documents["definition"]))
            named |= {*definition["parties"], definition["dealer"], *definition["quorum"]["of"]}
        if entry.event == Event.STUDY_SUBMITTED:
            named |= set(canonical.decode(selectors.document(entry.documents["protocol"])).get("sites", ()))
    return sorted(named)
