"""A result that was written to a FHIR server is taken back, and what is taken back is not used from here again.

What was written is found by the identifiers that it was sent with, which the home has kept; neither the coordinator nor
the log is asked. In what order:

    looked for there → kept in the home that it is taken back, and why → marked there → audited → kept that it is done

Killed at any point, the command is given again, and goes on. From the second step on the result is not shown here.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from concordat import clock
from concordat.bedside import items
from concordat.client import fhir as spoken
from concordat.client.ehr import Ehr
from concordat.client.home import ClientHome
from concordat.client.work import Sent, Work
from concordat.display import TAKEN_BACK
from concordat.fhir.elements import elements
from concordat.fhir.later import erroneous
from concordat.fhir.reader import READ
from concordat.fhir.retraction import Retraction, bears, place, retraction_bundle
from concordat.reasons import Reason, Refused


class Written(TypedDict):
    """A result that was sent to a FHIR server from here: `since` when it may have it (RFC 3339), why a bedside in this
    home has taken it back, if it has, and why what the server has was taken back, if that was `begun` or `done`. Both
    are codes of `display.TAKEN_BACK`."""

    request: str
    definition: str
    since: str
    bedside: str
    taken_back: str
    state: str


def take_back(home: ClientHome, ehr: Ehr, works: Iterable[Work], *, person: str, why: str) -> list[str]:
    """Give what the server has of these results the status `entered-in-error`; answers what was changed, or nothing
    where all of it had that status before.

    Args:
        works: one that was never sent is from then on not shown here either.
        person: the handle (UUID) of who takes it back.
        why: a code of `display.BY_HAND`.

    Raises:
        Refused: NOT_FOUND if nothing was sent from here, and, when the rest is done, for what the server does not find;
            WRONG_STATE if it was taken back for another reason; what `Ehr` and `retraction_bundle` raise, also for what
            was changed there while it was read.
    """
    works = list(works)
    sent = [(work, work.written["resources"]) for work in works if work.written is not None]
    unsent = [work for work in works if work.written is None]
    if not sent:
        raise Refused(Reason.NOT_FOUND, detail="This result was not sent to a server from here.", field="request")
    changed: list[str] = []
    missing: list[str] = []
    for work, resources in sent:
        found = _look(home, ehr, work, person=person)
        lost = [each for each in resources if not any(bears(one, each["type"], each["identifier"]) for one in found)]
        if found:
            changed += _take_back(home, ehr, work, found, along=unsent, person=person, why=why)
            work.take_back(why, done=not lost)
        missing += [f"{each['type']} {each['identifier']['value']}" for each in lost]
    if missing:
        detail = f"The server does not find all of it. Taken back is what it has, and not: {', '.join(missing)}."
        raise Refused(Reason.NOT_FOUND, detail=detail, field="request")
    return changed


def questions(home: ClientHome, request: str) -> list[Work]:
    """What was asked about a request's record, and sent to the FHIR server as well."""
    return [work for work in _sent(home) if work.request != request and request in work.requests]


def listed(home: ClientHome) -> list[Written]:
    """What was sent to a FHIR server from here, the oldest first."""
    sent = _sent(home)
    known = items.retractions(home.directory, [work.request for work in sent])
    found = [_listed(work, known.get(work.request, "")) for work in sent]
    return sorted(found, key=lambda each: (each["since"], each["request"]))


def check_not_taken_back(home: ClientHome, work: Work) -> None:
    """Raises Refused(WRONG_STATE) if a request's result was taken back, at the FHIR server or by the bedside in this
    home; or that of the earlier request whose record it asks about."""
    items.check_not_taken_back(home.directory, work.requests)
    for request in work.requests:
        if (said := Work(home.work / request).taken_back) is not None:
            detail = f"It was taken back in the health record. {TAKEN_BACK[said['why']]}."
            raise Refused(Reason.WRONG_STATE, detail=detail, field="request")


def _look(home: ClientHome, ehr: Ehr, work: Work, *, person: str) -> list[dict[str, Any]]:
    """What the server has now of what was sent, once each; that it was read is written down, whatever comes of it."""
    assert work.written is not None
    resources = work.written["resources"]
    ehr.received.clear()
    try:
        return _there(ehr, resources)
    finally:  # what a server calls a type of which nobody asked may be anything
        if kinds := ehr.received & {*READ, *(each["type"] for each in resources)}:
            spoken.audit_looked(home, work, person=person, kinds=kinds, server=ehr.base)


def _there(ehr: Ehr, resources: Iterable[Sent]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for each in resources:
        kind, identifier = each["type"], each["identifier"]
        for one in ehr.identified(kind, identifier):
            if bears(one, kind, identifier) and found.setdefault(place(one), one) != one:
                raise Refused(Reason.EHR_UNAVAILABLE, detail="A resource was changed while it was looked for.")
    return list(found.values())


def _take_back(
    home: ClientHome,
    ehr: Ehr,
    work: Work,
    found: list[dict[str, Any]],
    *,
    along: Iterable[Work],
    person: str,
    why: str,
) -> list[str]:
    """The same of what was found of one result; those `along` were not sent."""
    before, kinds = work.taken_back, [each["resourceType"] for each in found]
    about = Retraction(work.request, home.institution, person, clock.now(), why, ehr.base)
    bundle = retraction_bundle(found, about, key=home.keys.identity)
    if before is not None and before["why"] != why and (before["done"] or not bundle["entry"]):
        detail = f"It was taken back before, for another reason: {before['why']}."
        raise Refused(Reason.WRONG_STATE, detail=detail, field="why")
    for each in (work, *along):
        each.take_back(why)
    changed = _mark(home, ehr, work, bundle, person=person) if bundle["entry"] else []
    if changed or (before is not None and not before["done"]):
        marked = [each["resourceType"] for each in found if not erroneous(each)]
        spoken.audit_updated(home, work, person=person, kinds=marked or kinds, server=ehr.base)
    return changed


def _mark(home: ClientHome, ehr: Ehr, work: Work, bundle: Mapping[str, Any], *, person: str) -> list[str]:
    """Send it. A server that has done it already refuses it, since what was read is not the newest version any more;
    and one whose answer says nothing may have done it: so it is looked at again, and ours is what bears our note. What
    somebody else has marked meanwhile is not answered."""
    try:
        return ehr.write(bundle)
    except Refused as refused:
        if refused.reason is not Reason.EHR_REFUSED:
            raise
        found = _look(home, ehr, work, person=person)
        if not found or not all(map(erroneous, found)):
            raise
    note = bundle["entry"][0]["resource"]["note"][-1]["text"]
    return [place(each) for each in found if note in [said.get("text") for said in elements(each.get("note"))]]


def _sent(home: ClientHome) -> list[Work]:
    folders = home.work.iterdir() if home.work.exists() else iter(())
    return [work for work in map(Work, folders) if work.written is not None]


def _listed(work: Work, bedside: str) -> Written:
    written, taken_back = work.written, work.taken_back
    assert written is not None
    return {
        "request": work.request,
        "definition": work.content["definition"],
        "since": written["since"],
        "bedside": bedside,
        "taken_back": taken_back["why"] if taken_back else "",
        "state": "" if taken_back is None else "done" if taken_back["done"] else "begun",
    }
