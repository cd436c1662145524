"""A task, and the person for whom it waits."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property

from django.contrib.auth.models import User
from django.db.models import QuerySet

from governance import permissions
from governance.models import Delegation, Institution, Membership, Study
from governance.permissions import HOLDERS, Role, Verb


class Urgency(StrEnum):
    """By how much time is left; the most urgent first."""

    OVERDUE = "overdue"
    TODAY = "today"
    SOON = "soon"
    LATER = "later"


@dataclass(frozen=True)
class Task:
    """One thing that waits. `since` and `until` are None where nothing says when it began, or must be done."""

    study: Study | None
    what: str
    why_me: str
    since: datetime | None
    until: datetime | None
    path: str
    urgency: Urgency


@dataclass(frozen=True)
class Person:
    """Somebody with all their roles, read once."""

    user: User
    now: datetime
    roles: Mapping[int, frozenset[str]]
    institutions: Mapping[int, Institution]

    @classmethod
    def of(cls, user: User, now: datetime) -> "Person":
        roles: dict[int, frozenset[str]] = {}
        institutions: dict[int, Institution] = {}
        for each in Membership.objects.filter(user=user).select_related("institution"):
            institutions[each.institution_id] = each.institution
            roles[each.institution_id] = roles.get(each.institution_id, frozenset()) | {each.role}
        return cls(user, now, roles, institutions)

    def at(self, verb: Verb) -> list[int]:
        """The institutions at which this person's role lets them do that."""
        return [key for key, roles in self.roles.items() if roles & HOLDERS[verb]]

    def may(self, verb: Verb, institution: Institution) -> bool:
        """Whether their role lets them do that there."""
        return institution.pk in self.at(verb)

    def holds(self, roles: Collection[str], institution: Institution) -> bool:
        """Whether they hold one of these roles there."""
        return bool(self.roles.get(institution.pk, frozenset()).intersection(roles))

    @property
    def tied(self) -> QuerySet[Study]:
        """The studies on which they do not decide."""
        return permissions.tied(self.user).values("pk")

    @cached_property
    def _delegations(self) -> list[Delegation]:
        in_force = Delegation.objects.filter(delegate__user=self.user, ended=None, starts__lte=self.now)
        return list(in_force.filter(ends__gt=self.now))

    def delegated(self, scope: str, board: Institution, study: Study) -> bool:
        """Whether the chair's delegation lets them do what is the chair's. As `selectors.delegation` says."""
        return self.holds([Role.IRB_MEMBER], board) and any(
            each.scope == scope and each.board_id == board.pk and each.study_id in (None, study.pk)
            for each in self._delegations
        )

    def because(self, verb: Verb, institution: Institution) -> str:
        """The role that lets them do that, in a sentence."""
        held = self.roles[institution.pk] & HOLDERS[verb]
        names = " and ".join(sorted(Role(role).label for role in held))
        return f"You are {names} at {institution}."

    def task(
        self,
        what: str,
        why_me: str,
        *,
        path: str,
        study: Study | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Task:
        return Task(study, what, why_me, since, until, path, urgency(until, self.now))


def urgency(until: datetime | None, now: datetime) -> Urgency:
    """How urgent it is to be done by then."""
    if until is None or until > now + timedelta(days=7):
        return Urgency.LATER
    if until > now + timedelta(days=1):
        return Urgency.SOON
    return Urgency.TODAY if until >= now else Urgency.OVERDUE
