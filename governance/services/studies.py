"""A study's life: submitted to the boards, suspended, closed. `reviews` holds what the boards do."""

from collections.abc import Mapping

from django.contrib.auth.models import User
from django.db import transaction

from concordat import clock, protocol
from concordat.canonical import Json, digest
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance import permissions, policies, selectors
from governance.models import Institution, ProtocolVersion, Review, Study
from governance.permissions import Verb
from governance.states import StudyState, check_transition
from ledger.services.record import record


@transaction.atomic
def submit(*, institution: Institution, content: Mapping[str, Json], by: User | None = None) -> ProtocolVersion:
    """Put a protocol version before the boards of all its sites; a study that is not there yet begins with it.
    Submitting the current version again is no harm. A study that was suspended comes back only with the approval of the
    boards that had reviewed it and of whoever suspended it too: leaving a site out does not leave its board out.

    Args:
        institution: the leading institution, which submits.
        content: the protocol document.
        by: the investigator; none when the institution's own system submits.

    Raises:
        Refused: what :func:`concordat.protocol.check` refuses; WRONG_INSTITUTION or ROLE_MISSING for who may not;
            NOT_FOUND for a site that is not enrolled; EXPIRED for a protocol that has no time left; WRONG_STATE;
            CONFLICT for the content of an earlier version.
    """
    document = protocol.check(content)
    now = clock.now()
    if document["institution"] != institution.slug:
        raise Refused(Reason.WRONG_INSTITUTION, detail="The leading institution submits.", field="institution")
    if by is not None:
        permissions.check_may(by, Verb.SUBMIT, institution)
    if clock.parse(document["valid_until"]) <= now:
        raise Refused(Reason.EXPIRED, detail="The protocol ends before it begins.", field="valid_until")
    sites = selectors.institutions(document["sites"], field="sites")
    study, new = Study.objects.select_for_update().get_or_create(
        slug=document["study"],
        defaults={"title": document["title"], "institution": institution, "created": now},
    )
    if study.institution_id != institution.pk:
        raise Refused(Reason.WRONG_INSTITUTION, detail="Another institution leads this study.", field="study")
    latest = study.versions.first()
    record_digest = digest(content)
    if latest is not None and latest.digest == record_digest and study.state == StudyState.SUBMITTED:
        return latest
    if not new:
        policies.check_state(study, Verb.SUBMIT, now)
    if ProtocolVersion.objects.filter(digest=record_digest).exists():
        raise Refused(Reason.CONFLICT, detail="This very version was submitted before; change it.", field="protocol")
    version = ProtocolVersion.objects.create(
        study=study,
        number=latest.number + 1 if latest else 1,
        digest=record_digest,
        content=dict(content),
        submitted_by=by,
        submitted=now,
    )
    study.sites.set(sites.values())
    if not new:
        study.title = document["title"]
        move(study, StudyState.SUBMITTED)
    boards = {board.pk: board for board in [*(site.board for site in sites.values()), *study.reinstating_boards.all()]}
    Review.objects.bulk_create(Review(version=version, board=board) for board in boards.values())
    record(
        event=Event.STUDY_SUBMITTED,
        public={
            "study": study.slug,
            "institution": institution.slug,
            "boards": sorted(board.slug for board in boards.values()),
        },
        private={"submitter": str(by.officer.uuid)} if by is not None else None,
        subject=by.officer.uuid if by is not None else None,
        documents={"protocol": dict(content)},
    )
    return version


@transaction.atomic
def suspend(*, study: Study, institution: Institution, by: User, ground: str) -> Study:
    """Stop a study at once: nothing starts any more, and what runs is withheld. Any site's officer may.

    Raises:
        Refused: WRONG_INSTITUTION, ROLE_MISSING, WRONG_STATE, or FIELD_MISSING without a ground.
    """
    suspended = _end(study, institution, by, ground, verb=Verb.SUSPEND, to=StudyState.SUSPENDED)
    version = suspended.versions.first()
    reviewers = version.reviews.values_list("board", flat=True) if version else ()
    suspended.reinstating_boards.set({institution.board.pk, *reviewers})
    return suspended


@transaction.atomic
def close(*, study: Study, institution: Institution, by: User, ground: str) -> Study:
    """End a study for good; its leading institution does.

    Raises:
        Refused: WRONG_INSTITUTION, ROLE_MISSING, WRONG_STATE, or FIELD_MISSING without a ground.
    """
    if study.institution_id != institution.pk:
        raise Refused(Reason.WRONG_INSTITUTION, detail="Another institution leads this study.")
    return _end(study, institution, by, ground, verb=Verb.CLOSE, to=StudyState.CLOSED)


def move(study: Study, to: StudyState) -> None:
    """The one writer of `state`. The caller holds the row's lock. Raises Refused(WRONG_STATE)."""
    check_transition(study.state_at(clock.now()), to)
    study.state = to
    study.save()


_ENDED = {StudyState.SUSPENDED: Event.STUDY_SUSPENDED, StudyState.CLOSED: Event.STUDY_CLOSED}


def _end(study: Study, institution: Institution, by: User, ground: str, *, verb: Verb, to: StudyState) -> Study:
    study = Study.objects.select_for_update().get(pk=study.pk)
    permissions.check_may(by, verb, institution)
    permissions.check_takes_part(institution, study)
    policies.check_state(study, verb, clock.now())
    if not ground.strip():
        raise Refused(Reason.FIELD_MISSING, detail="Say why.", field="ground")
    study.epoch += 1
    move(study, to)
    record(
        event=_ENDED[to],
        public={"study": study.slug, "institution": institution.slug, "epoch": study.epoch},
        private={"officer": str(by.officer.uuid), "ground": ground},
        subject=by.officer.uuid,
    )
    return study
