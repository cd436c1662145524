"""How a board reviews: which path it takes, and what its members think before they meet."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from concordat import clock
from concordat.determination import Outcome, Path, SubmissionKind
from concordat.events import Event
from concordat.fields import plain, read
from concordat.findings import CATEGORIES, Finding
from concordat.reasons import Reason, Refused
from governance import blindness, permissions, policies, selectors
from governance.models import Opinion, Review
from governance.permissions import Verb
from governance.states import OPEN
from ledger.services.record import record


@transaction.atomic
def route(*, by: User, review: str, path: str, category: str, ground: str) -> Review:
    """Choose the path of a review: the chair or the administrator does, and says why.

    Args:
        review: its UUID.
        category: of the path exempt or expedited; empty for the full board.

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION, ROLE_MISSING, SELF_REVIEW, CONFLICT_OF_INTEREST; WRONG_STATE once the
            board has decided or met; FIELD_INVALID for a path or category that is not open to this submission.
    """
    found = selectors.seen_review(by, review)
    check_route(by, found)
    _check_path(found, path, category)
    if not ground.strip():
        raise Refused(Reason.FIELD_MISSING, detail="Say why.", field="ground")
    found.path, found.category = path, category
    found.save(update_fields=["path", "category"])
    record(
        event=Event.REVIEW_ROUTED,
        public={
            "study": found.submission.study.slug,
            "institution": found.board.slug,
            "submission": str(found.submission.uuid),
            "path": path,
            "category": category,
        },
        private={"officer": str(by.officer.uuid), "ground": ground},
        subject=by.officer.uuid,
    )
    return found


@transaction.atomic
def give_opinion(*, by: User, review: str, recommendation: str, findings: Mapping[str, Any], comment: str) -> Opinion:
    """A reviewer's opinion before the meeting, once. Nobody else reads it until the board takes the item up.

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION, ROLE_MISSING, SELF_REVIEW, CONFLICT_OF_INTEREST; WRONG_STATE, also once
            the full board has read the others'; FIELD_INVALID; CONFLICT for a second one.
    """
    found = selectors.seen_review(by, review)
    check_opine(by, found)
    if recommendation not in frozenset(Outcome) - {Outcome.REFERRED}:
        raise Refused(Reason.FIELD_INVALID, detail="There is no such outcome.", field="recommendation")
    made = read(dict(findings), dict[str, Finding])
    opinion = Opinion.objects.create(
        review=found,
        reviewer=by.officer,
        recommendation=recommendation,
        findings=dict(plain(made)),
        comment=comment,
        given=clock.now(),
    )
    record(
        event=Event.OPINION_GIVEN,
        public={
            "study": found.submission.study.slug,
            "institution": found.board.slug,
            "submission": str(found.submission.uuid),
        },
        private={
            "officer": str(by.officer.uuid),
            "opinion": {"recommendation": recommendation, "findings": dict(plain(made)), "comment": comment},
        },
        subject=by.officer.uuid,
    )
    return opinion


def check_route(by: User, review: Review) -> None:
    """Whether this person could choose the review's path now. Raises Refused as :func:`route` does."""
    check_undecided(by, review, Verb.ROUTE)
    if blindness.taken_up(review):
        raise Refused(Reason.WRONG_STATE, detail="The full board has taken it up already.", field="path")


def check_opine(by: User, review: Review) -> None:
    """Whether this person could give an opinion now. Raises Refused as :func:`give_opinion` does."""
    check_undecided(by, review, Verb.OPINE)
    if blindness.taken_up(review):
        raise Refused(Reason.WRONG_STATE, detail="The full board has taken it up already.", field="review")
    if review.opinions.filter(reviewer__user=by).exists():
        raise Refused(Reason.CONFLICT, detail="You have given your opinion already.", field="review")


def check_undecided(by: User, review: Review, verb: Verb) -> None:
    """Whether this person may do that for a board that has still to decide."""
    permissions.check_may(by, verb, review.board)
    permissions.check_independent(by, review.submission.study)
    check_pending(review, verb)


def check_pending(review: Review, verb: Verb) -> None:
    """Whether the board has still to decide, in a state of the study that lets it. Raises Refused(WRONG_STATE)."""
    policies.check_state(review.submission.study, verb, clock.now())
    if review.submission.state not in OPEN or not review.open:
        raise Refused(Reason.WRONG_STATE, detail=f"{review.board} has decided on this already.", field="review")


def paths(kind: str, *, material: bool) -> dict[Path, list[str]]:
    """The paths that are open to a submission, each with the categories that fit; no category for the full board."""
    allowed = {
        SubmissionKind.INITIAL: (Path.EXEMPT, Path.EXPEDITED, Path.FULL_BOARD),
        SubmissionKind.AMENDMENT: (Path.FULL_BOARD,) if material else (Path.EXPEDITED, Path.FULL_BOARD),
        SubmissionKind.CONTINUING_REVIEW: (Path.EXPEDITED, Path.FULL_BOARD),
        SubmissionKind.REINSTATEMENT: (Path.FULL_BOARD,),
    }[SubmissionKind(kind)]
    expedited = {
        SubmissionKind.AMENDMENT: ["minor-change"],
        SubmissionKind.CONTINUING_REVIEW: ["8", "9"],
    }.get(SubmissionKind(kind), ["5", "7"])
    return {path: expedited if path is Path.EXPEDITED else list(CATEGORIES.get(path, {})) for path in allowed}


def open_paths(review: Review) -> dict[Path, list[str]]:
    """The paths that are open to this review: what was deferred by the full board, or referred to it, is its own to
    decide."""
    if review.outcome:
        return {Path.FULL_BOARD: []}
    return paths(review.submission.kind, material=review.submission.material)


def _check_path(review: Review, path: str, category: str) -> None:
    kind, material = review.submission.kind, review.submission.material
    allowed = {path.value: categories for path, categories in open_paths(review).items()}
    if path not in allowed:
        names = ", ".join(sorted(allowed))
        detail = f"Open to this submission ({kind}{', material' if material else ''}): {names}."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="path")
    categories = allowed[path]
    if (category or "none") not in (categories or ["none"]):
        names = ", ".join(sorted(categories)) or "none"
        raise Refused(Reason.FIELD_INVALID, detail=f"Categories that fit: {names}.", field="category")
