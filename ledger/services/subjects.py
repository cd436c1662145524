"""Erasure: destroy a subject's key, unless a legal hold or a retention rule forbids it (GDPR, article 17(3))."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from concordat import clock
from concordat.events import Event
from concordat.law import Exemption
from concordat.reasons import Reason, Refused
from ledger import erased, vault
from ledger.models import LegalHold, LogEntry, SubjectKey
from ledger.services import retention
from ledger.services.record import record

AGAIN = "It had been destroyed before; a backup brought it back."


@transaction.atomic
def destroy(*, institution: str, subject: UUID, ground: str) -> LogEntry:
    """Destroy the subject's governance key (GDPR, article 17): its payloads never open again, every proof still holds.

    The record of it names the ground only; nothing in it leads back to the subject.
    Copies of the wrapped key in backups go with the master key of their time (`ledger.services.rotation`), and a
    restored one is refused (`ledger.erased`). What other tables say of the subject is not the ledger's:
    `compute.services.erasure` erases that with it.

    Raises:
        Refused: LEGAL_HOLD and RETENTION_DUTY, naming their ground and end; NOT_FOUND for an unknown subject; ERASED
            if it was destroyed before.
    """
    row, now = _locked_key(institution, subject), clock.now()
    check_free(institution, subject, now)
    retention.check_over(institution, subject, now)
    return _destroy(row, ground, now)


@transaction.atomic
def destroy_again(*, institution: str, subject: UUID) -> LogEntry:
    """Destroy a key that had been destroyed and came back with a backup, which nothing forbids any more.

    Raises:
        Refused: NOT_FOUND for an unknown subject; ERASED if the key is gone; WRONG_STATE if it never was destroyed.
    """
    row = _locked_key(institution, subject)
    if vault.fingerprint(row) not in erased.listed():
        raise Refused(Reason.WRONG_STATE, detail="This key was never destroyed.", field="subject")
    return _destroy(row, AGAIN, clock.now())


def _destroy(row: SubjectKey, ground: str, now: datetime) -> LogEntry:
    row.fingerprint = vault.fingerprint(row)
    row.wrapped, row.destroyed, row.ground = None, now, ground
    row.save(update_fields=["wrapped", "destroyed", "ground", "fingerprint"])
    # Holds that have ended: their ground may tell of a claim or a disease.
    LegalHold.objects.filter(holder=row.holder, subject=row.subject).update(ground="")
    transaction.on_commit(vault.checkpoint_wal)
    transaction.on_commit(list_destroyed)
    # It does not say whose: a payload of its own would keep the pseudonym readable for ever.
    return record(event=Event.KEY_DESTROYED, public={"ground": ground})


def list_destroyed() -> None:
    """Put every destroyed key on the list outside of the database, unless it is there. That list is what a restored
    backup is compared with; what a crash kept from it is put there by the next call, from the worker."""
    gone = SubjectKey.objects.filter(destroyed__isnull=False).exclude(fingerprint="")
    erased.add(gone.values_list("fingerprint", flat=True))


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
