"""Retention rules: how long an institution has to keep records of people, on which ground, whoever asks for erasure.

The institution says how long, and under which law; whether that law says so is for lawyers. Examples: 45 CFR 46.115(b)
asks boards for three years after a study's end, 45 CFR 164.316(b)(2) for six years, hospitals' laws often for ten.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import transaction

from concordat import clock
from concordat.events import Event
from concordat.law import Exemption
from concordat.reasons import Reason, Refused
from ledger import selectors
from ledger.models import LogEntry, Reference, RetentionRule
from ledger.services.record import record

LONGEST_DAYS = 36_525

COUNTED = (
    Event.CONSENT_GIVEN,
    Event.CONSENT_WITHDRAWN,
    Event.CONSENT_LAPSED,
    Event.VERDICT,
    Event.PREDICTION_RECORDED,
    Event.EXPLANATION_RECORDED,
)
"""From the last of these about a person the days count; asking for one's own data does not prolong them."""


@transaction.atomic
def set_rule(*, institution: str, days: int, exemption: Exemption, law: str, study: str = "") -> RetentionRule:
    """Forbid destroying keys of the institution's subjects before `days` have passed.

    Args:
        law: the provision that says so; it stands in the log in the clear.
        study: the one study that it is about; empty for all.

    Raises:
        Refused: NOT_FOUND for an institution or study that the log does not know; FIELD_INVALID for no law, or for less
            than a day or more than a hundred years.
    """
    for name, value in (("institution", institution), ("study", study)):
        if value and not Reference.objects.filter(name=name, value=value).exists():
            raise Refused(Reason.NOT_FOUND, detail=f"The log knows no such {name}.", field=name)
    if not 1 <= days <= LONGEST_DAYS:
        raise Refused(Reason.FIELD_INVALID, detail=f"Between 1 and {LONGEST_DAYS} days.", field="days")
    if not 1 <= len(law.strip()) <= 200:
        raise Refused(Reason.FIELD_INVALID, detail="Name the law, in at most 200 characters.", field="law")
    rule = RetentionRule.objects.create(
        uuid=uuid4(), holder=institution, study=study, days=days, exemption=exemption, law=law, placed=clock.now()
    )
    record(
        event=Event.RETENTION_SET,
        public={**_named(rule), "days": days, "exemption": exemption.value, "law": law},
    )
    return rule


@transaction.atomic
def end_rule(*, rule: UUID) -> RetentionRule:
    """End a rule, for everybody it kept. Its row stays.

    Raises:
        Refused: NOT_FOUND; WRONG_STATE if it ended before.
    """
    found = RetentionRule.objects.select_for_update().filter(uuid=rule).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, field="rule")
    if found.ended is not None:
        raise Refused(Reason.WRONG_STATE, detail="This rule has ended before.", field="rule")
    found.ended = clock.now()
    found.save(update_fields=["ended"])
    record(event=Event.RETENTION_ENDED, public=_named(found))
    return found


def check_over(institution: str, subject: UUID, now: datetime) -> None:
    """No retention rule keeps the subject's records any more.

    Raises:
        Refused: RETENTION_DUTY, naming the law and the end of the rule that lasts longest.
    """
    duties = [(until, rule) for until, rule in _duties(institution, subject) if until > now]
    if duties:
        until, rule = max(duties, key=lambda duty: duty[0])
        end, article = clock.rfc3339(until), Exemption(rule.exemption).article
        detail = f"Until {end} {institution} has to keep this person's records: {rule.law} ({article})."
        raise Refused(Reason.RETENTION_DUTY, detail=detail)


def _duties(institution: str, subject: UUID) -> Iterator[tuple[datetime, RetentionRule]]:
    """Each rule in force that is about the subject, and until when."""
    counted = selectors.about(institution, subject).filter(event__in=COUNTED)
    for rule in RetentionRule.objects.filter(holder=institution, ended=None):
        about = counted.filter(references__name="study", references__value=rule.study) if rule.study else counted
        last: LogEntry | None = about.order_by("-index").first()
        if last is not None:
            yield last.time + timedelta(days=rule.days), rule


def _named(rule: RetentionRule) -> dict[str, str]:
    return {"institution": rule.holder, "study": rule.study, "rule": str(rule.uuid)}
