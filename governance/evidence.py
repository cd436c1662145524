"""What officers signed about a protocol, out of the log alone: what nodes and clients verify for themselves.

Everything signed is in the log with its documents, so this asks no other table, and hands out what a dossier shows.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from concordat import canonical
from concordat.events import Event
from concordat.review_evidence import ReviewDocuments, SignedRecord
from governance.models import Definition
from ledger.models import LogEntry
from ledger.selectors import document, entries


def review_evidence(definition: Definition) -> ReviewDocuments:
    """Each board's last determination on the protocol that the definition names, and what these rest on.

    Ended agreements are left out; ended delegations are not, since what was signed by one before stays signed.
    """
    study, base = str(definition.content["study"]), str(definition.content["protocol"])
    determinations = _last(
        (str(entry.public["institution"]), _signed(entry, "determination"))
        for entry in entries(event=Event.REVIEW_SIGNED, study=study)
        if "determination" in entry.documents and _document(entry, "determination")["base"] == base
    )
    decided = [record["document"] for record in determinations.values()]
    boards = list(determinations)
    sites = sorted({site for each in decided for site in each["sites"]})
    named = {digest for each in decided for digest in each["reliance"].values()}
    digests = {canonical.digest(each) for each in decided}
    return {
        "rosters": [
            document(entry.documents["roster"]).decode()
            for institution in dict.fromkeys([*boards, *sites])
            for entry in entries(event=Event.ROSTER_PUBLISHED, institution=institution)
        ],
        "determinations": list(determinations.values()),
        "conditions": _found(
            entries(event=Event.CONDITIONS_VERIFIED, study=study),
            "conditions",
            lambda entry: _document(entry, "conditions")["determination"] in digests,
        ),
        "delegations": [
            record
            for board in boards
            for record in _found(entries(event=Event.DELEGATION_SIGNED, institution=board), "delegation")
        ],
        "agreements": [
            record
            for board in boards
            for record in _found(
                entries(event=Event.RELIANCE_AGREED, institution=board),
                "agreement",
                lambda entry: entry.documents["agreement"] in named and not _ended(entry),
            )
        ],
        "contexts": _found(
            entries(event=Event.LOCAL_CONTEXT_FILED, study=study),
            "context",
            lambda entry: _document(entry, "context")["base"] == base,
        ),
    }


def _last(pairs: Iterable[tuple[str, SignedRecord]]) -> dict[str, SignedRecord]:
    """Each board's last; one that decides for no site is nobody's to wait for here."""
    return {board: record for board, record in dict(pairs).items() if record["document"]["sites"]}


def _found(
    logged: Iterable[LogEntry], name: str, wanted: Callable[[LogEntry], bool] = lambda entry: True
) -> list[SignedRecord]:
    return [_signed(entry, name) for entry in logged if wanted(entry)]


def _signed(entry: LogEntry, name: str) -> SignedRecord:
    """The entry's document of this name, with the officers' signatures that stand beside it."""
    signatures = _json(entry, "signatures") if "signatures" in entry.documents else [_json(entry, "signature")]
    return {"document": dict(_document(entry, name)), "signatures": signatures}


def _document(entry: LogEntry, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _json(entry, name)
    return found


def _json(entry: LogEntry, name: str) -> Any:
    return canonical.decode(document(entry.documents[name]))


def _ended(agreed: LogEntry) -> bool:
    ended = entries(event=Event.RELIANCE_ENDED, institution=str(agreed.public["institution"]))
    return any(
        entry.public["agreement"] == agreed.public["agreement"] and entry.index > agreed.index for entry in ended
    )
