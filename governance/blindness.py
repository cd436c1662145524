"""Who reads which opinion, and when: reviewers think for themselves before the board meets."""

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from governance import permissions
from governance.models import Opinion, Review
from governance.permissions import Verb
from governance.states import ItemState

BEFORE = (ItemState.WAITING, ItemState.TAKEN_OFF)
"""The states of an item about which nothing has been said yet."""


def taken_up(review: Review) -> bool:
    """Whether the convened board has begun to talk about it; from then on no opinion is a first one."""
    return review.items.exclude(state__in=BEFORE).exists()


def opinions_visible(to: User, review: Review) -> QuerySet[Opinion]:
    """The opinions on a review that this person may read: their own; and once the board has taken it up or decided,
    those of all, if they may look into this board and have no stake in the study. Nobody of another institution reads
    any. Before that, even the chair knows only how many there are (`review.opinions.count()`)."""
    which = Q(reviewer__user=to)
    blind = review.determined is None and not taken_up(review)
    if not blind and permissions.independent(to, review.submission.study):
        which = Q()
    if not permissions.may(to, Verb.READ_BOARD, review.board):
        return Opinion.objects.none()
    return review.opinions.filter(which).select_related("reviewer")
