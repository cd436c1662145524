"""What each board has made of each submission: for which sites, on which path, who has signed what, and who has not."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User

from concordat import findings
from concordat.determination import Path, SubmissionKind
from concordat.findings import Criterion
from governance import blindness, words
from governance.models import Determination, LocalContext, Opinion, Review, Study, Submission

_CRITERIA: Mapping[str, Criterion] = {
    **findings.APPROVAL,
    **findings.EXPEDITED,
    **findings.EXEMPT,
    **findings.WAIVER,
}


@dataclass(frozen=True)
class Decision:
    """A determination, with the check of its conditions, if there was one."""

    determination: Determination
    findings: list[dict[str, str]]
    conditions: list[str]
    reasons: str

    @property
    def checked(self) -> Any:
        """The check of its conditions, or None."""
        return getattr(self.determination, "conditions_check", None)


@dataclass(frozen=True)
class Site:
    """A site for which a board reviews; one that is not the board's own relies on it, and files its local context."""

    institution: Any
    relies: bool
    context: LocalContext | None


@dataclass(frozen=True)
class Board:
    """One board's review."""

    review: Review
    path: str
    category: str
    sites: list[Site]
    decisions: list[Decision] = field(default_factory=list)
    opinions: list[Opinion] = field(default_factory=list)
    hidden_opinions: int = 0


@dataclass(frozen=True)
class Submitted:
    """One submission, with its boards."""

    submission: Submission
    kind: str
    boards: list[Board]


def submissions(study: Study, user: User) -> list[Submitted]:
    """All submissions, the latest first."""
    found = study.submissions.select_related("version").prefetch_related(
        "reviews__board",
        "reviews__sites",
        "reviews__determinations__signature__institution",
        "reviews__determinations__conditions_check__signature__institution",
        "reviews__opinions",
    )
    contexts: dict[tuple[int, int, str], LocalContext] = {}
    for context in study.local_contexts.select_related("signature__institution"):  # the last one counts and comes first
        contexts.setdefault((context.site_id, context.board_id, context.base), context)
    return [
        Submitted(
            each,
            words.SUBMISSIONS[SubmissionKind(each.kind)],
            [_board(review, each, contexts, user) for review in each.reviews.all()],
        )
        for each in found
    ]


def conflicts(study: Study, institutions: Collection[Any]) -> Iterable[Any]:
    """Who is out, for the eyes of the board's own institution."""
    return study.conflicts.filter(withdrawn=None, board__in=institutions).select_related("officer", "board")


def _board(
    review: Review, submission: Submission, contexts: Mapping[tuple[int, int, str], LocalContext], user: User
) -> Board:
    base = submission.version.base
    return Board(
        review,
        words.PATHS[Path(review.path)],
        findings.CATEGORIES.get(review.path, {}).get(review.category, ""),
        [
            Site(site, site != review.board, contexts.get((site.pk, review.board_id, base)))
            for site in review.sites.all()
        ],
        [_decision(each) for each in review.determinations.all()],
        *_opinions(review, user),
    )


def _opinions(review: Review, user: User) -> tuple[list[Opinion], int]:
    """What this person may read of what reviewers think, and how many opinions they may not read yet."""
    given = len(review.opinions.all())
    shown = list(blindness.opinions_visible(user, review)) if given else []
    return shown, given - len(shown)


def _decision(determination: Determination) -> Decision:
    document = determination.document
    return Decision(
        determination,
        [
            {
                "question": _CRITERIA[name].question if name in _CRITERIA else name,
                "source": _CRITERIA[name].source if name in _CRITERIA else "",
                "answer": words.FINDINGS[made["answer"]],
                "note": made["note"],
            }
            for name, made in document["findings"].items()
        ],
        document["conditions"],
        document["reasons"],
    )
