"""Who may read a decision now, and by what right; and who sees a matter.

A regulator reads by the role. A legal reviewer reads in a matter of their institution that is open and names the
decision, while a grant of theirs lasts. Every reading, file and production asks here, when it happens.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from concordat import clock
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance import permissions, selectors
from governance.models import Grant, Institution, Matter, MatterDecision, OfficerProfile, PrivilegeMark
from governance.permissions import HOLDERS, Role, Verb
from governance.states import MatterState
from ledger import selectors as ledger
from ledger.dossier import Under
from ledger.models import LogEntry

BY_ROLE, BY_GRANT = Role.REGULATOR, Role.LEGAL_REVIEWER
"""How each of the two that read dossiers comes to that."""


@dataclass(frozen=True)
class Right:
    """The role and the institutions for which somebody reads a decision, and the matter, if it is in one."""

    role: str
    institutions: tuple[Institution, ...]
    matter: Matter | None = None

    @property
    def under(self) -> Under | None:
        return Under(self.matter.institution.slug, self.matter.uuid) if self.matter else None


def check_may_read(by: User, decided: LogEntry, now: datetime, *, matter: str = "") -> Right:
    """By what right this person reads the decision now.

    Args:
        matter: in which to read (its UUID); else by the role, or in the one matter that lets this person.

    Raises:
        Refused: NOT_FOUND for a decision of a study without an institution of theirs; ROLE_MISSING; GRANT_MISSING;
            FIELD_MISSING if several matters let them read it and none is named.
    """
    taking_part = selectors.institutions_in(str(decided.public["study"])).filter(memberships__user=by).distinct()
    if not taking_part:
        raise Refused(Reason.NOT_FOUND, field="record")
    mine = grants(by, now).filter(matter__decisions__index=decided.index, matter__institution__in=taking_part)
    if matter:
        mine = mine.filter(matter__uuid=selectors.as_uuid(matter))
    else:
        watching = tuple(each for each in taking_part if BY_ROLE in permissions.roles_at(by, each))
        if watching:
            return Right(BY_ROLE, watching)
    found = {grant.matter_id: grant.matter for grant in mine}
    if len(found) > 1:
        detail = "You work in several matters that name this decision; open it from the page of one of them."
        raise Refused(Reason.FIELD_MISSING, detail=detail, field="matter")
    for each in found.values():
        return Right(BY_GRANT, (each.institution,), each)
    if not any(BY_GRANT in permissions.roles_at(by, each) for each in taking_part):
        permissions.check_may(by, Verb.READ_DOSSIER, taking_part[0])
    raise Refused(Reason.GRANT_MISSING, detail=_why_not(by, decided, now), field="matter")


def readable(by: User, decisions: Iterable[LogEntry], now: datetime) -> set[int]:
    """Which of these decisions (by their indexes) this person may read now, as :func:`check_may_read` would say."""
    found = {entry.index: str(entry.public["study"]) for entry in decisions}
    watching = Institution.objects.filter(memberships__user=by, memberships__role=BY_ROLE)
    watched = set(selectors.studies_of(watching).filter(slug__in=found.values()).values_list("slug", flat=True))
    named = grants(by, now).filter(matter__decisions__index__in=found)
    granted = set(named.values_list("matter__decisions__index", flat=True))
    return {index for index, study in found.items() if study in watched or index in granted}


def may_read_some(user: User) -> bool:
    """Whether this person has a role that reads dossiers, at any institution of theirs."""
    return user.memberships.filter(role__in=HOLDERS[Verb.READ_DOSSIER]).exists()


def grants(by: User, now: datetime) -> QuerySet[Grant]:
    """The grants that let this person in now: running, in an open matter of an institution at which they are a legal
    reviewer still."""
    at = by.memberships.filter(role=BY_GRANT).values("institution")
    return Grant.objects.filter(
        officer__user=by,
        ended=None,
        starts__lte=now,
        until__gt=now,
        matter__institution__in=at,
        matter__state=MatterState.OPEN,
        matter__ends__gt=now,
    ).select_related("matter__institution")


def managed(by: User) -> QuerySet[Institution]:
    """The institutions whose matters this person opens, and lets others into."""
    return Institution.objects.filter(memberships__user=by, memberships__role__in=HOLDERS[Verb.OPEN_MATTER]).distinct()


def visible(by: User, now: datetime) -> QuerySet[Matter]:
    """The matters whose pages this person sees: those of an institution that they administer, and those they are let
    into."""
    let_in = grants(by, now).values("matter")
    return Matter.objects.filter(Q(institution__in=managed(by)) | Q(pk__in=let_in)).select_related("institution")


def seen(by: User, uuid: object, now: datetime) -> Matter:
    """The matter of this identifier. Raises Refused(NOT_FOUND) for every other as if it was not there."""
    found = visible(by, now).filter(uuid=selectors.as_uuid(uuid)).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="No matter that you can see has this identifier.", field="matter")
    return found


def manages(by: User, matter: Matter) -> bool:
    """Whether this person administers the institution of the matter."""
    return permissions.may(by, Verb.OPEN_MATTER, matter.institution)


def check_works_in(by: User, matter: Matter, now: datetime) -> None:
    """A grant lets this person work in the matter now. Raises Refused: ROLE_MISSING, WRONG_INSTITUTION, WRONG_STATE,
    GRANT_MISSING."""
    permissions.check_may(by, Verb.WORK_IN_MATTER, matter.institution)
    check_open(matter, now)
    if not grants(by, now).filter(matter=matter).exists():
        raise Refused(Reason.GRANT_MISSING, field="matter")


def works_in(by: User, matter: Matter, now: datetime) -> bool:
    """Whether `check_works_in` lets this pass."""
    return grants(by, now).filter(matter=matter).exists()


def check_open(matter: Matter, now: datetime) -> None:
    """Raises Refused(WRONG_STATE)."""
    state = matter.state_at(now)
    if state is not MatterState.OPEN:
        raise Refused(
            Reason.WRONG_STATE, detail=f"The matter is {state}; this is possible while it is open.", field="state"
        )


def marks(matter: Matter) -> QuerySet[PrivilegeMark]:
    """What is marked as privileged in the matter now."""
    return PrivilegeMark.objects.filter(matter=matter, withdrawn=None).select_related("decision", "by")


def decision_of(matter: Matter, index: int) -> MatterDecision:
    """A decision that the matter names. Raises Refused(NOT_FOUND)."""
    found = matter.decisions.filter(index=index).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="The matter does not name this decision.", field="record")
    return found


@dataclass(frozen=True)
class Access:
    """A line of a matter's access log: which entry of the log, what was done, by whom, about which decision."""

    entry: LogEntry
    who: str
    record: str
    what: str


