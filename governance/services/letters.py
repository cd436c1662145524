"""Who gets a determination letter; that it was read is recorded."""

from django.contrib.auth.models import User
from django.db import transaction

from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance import letters, selectors
from governance.models import Determination, Institution
from ledger.services.record import record


@transaction.atomic
def hand_out(*, by: User, determination: int) -> bytes:
    """The letter, as a PDF, for whoever sees the study. Raises Refused(NOT_FOUND)."""
    mine = Institution.objects.filter(memberships__user=by).distinct()
    related = Determination.objects.select_related(
        "signature", "review__board", "review__submission__version", "review__submission__study__institution"
    )
    found = related.filter(pk=determination, review__submission__study__in=selectors.visible_studies(mine)).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="No letter that you can read has this number.", field="determination")
    record(
        event=Event.RECORD_READ,
        public={
            "page": "determination-letter",
            "study": found.review.submission.study.slug,
            "institution": found.review.board.slug,
        },
        private={"reader": str(by.officer.uuid)},
        subject=by.officer.uuid,
    )
    return letters.render(found)
