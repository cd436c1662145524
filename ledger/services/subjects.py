"""Erasure: destroy a subject's key, unless a legal hold forbids it."""

from uuid import UUID

from django.db import transaction

from concordat import clock
from concordat.events import Event
from concordat.reasons import Reason, Refused
from ledger.models import LegalHold, LogEntry, SubjectKey
from ledger.services.record import record


@transaction.atomic
def destroy(*, subject: UUID, ground: str) -> LogEntry:
    """Destroy the subject's governance key (GDPR, article 17): its payloads never open again, every proof still holds.

    The record of it names the ground only; nothing in it leads back to the subject.
    Copies of the wrapped key in backups must be destroyed as well.

    Raises:
        Refused: LEGAL_HOLD, naming its ground; NOT_FOUND for an unknown subject; ERASED if it was destroyed before.
    """
    row = SubjectKey.objects.select_for_update().filter(subject=subject).first()
    if row is None:
        raise Refused(Reason.NOT_FOUND, field="subject")
    if row.wrapped is None:
        raise Refused(Reason.ERASED, detail="This subject's key was destroyed before.", field="subject")
    hold = LegalHold.objects.filter(subject=subject, lifted=None).first()
    if hold is not None:
        raise Refused(Reason.LEGAL_HOLD, detail=f"A legal hold forbids destroying this key: {hold.ground}")
    row.wrapped, row.destroyed, row.ground = None, clock.now(), ground
    row.save(update_fields=["wrapped", "destroyed", "ground"])
    return record(event=Event.KEY_DESTROYED, public={"ground": ground}, private={"subject": str(subject)})


def hold(*, subject: UUID, ground: str) -> LegalHold:
    """Forbid destroying the subject's key while the duty named by `ground` lasts."""
    return LegalHold.objects.create(subject=subject, ground=ground, placed=clock.now())


def lift(*, hold: LegalHold) -> None:
    """End a hold. Its row stays."""
    hold.lifted = clock.now()
    hold.save(update_fields=["lifted"])
