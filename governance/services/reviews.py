"""What the boards decide. A study is approved when every board that reviews for one of its sites has approved."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from concordat import clock
from concordat.events import Event
from governance.models import ProtocolVersion, Review, Signature, Study
from governance.services import signing
from governance.services.studies import move
from governance.states import StudyState
from ledger.services.record import record

Determination = Review.Determination


@transaction.atomic
def determine(*, by: User, study: Study, nonce: str, assertion: Mapping[str, Any]) -> Review:
    """Carry out what an officer has signed. The signature says which determination it is, and of which version.

    Args:
        nonce: of the challenge that :func:`governance.services.signing.challenge` gave.
        assertion: the passkey's answer to it.

    Raises:
        Refused: what :func:`governance.services.signing.accept` refuses.
    """
    signature = signing.accept(by=by, study=study, nonce=nonce, assertion=assertion)
    review = signature.review
    review.determination = signature.meaning
    review.determined = clock.now()
    review.save()
    record(
        event=Event.REVIEW_SIGNED,
        public={
            "study": study.slug,
            "institution": review.board.slug,
            "determination": review.determination,
        },
        private={"officer": str(signature.officer.uuid)},
        subject=signature.officer.uuid,
        documents={"protocol": review.version.content, "signature": _document(signature)},
    )
    _settle(study, review.version)
    return review


def _settle(study: Study, version: ProtocolVersion) -> None:
    """Move the study on: one board that refuses is enough, and all must approve."""
    study = Study.objects.select_for_update().get(pk=study.pk)
    given = set(version.reviews.values_list("determination", flat=True))
    if Determination.DISAPPROVED in given:
        move(study, StudyState.DISAPPROVED)
    elif Determination.MODIFICATIONS_REQUIRED in given:
        move(study, StudyState.MODIFICATIONS_REQUIRED)
    elif given == {Determination.APPROVED}:
        study.expires = clock.parse(version.content["valid_until"])
        move(study, StudyState.APPROVED)
        study.reinstating_boards.clear()
        record(
            event=Event.STUDY_APPROVED,
            public={"study": study.slug, "expires": version.content["valid_until"]},
            documents={"protocol": version.content},
        )
    elif study.state == StudyState.SUBMITTED:
        move(study, StudyState.UNDER_REVIEW)


def _document(signature: Signature) -> dict[str, Any]:
    return {"statement": signature.statement, "assertion": signature.assertion}
