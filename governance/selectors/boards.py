"""Boards: their reviews and meetings, whom they review for, and who acts for whom."""

from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import User
from django.db.models import F, Q, QuerySet

from concordat.reasons import Reason, Refused
from governance.models import (
    AgendaItem,
    Delegation,
    Institution,
    Meeting,
    RelianceAgreement,
    Review,
    Study,
)
from governance.permissions import HOLDERS, Verb
from governance.selectors.people import as_uuid
from governance.selectors.studies import locked_study
from governance.states import ItemState


def boards_read_by(by: User) -> QuerySet[Institution]:
    """The institutions whose boards let this person read what they do."""
    return Institution.objects.filter(memberships__user=by, memberships__role__in=HOLDERS[Verb.READ_BOARD]).distinct()


def board_read_by(by: User, slug: str) -> Institution:
    """A board into which this person may look. Raises Refused(NOT_FOUND)."""
    found = boards_read_by(by).filter(slug=slug).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="No board that you can see has this name.", field="board")
    return found


def seen_review(by: User, uuid: str) -> Review:
    """A review of a study that this person sees; the study is locked. Raises Refused(NOT_FOUND)."""
    found = Review.objects.select_related("submission__study").filter(uuid=as_uuid(uuid)).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="No review that you can see has this identifier.", field="review")
    locked_study(by, str(found.submission.study.uuid))
    return Review.objects.select_related("submission__study__in_force", "submission__version", "board").get(pk=found.pk)


def seen_meeting(by: User, uuid: object) -> Meeting:
    """A meeting of a board into which this person may look. Raises Refused(NOT_FOUND)."""
    found = Meeting.objects.select_related("board").filter(uuid=as_uuid(uuid), board__in=boards_read_by(by)).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="No meeting that you can see has this identifier.", field="meeting")
    return found


def seen_item(by: User, uuid: object) -> AgendaItem:
    """An item of a meeting of a board into which this person may look. Raises Refused(NOT_FOUND)."""
    items = AgendaItem.objects.select_related("meeting__board", "review__board", "review__submission__study")
    found = items.filter(uuid=as_uuid(uuid), meeting__board__in=boards_read_by(by)).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="No item that you can see has this identifier.", field="item")
    return found


def vote_to_sign(review: Review) -> AgendaItem | None:
    """What the convened board has voted and nobody has signed yet."""
    item = review.items.filter(state=ItemState.DECIDED).order_by("-ended", "-pk").first()
    if item is None or review.determinations.filter(document__minutes=item.minutes_digest).exists():
        return None
    return item


def reliances(sites: Iterable[Institution], study: str, now: datetime) -> dict[Institution, RelianceAgreement]:
    """The agreements under which other boards review for these sites, in one query; one for this very study goes
    first, and then the latest."""
    in_force = RelianceAgreement.objects.filter(
        relying__in=sites, study__in=["", study], agreed__isnull=False, ended=None, starts__lte=now, ends__gt=now
    )
    return {each.relying: each for each in in_force.select_related("relying", "reviewing").order_by("study", "agreed")}


def reliance(site: Institution, study: str, now: datetime) -> RelianceAgreement | None:
    """The agreement under which another board reviews for this site."""
    return reliances([site], study, now).get(site)


def board_of(site: Institution, study: str, now: datetime) -> Institution:
    """The institution whose board reviews for this site: its own, unless it relies on another."""
    agreement = reliance(site, study, now)
    return agreement.reviewing if agreement else site


def delegation(by: User, board: Institution, scope: str, study: Study | None, now: datetime) -> Delegation | None:
    """The delegation in force by which this person does what is the chair's; one for this study goes first, and without
    a study only one for all of them counts."""
    in_force = Delegation.objects.filter(
        Q(study=None) | Q(study=study), delegate__user=by, board=board, scope=scope, ended=None
    )
    return in_force.filter(starts__lte=now, ends__gt=now).order_by(F("study").asc(nulls_last=True)).first()