_ACCESS = {Event.MATTER_DOSSIER_READ: "reader", Event.PRODUCTION_MADE: "officer", Event.PRODUCTION_TAKEN: "reader"}


def access_log(matter: Matter) -> Iterator[Access]:
    """Who read what in the matter, the latest first; for whoever sees its page."""
    found = [(entry, _said(entry)) for entry in _entries(matter, *_ACCESS).order_by("-index")]
    readers = {str(said[_ACCESS[Event(entry.event)]]) for entry, said in found if said}
    names = {str(each.uuid): each.name for each in OfficerProfile.objects.filter(uuid__in=readers)}
    for entry, said in found:
        if not said:
            yield Access(entry, "erased", "", "")
            continue
        number, made = said.get("production"), entry.event == Event.PRODUCTION_MADE
        what = f"production {number} {'made' if made else 'taken'}" if number else str(said["form"])
        record = str(said.get("record", "")) or ", ".join(said.get("records", ()))
        yield Access(entry, names.get(str(said[_ACCESS[Event(entry.event)]]), ""), record, what)


def read_in_matters(records: Mapping[str, Any]) -> dict[Institution, set[str]]:
    """The institutions for which dossiers of these decisions (by number) were read or produced in matters."""
    found: dict[Institution, set[str]] = {}
    indexes = [entry.index for entry in records.values()]
    for matter in Matter.objects.filter(decisions__index__in=indexes).select_related("institution").distinct():
        for entry in _entries(matter, Event.MATTER_DOSSIER_READ, Event.PRODUCTION_MADE):
            said = _said(entry)
            read = {str(said.get("record", "")), *said.get("records", ())} & set(records)
            if read:
                found.setdefault(matter.institution, set()).update(read)
    return found


def _entries(matter: Matter, *events: Event) -> QuerySet[LogEntry]:
    return ledger.about(matter.institution.slug, matter.uuid).filter(event__in=events)


def _said(entry: LogEntry) -> Mapping[str, Any]:
    """What an entry of the matter committed to; nothing once the matter's key is destroyed."""
    try:
        return ledger.private_fields(entry)
    except Refused as refused:
        if refused.reason is not Reason.ERASED:
            raise
        return {}


def _why_not(by: User, decided: LogEntry, now: datetime) -> str:
    """What became of a grant that once let this person read the decision; nothing of a matter they were never in."""
    once = Grant.objects.filter(officer__user=by, matter__decisions__index=decided.index).select_related("matter")
    last = once.order_by("-until").first()
    if last is None:
        return ""
    if last.matter.state_at(now) is not MatterState.OPEN:
        return f"The matter in which you read this decision is {last.matter.state_at(now)}."
    if last.starts > now:
        return f"Your grant begins at {clock.rfc3339(last.starts)}."
    return f"Your grant ended at {clock.rfc3339(min(last.ended or last.until, last.until))}."
