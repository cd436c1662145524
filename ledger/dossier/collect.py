"""Which entries of the log belong to a decision."""

from collections.abc import Iterable

from concordat import canonical, signatures
from concordat.events import Event
from concordat.reasons import Reason, Refused
from ledger import selectors
from ledger.models import LogEntry

_E = Event

_BY_REFERENCE: dict[str, tuple[Event, ...]] = {
    "study": (_E.STUDY_SUBMITTED, _E.REVIEW_SIGNED, _E.STUDY_APPROVED, _E.STUDY_SUSPENDED, _E.STUDY_CLOSED),
    "definition": (_E.DEFINITION_REGISTERED, _E.DEFINITION_VOTED),
    "model": (_E.MODEL_IMPORTED,),
    "request": (_E.VERDICT,),
    "job": (
        _E.JOB_RESERVED,
        _E.JOB_ENDED,
        _E.PREDICTION_RECORDED,
        _E.EXPLANATION_RECORDED,
        _E.RESULT_WITHHELD,
        _E.RESULT_DISPLAYED,
    ),
    "consent": (_E.CONSENT_GIVEN, _E.CONSENT_WITHDRAWN),
    "institution": (_E.INSTITUTION_ENROLLED, _E.ROSTER_PUBLISHED),
}


def decision(index: int) -> LogEntry:
    """Raises Refused(NOT_FOUND) unless the entry is a recorded prediction."""
    entry = selectors.entry(index)
    if entry.event != Event.PREDICTION_RECORDED:
        raise Refused(Reason.NOT_FOUND, detail="This record is not a decision.", field="record")
    return entry


def entries(decided: LogEntry) -> list[LogEntry]:
    """The decision's entries, in the order of the log: before it, itself, and since."""
    found: dict[int, LogEntry] = {}

    def add(name: str, values: Iterable[str]) -> None:
        for value in values:
            for event in _BY_REFERENCE[name]:
                found.update({entry.index: entry for entry in selectors.entries(event=event, **{name: value})})

    for name in ("study", "definition", "model", "request", "job"):
        add(name, [str(decided.public[name])])
    about = {name: str(decided.public[name]) for name in ("study", "model")}
    found.update({entry.index: entry for entry in selectors.entries(event=_E.DISCLOSURE_SIGNED, **about)})
    add("consent", _consent(decided))
    add("institution", _institutions(decided, found.values()))
    return [found[index] for index in sorted(found)]


def _consent(decided: LogEntry) -> list[str]:
    """The consent that the request rests on; unknown once the subject's key is destroyed."""
    try:
        statement = selectors.private_fields(decided).get("request_statement")
    except Refused as refused:
        if refused.reason is not Reason.ERASED:
            raise
        return []
    if statement is None:
        return []
    request = signatures.peek(statement)[1]
    return [str(signatures.peek(request["consent"])[1]["consent"])]


def _institutions(decided: LogEntry, found: Iterable[LogEntry]) -> list[str]:
    """Everyone who computes, deals, asks, owns, votes or reviews."""
    named = {str(decided.public["institution"])}
    for entry in found:
        if "institution" in entry.public:
            named.add(str(entry.public["institution"]))
        if entry.event == Event.DEFINITION_REGISTERED:
            definition = canonical.decode(selectors.document(entry.documents["definition"]))
            named |= {*definition["parties"], definition["dealer"], *definition["quorum"]["of"]}
    return sorted(named)
