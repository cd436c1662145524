"""What the boards have decided together, and what that does to the study. Every change of a state is made here."""

from collections.abc import Iterable

from concordat import clock
from concordat.determination import Outcome, SubmissionKind
from concordat.events import Event
from governance.models import Determination, Institution, Review, Study, Submission
from governance.notices import Notice
from governance.permissions import Role
from governance.services import notifications
from governance.states import OPEN, STUDY, SUBMISSION, StudyState, SubmissionState, check_transition
from ledger.services.record import record

_S, _B = StudyState, SubmissionState


def move(study: Study, to: StudyState) -> None:
    """The one writer of a study's state. The caller holds the row's lock. Raises Refused(WRONG_STATE)."""
    check_transition(STUDY, study.state_at(clock.now()), to, what="A study")
    study.state = to
    study.save()


def move_submission(submission: Submission, to: SubmissionState) -> None:
    """The one writer of a submission's state. The caller holds the study's lock. Raises Refused(WRONG_STATE)."""
    check_transition(SUBMISSION, SubmissionState(submission.state), to, what="A submission")
    submission.state = to
    submission.settled = None if to is _B.UNDER_REVIEW else clock.now()
    submission.save(update_fields=["state", "settled"])


def settle(submission: Submission) -> None:
    """Move submission and study on, after a board has decided or a condition was met. The caller holds the study's
    lock. One board that refuses is enough, and all must approve."""
    study = submission.study
    before, after = SubmissionState(submission.state), _joint(submission.reviews.all())
    _mark_done(submission, after)
    if after is before:
        return
    move_submission(submission, after)
    if submission.kind == SubmissionKind.INITIAL and after is not _B.APPROVED:
        move(study, StudyState(after))
    if after is _B.APPROVED:
        _approve(study, submission)
    elif after in (_B.DISAPPROVED, _B.MODIFICATIONS_REQUIRED):
        reset_sites(study)
    if after is not _B.UNDER_REVIEW:
        record(
            event=Event.SUBMISSION_SETTLED,
            public={
                "study": study.slug,
                "submission": str(submission.uuid),
                "kind": submission.kind,
                "state": after,
                "epoch": study.epoch,
            },
        )
        _tell(submission, after)


def lapse(study: Study) -> None:
    """An approval whose time is over ends for good: the study is expired until its boards approve it again. The caller
    holds the study's lock; a study that has not lapsed is left alone."""
    now = clock.now()
    if study.state != _S.APPROVED or not study.lapsed(now):
        return
    assert study.expires is not None  # or it could not lapse
    study.epoch += 1
    study.state = _S.EXPIRED
    study.save(update_fields=["epoch", "state"])
    record(
        event=Event.STUDY_EXPIRED,
        public={"study": study.slug, "epoch": study.epoch, "expired": clock.rfc3339(study.expires)},
    )
    for institution in Institution.objects.filter(
        pk__in=[study.institution_id, *study.sites.values_list("pk", flat=True)]
    ):
        notifications.tell(
            Notice.APPROVAL_LAPSED,
            to=notifications.holders(
                institution, Role.INVESTIGATOR, Role.IRB_CHAIR, Role.IRB_ADMINISTRATOR, Role.INSTITUTION_ADMIN
            ),
            study=study,
            key=f"lapsed {study.uuid} {clock.rfc3339(study.expires)}",
            sentence=f"The approval of “{study.title}” has lapsed: nothing is computed under it any more.",
        )


def reset_sites(study: Study) -> None:
    """The sites of the version in force: those that only a submission named are gone with it."""
    if study.in_force is not None:
        study.sites.set(Institution.objects.filter(slug__in=study.in_force.content["sites"]))


def _joint(reviews: Iterable[Review]) -> SubmissionState:
    reviews = list(reviews)
    outcomes = {review.outcome for review in reviews}
    for refusing in (Outcome.DISAPPROVED, Outcome.MODIFICATIONS_REQUIRED, Outcome.DEFERRED):
        if refusing in outcomes:
            return SubmissionState(refusing)
    if all(review.lets_pass for review in reviews):
        return _B.APPROVED
    if outcomes <= {Outcome.APPROVED, Outcome.APPROVED_WITH_CONDITIONS}:
        return _B.APPROVED_WITH_CONDITIONS
    return _B.UNDER_REVIEW


def _approve(study: Study, submission: Submission) -> None:
    """The version is in force until the first of the boards' approvals ends. What rested on an earlier base ends now;
    a suspended study comes back by a reinstatement only."""
    lapse(study)
    version = submission.version
    ends = Determination.objects.filter(review__submission=submission).order_by("review", "-pk")
    last = {each.review_id: each for each in reversed(ends)}
    expires = min(clock.parse(each.document["expires"]) for each in last.values())
    if study.in_force is not None and study.in_force.base != version.base:
        study.epoch += 1
    if submission.kind != SubmissionKind.AMENDMENT or study.expires is None or expires < study.expires:
        study.expires = expires  # an amendment prolongs nothing, and may end sooner
    study.in_force = version
    study.title = version.content["title"][:200]
    reset_sites(study)
    state = study.state_at(clock.now())
    back = submission.kind != SubmissionKind.AMENDMENT and not (
        state is _S.SUSPENDED and submission.kind != SubmissionKind.REINSTATEMENT
    )
    if back and state is not _S.APPROVED:
        move(study, _S.APPROVED)
        study.reinstating_boards.clear()
    study.save()
    assert study.expires is not None
    record(
        event=Event.STUDY_APPROVED,
        public={
            "study": study.slug,
            "submission": str(submission.uuid),
            "kind": submission.kind,
            "expires": clock.rfc3339(study.expires),
            "base": version.base,
        },
        documents={"protocol": version.content},
    )


def _mark_done(submission: Submission, state: SubmissionState) -> None:
    """Boards that have decided, or need not any more, have nothing left to do, nor have the sites that rely on them."""
    for review in submission.reviews.all():
        if state not in OPEN or not review.open:
            notifications.mark_done(f"review {review.uuid}", f"local context {review.uuid}")
        if review.conditions_met:
            notifications.mark_done(f"conditions {review.uuid} {review.determined}")


def _tell(submission: Submission, state: SubmissionState) -> None:
    study = submission.study
    notifications.tell(
        Notice.SUBMISSION_SETTLED,
        to=notifications.holders(study.institution, Role.INVESTIGATOR),
        study=study,
        key=f"settled {submission.uuid} {state} {clock.rfc3339(clock.now())}",
        sentence=f"“{study.title}” ({submission.kind}) is {state}.",
    )
    if state is _B.APPROVED_WITH_CONDITIONS:
        for review in submission.reviews.filter(outcome=Outcome.APPROVED_WITH_CONDITIONS, conditions_met=False):
            notifications.tell(
                Notice.CONDITIONS_OPEN,
                to=notifications.holders(review.board, Role.IRB_CHAIR, Role.IRB_ADMINISTRATOR),
                study=study,
                key=f"conditions {review.uuid} {review.determined}",
                sentence=f"Your board approved “{study.title}” with conditions, which are to be verified.",
            )
