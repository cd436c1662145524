"""What ends or happens when: approvals, definitions, attachments, delegations, agreements, meetings, incidents."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.contrib.auth.models import User
from django.db.models import Max, Q, QuerySet

from governance import links, selectors
from governance.models import (
    Attachment,
    Definition,
    Delegation,
    Incident,
    Institution,
    Meeting,
    RelianceAgreement,
    Study,
)
from governance.states import IncidentState, MeetingState, StudyState


@dataclass(frozen=True)
class Date:
    """One date: what it is, of which study (or none), and where to read more. `anchor` names its line on the page."""

    at: datetime
    what: str
    study: Study | None
    path: str
    anchor: str = ""

    @property
    def month(self) -> date:
        """The first day of its month, by which pages group."""
        return self.at.date().replace(day=1)


def upcoming(user: User, now: datetime, days: int) -> list[Date]:
    """What lies ahead in so many days for the institutions of this person, in order. A query a kind of date."""
    mine = Institution.objects.filter(memberships__user=user)
    until = now + timedelta(days=days)
    sources = (_approvals, _definitions, _attachments, _delegations, _agreements, _meetings, _incidents)
    return sorted((each for source in sources for each in source(mine, now, until)), key=lambda each: each.at)


_Mine = QuerySet[Institution]


def _running(mine: _Mine) -> QuerySet[Study]:
    ended = (StudyState.DRAFT, StudyState.TERMINATED, StudyState.CLOSED)
    return selectors.visible_studies(mine).exclude(state__in=ended)


def _approvals(mine: _Mine, now: datetime, until: datetime) -> Iterator[Date]:
    for study in _running(mine).filter(expires__gte=now, expires__lte=until):
        assert study.expires is not None  # or it would not have been found
        yield Date(study.expires, "The approval ends.", study, links.of_study(study))


def _definitions(mine: _Mine, now: datetime, until: datetime) -> Iterator[Date]:
    ending = Definition.objects.filter(study__in=_running(mine), valid_until__gte=now, valid_until__lte=until)
    for each in ending.select_related("study"):
        what = f"The definition {each} ends."
        yield Date(each.valid_until, what, each.study, links.of_study(each.study, "definitions"))


def _attachments(mine: _Mine, now: datetime, until: datetime) -> Iterator[Date]:
    last = Attachment.objects.filter(study__in=_running(mine)).values("study", "institution", "kind")
    in_force = Attachment.objects.filter(pk__in=last.annotate(last=Max("pk")).order_by().values("last"))
    ending = in_force.filter(expires__gte=now, expires__lte=until).defer("content")
    for each in ending.select_related("study", "institution"):
        assert each.expires is not None  # or it would not have been found
        what = f"The {each.kind.replace('-', ' ')} of {each.institution or 'the study'} ends."
        yield Date(each.expires, what, each.study, links.of_study(each.study, "attachments"))


def _delegations(mine: _Mine, now: datetime, until: datetime) -> Iterator[Date]:
    ending = Delegation.objects.filter(board__in=mine, ended=None, ends__gte=now, ends__lte=until)
    for each in ending.select_related("board", "delegate", "study"):
        what = f"A delegation at {each.board} ends: {each}."
        yield Date(each.ends, what, each.study, links.of_delegations(each.board), f"delegation-{each.uuid}")


def _agreements(mine: _Mine, now: datetime, until: datetime) -> Iterator[Date]:
    ending = RelianceAgreement.objects.filter(
        Q(relying__in=mine) | Q(reviewing__in=mine), agreed__isnull=False, ended=None, ends__gte=now, ends__lte=until
    )
    for each in ending.select_related("relying", "reviewing"):
        what = f"An agreement ends: {each}{f' for {each.study}' if each.study else ''}."
        yield Date(each.ends, what, None, links.of_agreement(each), f"agreement-{each.uuid}")


def _meetings(mine: _Mine, now: datetime, until: datetime) -> Iterator[Date]:
    called = Meeting.objects.filter(board__in=mine, state=MeetingState.SCHEDULED, at__gte=now, at__lte=until)
    for each in called.select_related("board"):
        what = f"{each.get_kind_display()} meeting of the board of {each.board}, {each.place}."
        yield Date(each.at, what, None, links.of_meeting(each), f"meeting-{each.uuid}")


def _incidents(mine: _Mine, now: datetime, until: datetime) -> Iterator[Date]:
    running = Incident.objects.filter(
        Q(institution__in=mine) | Q(study__institution__in=mine),
        state__in=[IncidentState.REPORTED, IncidentState.ASSESSED],
        due__gte=now,
        due__lte=until,
    )
    for each in running.select_related("study", "institution"):
        what = f"{each.get_kind_display()} at {each.institution}: those who must know are told by now."
        yield Date(each.due, what, each.study, links.of_study(each.study, "incidents"))
