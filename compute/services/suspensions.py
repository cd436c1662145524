"""Suspend a person's right to an account of disclosures to an agency that asks for it (45 CFR 164.528(a)(2))."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from compute.models import AccountingSuspension
from concordat import clock
from concordat.events import Event
from concordat.reasons import Reason, Refused
from ledger.models import SubjectKey
from ledger.services.record import record

ORAL = timedelta(days=30)
"""How long a statement that is not in writing suspends."""

_LONGEST = 200


@transaction.atomic
def suspend(
    *, institution: str, subject: UUID, recipient: str, ground: str, until: datetime, oral: bool = False
) -> AccountingSuspension:
    """Leave disclosures to this recipient out of the person's accounts until then.

    Args:
        recipient: as `compute.disclosures.To` has its key.
        ground: who said, in what, that an account would be likely to impede their activities; the log commits to it.
        oral: the statement is not in writing, so that it lasts 30 days at most.

    Raises:
        Refused: NOT_FOUND for an unknown subject; ERASED; FIELD_INVALID, naming the field, for an end that has passed
            or comes too late, and for a recipient or ground that is none.
    """
    key = SubjectKey.objects.filter(holder=institution, subject=subject).first()
    if key is None:
        raise Refused(Reason.NOT_FOUND, field="subject")
    if key.wrapped is None:
        raise Refused(Reason.ERASED, field="subject")
    for name, text in (("recipient", recipient), ("ground", ground)):
        if not (text.strip() and len(text) <= _LONGEST and text.isprintable()):
            detail = f"Between 1 and {_LONGEST} characters, on one line."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field=name)
    now = clock.now()
    if until <= now:
        raise Refused(Reason.FIELD_INVALID, detail="A suspension ends in the future.", field="until")
    if oral and until > now + ORAL:
        detail = f"What is only said suspends for {ORAL.days} days at most (45 CFR 164.528(a)(2)(ii))."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="until")
    made = AccountingSuspension.objects.create(
        holder=institution,
        subject=subject,
        recipient=recipient,
        ground=ground,
        oral=oral,
        placed=now,
        until=until,
    )
    _record(Event.ACCOUNTING_SUSPENDED, made)
    return made


@transaction.atomic
def resume(*, suspension: int) -> AccountingSuspension:
    """End a suspension before its time. Its row stays.

    Raises:
        Refused: NOT_FOUND; WRONG_STATE if it has ended.
    """
    found = AccountingSuspension.objects.select_for_update().filter(pk=suspension).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, field="suspension")
    now = clock.now()
    if found.ended is not None or found.until <= now:
        raise Refused(Reason.WRONG_STATE, detail="This suspension has ended before.", field="suspension")
    found.ended = now
    found.save(update_fields=["ended"])
    _record(Event.ACCOUNTING_RESUMED, found)
    return found


def suspended(institution: str, subject: UUID, now: datetime) -> frozenset[str]:
    """The recipients of whom no account is given now."""
    found = AccountingSuspension.objects.filter(holder=institution, subject=subject, ended=None, until__gt=now)
    return frozenset(found.values_list("recipient", flat=True))


def forget(institution: str, subject: UUID) -> None:
    """Delete what an erased person's suspensions say of them."""
    AccountingSuspension.objects.filter(holder=institution, subject=subject).delete()


def _record(event: Event, made: AccountingSuspension) -> None:
    # Not under the person's key: an export for them would open what the agency has asked not to be told.
    record(
        event=event,
        public={"institution": made.holder},
        private={
            "recipient": made.recipient,
            "ground": made.ground,
            "until": clock.rfc3339(made.until),
            "oral": made.oral,
        },
    )
