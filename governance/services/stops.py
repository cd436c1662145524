"""Stopping a study: suspended at once by whoever answers for a site, terminated by a board, closed by its leader."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User

from concordat.canonical import digest
from concordat.determination import SubmissionKind
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance import permissions, policies, selectors
from governance.models import Draft, Institution, Review, Signature, Study
from governance.notices import Notice
from governance.permissions import HOLDERS, Role, Verb
from governance.services import notifications
from governance.services.settling import move, move_submission
from governance.services.signing import Act, Ask, Prepared
from governance.states import StudyState, SubmissionState
from ledger.services.record import record

_EVENTS = {
    StudyState.SUSPENDED: (Event.STUDY_SUSPENDED, "suspension"),
    StudyState.TERMINATED: (Event.STUDY_TERMINATED, "termination"),
    StudyState.CLOSED: (Event.STUDY_CLOSED, "closure"),
}


def _prepare(ask: Ask, verb: Verb, to: StudyState) -> Prepared:
    study = selectors.locked_study(ask.by, str(ask.fields.get("study", "")))
    institution = selectors.institution(str(ask.fields.get("institution", "")))
    check_stop(ask.by, study, institution, verb, ask.moment)
    ground = str(ask.fields.get("ground", ""))
    if not ground.strip():
        raise Refused(Reason.FIELD_MISSING, detail="Say why.", field="ground")
    document = {
        "v": 1,
        "study": study.slug,
        "institution": institution.slug,
        "to": to.value,
        "epoch": study.epoch + 1,
        # The ground may name people, and this document is public: the log keeps the text itself as a commitment.
        "ground": digest(_ground(ask)),
    }
    # What cannot be undone can wait for a listed passkey, or for password and code.
    urgent = to is StudyState.SUSPENDED
    return Prepared(_EVENTS[to][1], document, to.value, institution, frozenset(HOLDERS[verb]), study, urgent=urgent)


def check_stop(by: User, study: Study, institution: Institution, verb: Verb, now: datetime) -> None:
    """Whether this person could suspend, terminate or close the study for the institution now.

    Raises:
        Refused: WRONG_INSTITUTION, ROLE_MISSING; WRONG_STATE.
    """
    permissions.check_may(by, verb, institution)
    if study.institution_id != institution.pk:
        permissions.check_takes_part(institution, study)
    _check_for(study, institution, verb)
    policies.check_state(study, verb, now)


def _check_for(study: Study, institution: Institution, verb: Verb) -> None:
    if verb is Verb.CLOSE and study.institution_id != institution.pk:
        raise Refused(Reason.WRONG_INSTITUTION, detail="Another institution leads this study.", field="institution")
    if verb is Verb.TERMINATE and not Review.objects.filter(submission__study=study, board=institution).exists():
        detail = f"The board of {institution} does not review this study."
        raise Refused(Reason.WRONG_INSTITUTION, detail=detail, field="institution")


def _perform(ask: Ask, prepared: Prepared, signature: Signature, to: StudyState) -> Study:
    study = prepared.study
    assert study is not None  # a stop is about a study
    study.epoch += 1
    if to is not StudyState.SUSPENDED:
        Draft.objects.filter(study=study).delete()
    move(study, to)
    if to is StudyState.SUSPENDED:
        submission = study.submissions.filter(state=SubmissionState.APPROVED).first()
        reviewing = submission.reviews.values_list("board", flat=True) if submission else ()
        own = selectors.board_of(prepared.institution, study.slug, ask.moment)
        study.reinstating_boards.set({own.pk, *reviewing})
    pending = selectors.open_submission(study)
    # What was put up to bring a lapsed study back was not meant to lift this suspension.
    if pending is not None and (to is not StudyState.SUSPENDED or pending.kind == SubmissionKind.REINSTATEMENT):
        move_submission(pending, SubmissionState.WITHDRAWN)
    event, name = _EVENTS[to]
    record(
        event=event,
        public={
            "study": study.slug,
            "institution": prepared.institution.slug,
            "epoch": study.epoch,
            "method": signature.method,
        },
        private={"officer": str(signature.officer.uuid), "ground": _ground(ask)},
        subject=signature.officer.uuid,
        documents={name: dict(prepared.document), "signature": signature.evidence},
    )
    for institution in selectors.institutions_in(study.slug):
        notifications.tell(
            Notice.STUDY_STOPPED,
            to=notifications.holders(
                institution, Role.IRB_CHAIR, Role.IRB_ADMINISTRATOR, Role.INSTITUTION_ADMIN, Role.INVESTIGATOR
            ),
            study=study,
            key=f"stopped {study.uuid} {study.epoch}",
            sentence=f"“{study.title}” is {to}, by an officer of {prepared.institution}.",
        )
    return study


def _ground(ask: Ask) -> Mapping[str, Any]:
    return {"ground": str(ask.fields["ground"]), "salt": str(ask.identifier)}


def _act(verb: Verb, to: StudyState) -> Act:
    return Act(
        verb.value,
        verb,
        lambda ask: _prepare(ask, verb, to),
        lambda ask, prepared, signature: _perform(ask, prepared, signature, to),
    )


SUSPEND = _act(Verb.SUSPEND, StudyState.SUSPENDED)
TERMINATE = _act(Verb.TERMINATE, StudyState.TERMINATED)
CLOSE = _act(Verb.CLOSE, StudyState.CLOSED)
