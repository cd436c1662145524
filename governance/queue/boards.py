"""What waits for a board's people: reviews, conditions of approvals, delegations that end."""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Exists, OuterRef, Q, Subquery
from django.db.models.fields.json import KT

from concordat.determination import Outcome, Path, SubmissionKind
from governance import blindness, links, policies
from governance.models import AgendaItem, Delegation, Determination, Opinion, Review
from governance.permissions import Verb
from governance.queue.tasks import Person, Task
from governance.services.determinations import DELEGABLE, SIGNERS
from governance.states import OPEN, ItemState, MeetingState

_UNDECIDED = ("", Outcome.DEFERRED, Outcome.REFERRED)
_ENDS_SOON = timedelta(days=14)


def reviews(person: Person) -> Iterator[Task]:
    """Reviews to route, to prepare for a meeting, or to decide; and conditions to verify."""
    boards = set(person.at(Verb.DETERMINE))
    if not boards:
        return
    conditional = Q(outcome=Outcome.APPROVED_WITH_CONDITIONS, conditions_met=False)
    items = AgendaItem.objects.filter(review=OuterRef("pk"))
    votes = items.filter(state=ItemState.DECIDED)
    signed = Determination.objects.annotate(minutes=KT("document__minutes")).filter(
        review=OuterRef("review"), minutes=OuterRef("minutes_digest")
    )
    placed = items.filter(
        state__in=[ItemState.WAITING, ItemState.OPEN],
        meeting__state__in=[MeetingState.SCHEDULED, MeetingState.OPEN],
    )
    waiting = (
        Review.objects.filter(Q(outcome__in=_UNDECIDED) | conditional, board__in=boards, submission__state__in=OPEN)
        .exclude(submission__study__in=person.tied)
        .select_related("submission__study", "board")
        .annotate(
            meets=Subquery(placed.order_by("meeting__at").values("meeting__at")[:1]),
            voted=Subquery(votes.filter(~Exists(signed)).order_by("-ended").values("ended")[:1]),
            taken_up=Exists(items.exclude(state__in=blindness.BEFORE)),
            said=Exists(Opinion.objects.filter(review=OuterRef("pk"), reviewer__user=person.user)),
        )
    )
    for review in waiting:
        yield from _conditions(person, review) if review.outcome not in _UNDECIDED else _review(person, review)


def _conditions(person: Person, review: Review) -> Iterator[Task]:
    study, board = review.submission.study, review.board
    own = person.may(Verb.ROUTE, board)
    if policies.state_allows(study, Verb.VERIFY_CONDITIONS, person.now) and (
        own or person.delegated("verify-conditions", board, study)
    ):
        yield person.task(
            "Verify that the conditions of your board's approval are met, and sign.",
            person.because(Verb.ROUTE, board) if own else _delegate(review),
            study=study,
            since=review.determined,
            path=links.of_study(study, "act-verify-conditions"),
        )


def _review(person: Person, review: Review) -> Iterator[Task]:
    study, board, path = review.submission.study, review.board, Path(review.path)
    if not policies.state_allows(study, Verb.DETERMINE, person.now):
        return
    alone = path in (Path.EXEMPT, Path.EXPEDITED)
    voted = path is Path.FULL_BOARD and review.voted is not None  # type: ignore[attr-defined]
    since = review.determined or review.submission.submitted
    until = study.expires if review.submission.kind == SubmissionKind.CONTINUING_REVIEW else None
    if alone or voted:
        own = person.holds(SIGNERS[path], board)
        if own or person.delegated(DELEGABLE.get(path, ""), board, study):
            what = "Sign what the board has voted." if voted else f"Decide alone ({path}), and sign."
            why = person.because(Verb.DETERMINE, board) if own else _delegate(review)
            since = review.voted if voted else since  # type: ignore[attr-defined]
            path_to = links.of_study(study, "act-determine")
            yield person.task(what, why, study=study, since=since, until=until, path=path_to)
    elif review.meets is None:  # type: ignore[attr-defined]
        if person.may(Verb.ROUTE, board):
            yield person.task(
                _route(review),
                person.because(Verb.ROUTE, board),
                study=study,
                since=since,
                until=until,
                path=links.of_meetings() if _meets(review) else links.of_study(study, "act-route"),
            )
    elif person.may(Verb.OPINE, board) and not (review.said or review.taken_up):  # type: ignore[attr-defined]
        yield person.task(
            "Read it and give your opinion before the board meets.",
            person.because(Verb.OPINE, board),
            study=study,
            since=since,
            until=review.meets,  # type: ignore[attr-defined]
            path=links.of_study(study, "act-opine"),
        )


def delegations(person: Person) -> Iterator[Task]:
    """What a chair has delegated and is about to end."""
    ending = Delegation.objects.filter(
        board__in=person.at(Verb.DELEGATE), ended=None, ends__gt=person.now, ends__lte=person.now + _ENDS_SOON
    )
    for each in ending.select_related("board", "delegate", "study"):
        yield person.task(
            f"Delegate anew, if {each.delegate} shall go on ({each.scope}).",
            person.because(Verb.DELEGATE, each.board),
            study=each.study,
            since=each.starts,
            until=each.ends,
            path=links.of_delegations(each.board),
        )


def _meets(review: Review) -> bool:
    """Whether only the convened board can review this: by its kind, or since the board has begun to."""
    submission = review.submission
    if review.outcome or review.taken_up:  # type: ignore[attr-defined]
        return True
    return submission.kind == SubmissionKind.REINSTATEMENT or (
        submission.kind == SubmissionKind.AMENDMENT and submission.material
    )


def _route(review: Review) -> str:
    if _meets(review):
        return "Put it on the agenda of a meeting."
    return "Choose how your board reviews it, or put it on the agenda of a meeting."


def _delegate(review: Review) -> str:
    return f"The chair of {review.board}'s board has delegated this to you."
