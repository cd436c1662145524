"""Grants: an administrator lets a legal reviewer into a matter, for some time; nobody lets themself in."""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from concordat import clock
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance import links, matters, permissions, selectors
from governance.models import Grant, Institution, Matter, OfficerProfile
from governance.notices import Notice
from governance.permissions import HOLDERS, Verb
from governance.services import challenges, notifications
from governance.services.matters import lock, log


@transaction.atomic
def give(*, by: User, matter: Matter, reviewer: str, until: datetime) -> Grant:
    """Let a legal reviewer of the institution (by the officer's UUID) read the decisions that the matter names, mark
    privilege and make productions, for the matter's purpose, from now on.

    Raises:
        Refused: NOT_FOUND, WRONG_INSTITUTION, ROLE_MISSING, WRONG_STATE; SELF_GRANT for oneself; NOT_FOUND for who is
            no legal reviewer there; FIELD_INVALID for an end that has passed or is after the matter's.
    """
    matter = lock(by, matter)
    permissions.check_may(by, Verb.OPEN_MATTER, matter.institution)
    now = clock.now()
    matters.check_open(matter, now)
    giver = challenges.officer_of(by)
    officer = reviewers(matter.institution).filter(uuid=selectors.as_uuid(reviewer)).first()
    if officer is None:
        detail = "Only a legal reviewer of the institution is let into its matters."
        raise Refused(Reason.NOT_FOUND, detail=detail, field="reviewer")
    if officer == giver:
        raise Refused(Reason.SELF_GRANT, field="reviewer")
    if not now < until <= matter.ends:
        detail = f"A grant ends in the future, and not after the matter ({clock.rfc3339(matter.ends)})."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="until")
    grant = Grant.objects.create(matter=matter, officer=officer, starts=now, until=until, given_by=giver)
    said = {"grant": str(grant.uuid), "reviewer": str(officer.uuid)}
    log(Event.GRANT_GIVEN, matter, by, {**said, "starts": clock.rfc3339(now), "until": clock.rfc3339(until)})
    notifications.tell(
        Notice.GRANT_GIVEN,
        to=[officer.user],
        study=None,
        key=f"grant {grant.uuid}",
        sentence=f"You were let into a legal matter of {matter.institution.slug}, until {until:%Y-%m-%d %H:%M} UTC.",
        path=links.of_matter(matter),
    )
    return grant


@transaction.atomic
def end(*, by: User, grant: str) -> Grant:
    """End a grant before its time, at once. It can be done in a closed matter, too.

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION, ROLE_MISSING; WRONG_STATE if it has ended.
    """
    found = Grant.objects.filter(uuid=selectors.as_uuid(grant)).select_related("matter").first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, field="grant")
    matter = lock(by, found.matter)
    permissions.check_may(by, Verb.OPEN_MATTER, matter.institution)
    found = Grant.objects.select_related("officer").get(pk=found.pk)
    now = clock.now()
    if not found.live_at(now):
        raise Refused(Reason.WRONG_STATE, detail="This grant has ended before.", field="grant")
    found.ended, found.ended_by = now, challenges.officer_of(by)
    found.save(update_fields=["ended", "ended_by"])
    log(Event.GRANT_ENDED, matter, by, {"grant": str(found.uuid), "reviewer": str(found.officer.uuid)})
    return found


def reviewers(institution: Institution) -> QuerySet[OfficerProfile]:
    """Who can be let into the institution's matters."""
    held = {"user__memberships__institution": institution, "user__memberships__role__in": HOLDERS[Verb.WORK_IN_MATTER]}
    return OfficerProfile.objects.filter(user__is_active=True, **held).distinct().order_by("name")
