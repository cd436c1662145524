"""What left the service about one person, according to the log: read entry by entry, by one table over the events.

Entries about a person are found in three ways: what is private of them is under the person's key; they name one of the
person's requests in the open (`request`); or they name it, or decisions by their numbers (`records`), among what is
private of their own. Those of the third kind are all opened to see whose they are.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from concordat.accounting import UNKNOWN, described
from concordat.events import EVENTS, Event
from concordat.matters import AUTHORITIES
from concordat.reasons import Reason, Refused
from governance.models import Institution, Matter, Membership
from governance.permissions import HOLDERS, Verb
from governance.selectors import institutions_in
from ledger import selectors as ledger
from ledger.models import LogEntry


class Kept(StrEnum):
    """Why nothing has to be accounted for, in words."""

    TO_THE_PERSON = "given to the person, through the institution (45 CFR 164.528(a)(1)(ii))"
    WITHIN = "used within the institution, or for treatment, payment or health care operations (164.528(a)(1)(i))"
    NOTHING_READABLE = "a dossier of which nothing about the person was opened"
    AUTHORISED = "read or produced under the person's own authorization (45 CFR 164.528(a)(1)(iv))"


@dataclass(frozen=True)
class To:
    """Who received something. `key` is what a suspension names: an institution's short name, followed by `/` and the
    role where the institution is the one that accounts, or the ground of a hand-out."""

    key: str
    name: str
    institution: str = ""
    jurisdiction: str = ""


@dataclass(frozen=True)
class Passed:
    """What one entry says was handed out: to whom, which fields, for which purpose."""

    to: To
    fields: tuple[str, ...]
    what: str
    purpose: str


@dataclass(frozen=True)
class Told:
    """An entry with what is private in it, as far as it opens, and the decision that it is about, if there is one."""

    entry: LogEntry
    private: Mapping[str, Any]
    decision: LogEntry | None
    holder: str


@dataclass(frozen=True)
class Left:
    """One thing that left, or why it is none to be accounted for; `decision` is a record number, or empty."""

    entry: LogEntry
    decision: str
    passed: Passed | Kept


Way = Callable[[Told], Collection[Passed | Kept]]

PURPOSES: Mapping[str, str] = {
    "node": "kept by an institution whose node took part in the computation",
    "legal-reviewer": "legal review of the decision, at an institution that takes part in the study",
    "regulator": "oversight of the decision (45 CFR 164.512(d), where the reader is a health oversight agency)",
    "operator": "handed out by the service's operator, who knows to whom and why",
}
"""By the role in which a dossier was read; another role is named as it is."""

OPERATOR = To("operator", "whoever the service's operator gave it to")


def _dossier_read(told: Told) -> Collection[Passed | Kept]:
    role = str(told.entry.public.get("role", ""))
    opened = told.private.get("opened")
    if role == "requester":
        return [Kept.WITHIN]
    if opened == []:
        return [Kept.NOTHING_READABLE]
    fields = tuple(opened or ())
    what = described(fields) if fields else UNKNOWN
    purpose = PURPOSES.get(role, f"read in the role {role}")
    return [Passed(to, fields, what, purpose) for to in _readers(told, role)]


def _handed_out(told: Told) -> Collection[Passed | Kept]:
    if told.entry.public["role"] == "requester":
        return [Kept.WITHIN]
    ground = str(told.entry.public["ground"])
    to = To(ground, f"whoever the service's operator gave it to on the ground “{ground}”")
    return [Passed(to, ("package",), described(["package"]), ground)]


def _read_in_matter(told: Told) -> Collection[Passed | Kept]:
    return _in_matter(told, tuple(told.private.get("opened", ())), "legal-reviewer")


def _produced(told: Told) -> Collection[Passed | Kept]:
    number = told.decision.record_number if told.decision else ""
    return _in_matter(told, tuple(told.private.get("opened", {}).get(number, ())), "party")


def _in_matter(told: Told, fields: tuple[str, ...], to: str) -> Collection[Passed | Kept]:
    """What was read by a legal reviewer in a matter, or produced in it for the party that asked."""
    matter = _matter(told.entry)
    authority = matter.get("authority", {})
    if authority.get("kind") == "authorisation":
        return [Kept.AUTHORISED]
    if not fields:
        return [Kept.NOTHING_READABLE]
    holder = Institution.objects.filter(slug=authority.get("holder", "")).first()
    if not matter or holder is None:
        return [
            Passed(To(to, "somebody in a legal matter whose key was destroyed"), fields, described(fields), UNKNOWN)
        ]
    purpose = f"{matter['purpose']} ({AUTHORITIES[authority['kind']]} of {authority['dated']}, {matter['docket']})"
    name = str(matter["party"]) if to == "party" else f"a legal reviewer whom {holder.name} let into a matter"
    received = To(f"{holder.slug}/{to}", name, holder.slug, holder.jurisdiction)
    return [Passed(received, fields, described(fields), purpose)]


def _matter(entry: LogEntry) -> Mapping[str, Any]:
    """What was told when the entry's matter was opened; nothing once its key is destroyed."""
    matter = Matter.objects.filter(uuid=entry.public["matter"]).select_related("institution").first()
    if matter is None:
        return {}
    return _private(ledger.about(matter.institution.slug, matter.uuid).get(event=Event.MATTER_OPENED))


