"""An approved study in the database, for tests that are about something else: nobody has really signed."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from uuid import uuid4

from django.contrib.auth.models import User

from concordat import clock
from concordat.canonical import digest
from governance.models import (
    Determination,
    Institution,
    OfficerProfile,
    ProtocolVersion,
    RelianceAgreement,
    Review,
    Signature,
    Study,
    Submission,
)
from tests.support.triggers import without_rules


def approve(
    study: Study,
    *,
    boards: Mapping[Institution, Iterable[Institution]] | None = None,
    state: str = "approved",
    expires: datetime | None = None,
) -> Study:
    """Put the study's last version in force, as if every board had signed.

    Args:
        boards: who reviews for which sites, where nothing was submitted; by reliance where it is another.
        state: to which the study has come since.
    """
    version, expires = study.versions.first(), expires or clock.now() + timedelta(days=300)
    assert version is not None
    with ExitStack() as rules:
        for table in (Determination, Review, Submission, Study):
            rules.enter_context(without_rules(table))
        submission = study.submissions.first() or _submit(study, version, boards or {})
        for review in submission.reviews.all():
            _decide(study, submission, review, expires)
        Submission.objects.filter(pk=submission.pk).update(state="approved", settled=clock.now())
        Study.objects.filter(pk=study.pk).update(state=state, in_force=version, expires=expires)
    study.refresh_from_db()
    return study


def rely(relying: Institution, reviewing: Institution) -> RelianceAgreement:
    """An agreement in force that nobody has really signed."""
    document, now = {"agreement": str(uuid4())}, clock.now()
    return RelianceAgreement.objects.create(
        relying=relying,
        reviewing=reviewing,
        starts=now,
        ends=now + timedelta(days=400),
        document=document,
        digest=digest(document),
        agreed=now,
    )


def _submit(study: Study, version: ProtocolVersion, boards: Mapping[Institution, Iterable[Institution]]) -> Submission:
    submission = Submission.objects.create(
        study=study, version=version, kind="initial", material=True, submitted=clock.now()
    )
    for board, sites in boards.items():
        Review.objects.create(submission=submission, board=board, path="expedited", category="5").sites.set(sites)
    return submission


def _decide(study: Study, submission: Submission, review: Review, expires: datetime) -> None:
    now, name = clock.now(), f"Chair of {review.board}"
    document = {
        "board": review.board.slug,
        "submission": str(submission.uuid),
        "path": review.path,
        "outcome": "approved",
        "expires": clock.rfc3339(expires),
        "findings": {},
        "conditions": [],
        "reasons": "",
    }
    user = User.objects.get_or_create(username=f"chair-of-{review.board.slug}")[0]
    signature = Signature.objects.create(
        officer=OfficerProfile.objects.get_or_create(user=user, defaults={"name": name})[0],
        institution=review.board,
        study=study,
        printed_name=name,
        role="irb-chair",
        meaning="approved",
        record_kind="determination",
        record=digest(document),
        document=document,
        signed=now,
        method="passkey",
        statement={},
        assertion={"signature": "none"},
    )
    Determination.objects.create(
        review=review, signature=signature, outcome="approved", digest=signature.record, document=document, made=now
    )
    Review.objects.filter(pk=review.pk).update(outcome="approved", determined=now)
