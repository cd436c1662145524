"""What time does by itself: approvals lapse, and people are reminded before something ends.

Nothing rests on the clock being punctual: an approval that is over lets nothing start, ticked or not
(`Study.state_at`). A tick may be killed anywhere and repeated at any time; nobody is told twice.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q

from concordat import clock
from concordat.determination import SubmissionKind
from governance import selectors
from governance.models import Institution, Notification, Study, Submission
from governance.notices import Notice
from governance.permissions import Role
from governance.services import attachments, challenges, incidents, notifications, settling
from governance.states import StudyState

REMINDERS: tuple[Callable[[datetime], None], ...] = (attachments.remind, incidents.remind)
"""What else reminds people at each tick; each tells once, however often it is called."""

DAYS_BEFORE = (7, 30, 60)
"""An approval's end is announced so many days ahead; who comes late is told of the last of them only."""


def tick(now: datetime) -> None:
    """End the approvals whose time is over, each in a transaction of its own, then send the reminders that are due and
    forget the challenges that were not answered."""
    over = Study.objects.filter(state=StudyState.APPROVED, expires__lte=now).order_by("expires", "pk")
    for key in list(over.values_list("pk", flat=True)):
        _lapse(key)
    _remind_of_approvals(now)
    for remind in REMINDERS:
        remind(now)
    challenges.forget(now)


@transaction.atomic
def _lapse(key: int) -> None:
    settling.lapse(Study.objects.select_for_update(no_key=True).get(pk=key))


def _remind_of_approvals(now: datetime) -> None:
    ending = Study.objects.filter(
        state=StudyState.APPROVED, expires__gt=now, expires__lte=now + timedelta(days=max(DAYS_BEFORE))
    )
    wanted = {_key(study, now): study for study in ending.select_related("institution", "in_force")}
    told = Notification.objects.filter(notice=Notice.APPROVAL_ENDS, study__in=wanted.values(), key__in=wanted)
    for key in wanted.keys() - set(told.values_list("key", flat=True)):
        study = wanted[key]
        notifications.tell(
            Notice.APPROVAL_ENDS, to=_concerned(study), study=study, key=key, sentence=_sentence(study, now)
        )


def _key(study: Study, now: datetime) -> str:
    assert study.expires is not None  # it is approved
    stage = next(days for days in DAYS_BEFORE if study.expires <= now + timedelta(days=days))
    return f"approval ends {study.uuid} {clock.rfc3339(study.expires)} {stage}"


def _concerned(study: Study) -> Iterable[User]:
    """The investigators, and the office of the leading institution and of each board that reviews the study."""
    office = (Role.IRB_CHAIR, Role.IRB_ADMINISTRATOR)
    boards = Institution.objects.filter(Q(pk=study.institution_id) | Q(reviews__submission__study=study))
    return User.objects.filter(
        Q(memberships__institution=study.institution, memberships__role=Role.INVESTIGATOR)
        | Q(memberships__institution__in=boards, memberships__role__in=office),
        is_active=True,
    ).distinct()


def _sentence(study: Study, now: datetime) -> str:
    assert study.expires is not None  # it is approved
    days = (study.expires - now).days
    left = "in less than a day" if days == 0 else "in 1 day" if days == 1 else f"in {days} days"
    ends = f"The approval of “{study.title[:100]}” ends on {study.expires:%Y-%m-%d}, {left}"
    return f"{ends}: {how_to_renew(study, selectors.open_submission(study))}"


def how_to_renew(study: Study, pending: Submission | None) -> str:
    """What has to be done so that the approval goes on: the end of a sentence."""
    if pending is not None and pending.kind != SubmissionKind.AMENDMENT:
        return "its boards have a submission before them and must decide until then."
    if study.in_force is not None and clock.parse(study.in_force.content["valid_until"]) == study.expires:
        return "its protocol ends then too. Submit an amended one first, then ask for continuing review."
    return "ask for continuing review."
