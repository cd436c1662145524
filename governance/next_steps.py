"""What happens next to a study, in a sentence: whom it waits for, and what that will do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from concordat.determination import Outcome, SubmissionKind
from governance.models import Study, Submission
from governance.states import OPEN, StudyState, SubmissionState

_S, _B = StudyState, SubmissionState


@dataclass(frozen=True)
class Situation:
    """Where a study stands. `submission` and `kind` are those of what is before the boards, if anything is; `boards`
    have still to decide, `conditional` boards have conditions to verify."""

    state: StudyState
    submission: SubmissionState | None = None
    kind: SubmissionKind | None = None
    boards: Sequence[str] = ()
    conditional: Sequence[str] = ()
    expires: datetime | None = None


_STUDY: Mapping[StudyState, str] = {
    _S.DRAFT: "An investigator of the leading institution completes the draft and submits it to the boards.",
    _S.SUBMITTED: "The boards of all sites review the protocol.",
    _S.UNDER_REVIEW: "The boards of all sites review the protocol.",
    _S.MODIFICATIONS_REQUIRED: "The investigators change the protocol as the boards ask, and submit it again.",
    _S.DEFERRED: "The board that has deferred the study takes it up again.",
    _S.APPROVED: "Approved definitions may be computed until {expires}; before that the boards review the study again.",
    _S.APPROVED_WITH_CONDITIONS: "Nothing is computed until each condition has been verified.",
    _S.DISAPPROVED: "Nothing is computed. The investigators may change the protocol and submit it again.",
    _S.SUSPENDED: "Nothing is computed. The investigators submit the protocol once more, and its boards decide anew.",
    _S.TERMINATED: "The boards have ended the study for good. Its records stay.",
    _S.EXPIRED: "Nothing is computed. The investigators ask the boards for another period of approval.",
    _S.CLOSED: "The study is over. Its records stay.",
}

_KIND: Mapping[SubmissionKind, str] = {
    SubmissionKind.INITIAL: "first submission",
    SubmissionKind.AMENDMENT: "amendment",
    SubmissionKind.CONTINUING_REVIEW: "continuing review",
    SubmissionKind.REINSTATEMENT: "reinstatement",
}

_SUBMISSION: Mapping[SubmissionState, str] = {
    _B.SUBMITTED: "The {kind} waits for {boards}.",
    _B.UNDER_REVIEW: "The {kind} waits for {boards}.",
    _B.DEFERRED: "The {kind} is deferred: {boards} will take it up again.",
    _B.APPROVED_WITH_CONDITIONS: "The {kind} comes into force once {conditional} has verified the conditions.",
    _B.MODIFICATIONS_REQUIRED: "The {kind} goes back to the investigators, who submit another version.",
    _B.APPROVED: "The {kind} is in force.",
    _B.DISAPPROVED: "The {kind} is disapproved.",
    _B.WITHDRAWN: "The {kind} was withdrawn.",
}


def situation(study: Study, pending: Submission | None, now: datetime) -> Situation:
    """Where this study stands now; `pending` is its open submission, with its reviews."""
    reviews = list(pending.reviews.all()) if pending else []
    return Situation(
        state=study.state_at(now),
        submission=SubmissionState(pending.state) if pending else None,
        kind=SubmissionKind(pending.kind) if pending else None,
        boards=tuple(str(review.board) for review in reviews if review.open),
        conditional=tuple(
            str(review.board)
            for review in reviews
            if review.outcome == Outcome.APPROVED_WITH_CONDITIONS and not review.conditions_met
        ),
        expires=study.expires,
    )


def next_step(at: Situation) -> str:
    """What happens next. A study in force goes on while something is before its boards; so both are said then."""
    words = {
        "kind": _KIND[at.kind] if at.kind else "submission",
        "boards": _board(at.boards),
        "conditional": _board(at.conditional),
        "expires": f"{at.expires:%Y-%m-%d}" if at.expires else "their end",
    }
    study = _STUDY[at.state].format(**words)
    if at.submission is None or at.submission not in OPEN:
        return study
    pending = _SUBMISSION[at.submission].format(**words)
    return pending if at.kind is SubmissionKind.INITIAL else f"{study} {pending}"


def waits_for(at: Situation) -> str:
    """Whom or what a study waits for, in a few words; empty where nobody has anything to do."""
    if at.submission is not None and at.submission in OPEN:
        return f"conditions at {_names(at.conditional)}" if at.conditional and not at.boards else _board(at.boards)
    if at.state in (_S.DRAFT, _S.MODIFICATIONS_REQUIRED, _S.DISAPPROVED, _S.SUSPENDED, _S.EXPIRED):
        return "its investigators"
    return ""


def _board(names: Sequence[str]) -> str:
    return f"the board{'s' if len(names) > 1 else ''} of {_names(names)}" if names else "the boards"


def _names(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
