"""Decisions that a board made on paper: its letter is scanned, and an officer attests it. Nobody has verified it."""

from typing import Any

from django.contrib.auth.models import User

from concordat import clock, media
from concordat.determination import OUTCOMES, Path
from concordat.protocol import AttachmentKind
from governance import policies, selectors
from governance.admin.parts.attachments import allowed
from governance.models import Review, Study
from governance.permissions import Verb, independent
from governance.states import OPEN, SubmissionState


def paper(study: Study, user: User) -> dict[str, Any]:
    """`papers`: the open reviews for whose board this person may attest a letter, each with its `review` and the
    `scans` that are attached; `attested`: the boards' decisions on paper; `outcomes`, `accept`, `kind` for forms."""
    pending = selectors.open_submission(study)
    attested = Review.objects.filter(submission__study=study, path=Path.PAPER).exclude(outcome="")
    papers = []
    decidable = OPEN - {SubmissionState.APPROVED_WITH_CONDITIONS}
    open_ = policies.state_allows(study, Verb.ATTEST_PAPER, clock.now()) and independent(user, study)
    if pending is not None and pending.state in decidable and open_:
        boards = {each.pk for each in allowed(Verb.ATTEST_PAPER, study, user)}
        reviews = [each for each in pending.reviews.filter(board__in=boards).select_related("board") if each.open]
        scans = study.attachments.filter(kind=AttachmentKind.PAPER_APPROVAL).defer("content").order_by("-pk")
        papers = [
            {"review": review, "scans": [scan for scan in scans if scan.institution_id == review.board_id]}
            for review in reviews
        ]
    return {
        "study": study,
        "papers": papers,
        "attested": attested.select_related("board").prefetch_related("determinations__signature"),
        "outcomes": sorted(OUTCOMES[Path.PAPER]),
        "accept": ",".join(media.TYPES),
        "kind": AttachmentKind.PAPER_APPROVAL.value,
    }
