"""Which entries of the log belong to a decision.

A study, a definition or an institution may be named by most of a log's million entries, and of those the dossier needs
the few about approvals: these are looked for by their event. What is about one request, job or consent is looked for by
that. Either way few rows are read, in a number of queries that depends on nothing in the log.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import OuterRef, Q, QuerySet, Subquery

from concordat import canonical
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.request import named_consent, peek_request
from concordat.verifier.completeness import BY_REFERENCE, WITNESSES
from ledger import selectors
from ledger.models import LogEntry, Reference

_BY_EVENT = ("study", "definition", "model")
_BY_VALUE = ("request", "job", "consent")


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
    the matter was opened and names this decision as well, and none of another matter or of anybody's reading. Five
    queries, and three for a matter."""
    about: dict[str, Collection[str]] = {name: [str(decided.public[name])] for name in (*_BY_EVENT, "request", "job")}
    about["consent"] = _consent(decided)
    found = {entry.index: entry for entry in _by_value({name: about[name] for name in _BY_VALUE})}
    found |= {entry.index: entry for entry in _by_event({name: about[name] for name in _BY_EVENT}, WITNESSES)}
    institutions = _institutions(decided, found.values())
    found |= {entry.index: entry for entry in _by_event({"institution": institutions}, frozenset())}
    if under is not None:
        found |= {entry.index: entry for entry in _authority(decided, under)}
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


def _by_value(about: Mapping[str, Collection[str]]) -> Iterator[LogEntry]:
    """Entries that name one of these values, of the events that go with its name.

    The database is not told of the events: it would be its choice to begin with all entries of one, such as every
    verdict of the log, and without statistics it does.
    """
    wanted = Q(pk__in=())
    for name, values in about.items():
        wanted |= Q(name=name, value__in=values)
    for entry in LogEntry.objects.filter(index__in=Reference.objects.filter(wanted).values("entry")).order_by():
        if any(entry.event in _events(name) and entry.public.get(name) in about[name] for name in about):
            yield entry


def _by_event(about: Mapping[str, Collection[str]], always: Collection[Event]) -> QuerySet[LogEntry]:
    """Entries of the events that go with these names, which name one of the values; all of the events `always`.

    What an entry names is asked as one value of one row, by the index that is unique. As a join, or with EXISTS, it
    would be the database's choice to begin with all references of a study, and without statistics it does.
    """
    named = {
        f"of_{name}": Subquery(Reference.objects.filter(entry=OuterRef("index"), name=name).values("value")[:1])
        for name in about
    }
    events, wanted = set(always), Q(event__in=sorted(always))
    for name, values in about.items():
        events |= set(BY_REFERENCE[name])
        wanted |= Q(("event__in", _events(name)), (f"of_{name}__in", values))
    if about.keys() >= {"study", "model"}:
        events.add(Event.DISCLOSURE_SIGNED)
        wanted |= Q(event=Event.DISCLOSURE_SIGNED.value, of_study__in=about["study"], of_model__in=about["model"])
    return LogEntry.objects.alias(**named).filter(wanted, event__in=sorted(events)).order_by()


def _events(name: str) -> list[str]:
    return sorted(BY_REFERENCE[name])


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
    telling: dict[Event, list[str]] = {Event.DEFINITION_REGISTERED: [], Event.STUDY_SUBMITTED: []}
    for entry in found:
        if entry.event in WITNESSES:
            continue
        if "institution" in entry.public:
            named.add(str(entry.public["institution"]))
        if entry.event == Event.DEFINITION_REGISTERED:
            telling[Event.DEFINITION_REGISTERED].append(entry.documents["definition"])
        if entry.event == Event.STUDY_SUBMITTED:
            telling[Event.STUDY_SUBMITTED].append(entry.documents["protocol"])
    documents = selectors.documents({digest for digests in telling.values() for digest in digests})
    for digest in telling[Event.DEFINITION_REGISTERED]:
        definition = canonical.decode(documents[digest])
        named |= {*definition["parties"], definition["dealer"], *definition["quorum"]["of"]}
    for digest in telling[Event.STUDY_SUBMITTED]:
        named |= set(canonical.decode(documents[digest]).get("sites", ()))
    return sorted(named)
