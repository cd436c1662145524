"""Erasure: destroy a subject's key, unless a legal hold or a retention rule forbids it (GDPR, article 17(3))."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from concordat import clock
from concordat.events import Event
from concordat.law import Exemption
from concordat.reasons import Reason, Refused
from ledger import vault
from ledger.models import LegalHold, LogEntry, SubjectKey
from ledger.services import retention
from ledger.services.record import record


@transaction.atomic
def destroy(*, institution: str, subject: UUID, ground: str) -> LogEntry:
    """Destroy the subject's governance key (GDPR, article 17): its payloads never open again, every proof still holds.

    The record of it names the ground only; nothing in it leads back to the subject.
    Copies of the wrapped key in backups must be destroyed as well. What other tables say of the subject is not the
    ledger's: `compute.services.erasure` erases that with it.

    Raises:
        Refused: LEGAL_HOLD and RETENTION_DUTY, naming their ground and end; NOT_FOUND for an unknown subject; ERASED
            if it was destroyed before.
    """
    row, now = _locked_key(institution, subject), clock.now()
    check_free(institution, subject, now)
    retention.check_over(institution, subject, now)
    row.wrapped, row.destroyed, row.ground = None, now, ground
    row.save(update_fields=["wrapped", "destroyed", "ground"])
    # Holds that have ended: their ground may tell of a claim or a disease.
    LegalHold.objects.filter(holder=institution, subject=subject).update(ground="")
    transaction.on_commit(vault.checkpoint_wal)
    # It does not say whose: a payload of its own would keep the pseudonym readable for ever.
    return record(event=Event.KEY_DESTROYED, public={"ground": ground})


def check_free(institution: str, subject: UUID, now: datetime) -> None:
    """No legal hold is in force. Raises Refused(LEGAL_HOLD), naming its ground, and how long it lasts."""
    in_force = Q(until=None) | Q(until__gt=now)
    held = LegalHold.objects.filter(in_force, holder=institution, subject=subject, lifted=None).first()
    if held is not None:
        end = f"until {clock.rfc3339(held.until)}" if held.until else "until it is lifted"
        article = Exemption(held.exemption).article
        detail = f"Legal hold {held.pk} forbids destroying this key {end}: {held.ground} ({article})."
        raise Refused(Reason.LEGAL_HOLD, detail=detail)


@transaction.atomic
def hold(
    *,
    institution: str,
    subject: UUID,
    ground: str,
    exemption: Exemption = Exemption.LEGAL_CLAIMS,
    until: datetime | None = None,
) -> LegalHold:
    """Forbid destroying the subject's key while the duty named by `ground` lasts.

    Args:
        until: when it ends by itself; it is lifted otherwise.

    Raises:
        Refused: NOT_FOUND for an unknown subject; ERASED if there is nothing left to keep; FIELD_INVALID for an end
            that has passed.
    """
    _locked_key(institution, subject)
    now = clock.now()
    if until is not None and until <= now:
        raise Refused(Reason.FIELD_INVALID, detail="A hold ends in the future.", field="until")
    held = LegalHold.objects.create(
        holder=institution, subject=subject, ground=ground, exemption=exemption, placed=now, until=until
    )
    _record(Event.LEGAL_HOLD_SET, held)
    return held


@transaction.atomic
def lift(*, hold: int) -> LegalHold:
    """End the hold of this number. Its row stays.

    Raises:
        Refused: NOT_FOUND; WRONG_STATE if it ended before.
    """
    held = LegalHold.objects.select_for_update().filter(pk=hold).first()
    if held is None:
        raise Refused(Reason.NOT_FOUND, field="hold")
    if held.lifted is not None:
        raise Refused(Reason.WRONG_STATE, detail="This hold has ended before.", field="hold")
    held.lifted = clock.now()
    held.save(update_fields=["lifted"])
    _record(Event.LEGAL_HOLD_LIFTED, held)
    return held


def _locked_key(institution: str, subject: UUID) -> SubjectKey:
    # Not its key: whoever holds the log's head may be writing a payload that refers to this row.
    row = SubjectKey.objects.select_for_update(no_key=True).filter(holder=institution, subject=subject).first()
    if row is None:
        raise Refused(Reason.NOT_FOUND, field="subject")
    if row.wrapped is None:
        raise Refused(Reason.ERASED, detail="This subject's key was destroyed before.", field="subject")
    return row


def _record(event: Event, held: LegalHold) -> None:
    # The ground of a hold may tell of a claim or a disease, so it is the subject's own and goes with its key.
    private = {
        "subject": str(held.subject),
        "ground": held.ground,
        "exemption": str(held.exemption),
        "until": clock.rfc3339(held.until) if held.until else "",
    }
    record(event=event, public={}, private=private, subject=held.subject, holder=held.holder)