WAYS: Mapping[Event, Way] = {
    Event.DOSSIER_READ: _dossier_read,
    Event.MATTER_DOSSIER_READ: _read_in_matter,
    Event.PRODUCTION_MADE: _produced,
    Event.RECORD_HANDED_OUT: _handed_out,
    Event.SUBJECT_EXPORTED: lambda _: [Kept.TO_THE_PERSON],
    Event.SUBJECT_ACCOUNTED: lambda _: [Kept.TO_THE_PERSON],
    Event.RESULT_DISPLAYED: lambda _: [Kept.WITHIN],
}
"""How each event by which something leaves is read, for one decision of those that its entry names. Whoever adds such
an event adds it here."""

NOTHING_LEAVES = frozenset(
    {
        Event.CONSENT_GIVEN,
        Event.CONSENT_WITHDRAWN,
        Event.CONSENT_LAPSED,
        Event.VERDICT,
        Event.JOB_RESERVED,  # secret shares: the document says so in a sentence
        Event.JOB_ENDED,
        Event.PREDICTION_RECORDED,
        Event.EXPLANATION_RECORDED,
        Event.AUDIT_RECORDED,  # counts of many; of whom, each institution knows that brought the rows
        Event.TRAINING_RECORDED,
        Event.RESULT_WITHHELD,
        Event.CANARY_FAILED,
        Event.TESTIMONY_MISSING,
        Event.DEPARTURE_FOUND,
        Event.RECORD_SEALED,  # the service keeps the package for the institution, and cannot read it
        Event.LEGAL_HOLD_SET,
        Event.LEGAL_HOLD_LIFTED,
    }
)
"""The other events that are about a person or name a request. With `WAYS` they are all of these."""


def of_subject(institution: str, subject: UUID, since: datetime, until: datetime) -> Iterator[Left]:
    """All that left in the period about a person whom the institution knows under this pseudonym, as the log goes."""
    own = ledger.about(institution, subject).order_by("index")
    requests, decided = set(), {}
    for entry in own:
        if "request" in entry.public:
            requests.add(str(entry.public["request"]))
        if entry.event == Event.PREDICTION_RECORDED:
            decided[str(entry.public["request"])] = entry
    numbers = {entry.record_number: request for request, entry in decided.items()}

    def meant(entry: LogEntry) -> list[str]:
        """The person's requests that the entry names: in the open, among what is private, or by their decisions."""
        private = _private(entry)
        named = {str(entry.public.get("request") or private.get("request") or "")}
        named |= {numbers[number] for number in private.get("records", ()) if number in numbers}
        return sorted(named & requests)

    within = LogEntry.objects.filter(event__in=[event.value for event in WAYS], time__gte=since, time__lt=until)
    sealed = [event.value for event in WAYS if {"request", "records"} & {*EVENTS[event].private}]
    found = {
        entry.index: entry
        for entries in (
            within.filter(pk__in=own.values("pk")),
            within.filter(references__name="request", references__value__in=requests),
            filter(meant, within.filter(event__in=sealed)),
        )
        for entry in entries
    }
    for _, entry in sorted(found.items()):
        for request in meant(entry) or [""]:
            decision = decided.get(request)
            told = Told(entry, _private(entry), decision, institution)
            for passed in WAYS[Event(entry.event)](told):
                yield Left(entry, decision.record_number if decision else "", passed)


def received(entry: LogEntry, decision: LogEntry) -> Collection[Institution]:
    """For which institutions somebody read a dossier of the decision; none where that is not known any more."""
    private = _private(entry)
    named = Institution.objects.filter(slug__in=[private.get("institution") or private.get("reader", "")])
    if named or private.get("institution"):
        return named
    # Before the institution was recorded: a person read for those of the study that let them.
    part = institutions_in(str(decision.public["study"]))
    seats = Membership.objects.filter(role__in=HOLDERS[Verb.READ_DOSSIER]).select_related("user__officer")
    here = {seat.institution_id for seat in seats if str(seat.user.officer.uuid) == private.get("reader")}
    return [each for each in part if each.pk in here]


def _readers(told: Told, role: str) -> list[To]:
    """To whom it went. Somebody whom the institution itself let in may be an outsider, such as a supervisor: rather one
    line too many than one too few."""
    found = received(told.entry, told.decision) if told.decision else []
    if not found:
        return [OPERATOR if role == "operator" else To(role, f"somebody in the role {role}, who has left since")]
    return [
        To(f"{each.slug}/{role}", f"somebody to whom {each.name} gave the role {role}", each.slug, each.jurisdiction)
        if each.slug == told.holder
        else To(each.slug, each.name, each.slug, each.jurisdiction)
        for each in found
    ]


def _private(entry: LogEntry) -> Mapping[str, Any]:
    try:
        return ledger.private_fields(entry)
    except Refused as refused:
        if refused.reason is not Reason.ERASED:
            raise
        return {}
