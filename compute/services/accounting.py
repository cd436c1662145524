"""The account of what was disclosed of a person in six years (45 CFR 164.528), for the institution that knows them."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.db import transaction

from compute import disclosures
from compute.disclosures import Kept, Left, Passed
from compute.services.suspensions import suspended
from concordat import accounting, canonical, clock
from concordat.accounting import Accounting, Disclosure, Erased, LeftOut
from concordat.events import Event
from concordat.fields import plain
from concordat.reasons import Reason, Refused
from governance.models import Institution
from ledger import selectors as ledger
from ledger.models import SubjectKey
from ledger.services.record import record

_YEAR, _DAY = timedelta(days=365), timedelta(days=1)


@transaction.atomic
def account(
    *,
    institution: Institution,
    subject: UUID,
    asked: date | None = None,
    since: date | None = None,
    until: date | None = None,
) -> Accounting:
    """What was disclosed of one person, known to the institution under this pseudonym. That it was handed out is
    recorded, with the document's digest. Of a person who was erased it says that, and no more.

    Args:
        asked: the day on which the person asked; today if not given. The six years end with it.
        since: the first day of a shorter period.
        until: its last day.

    Raises:
        Refused: NOT_FOUND for an unknown subject; FIELD_INVALID, naming the field, for a day that has not come, or a
            period that ends before it begins or begins more than six years before it was asked for.
    """
    key = SubjectKey.objects.filter(holder=institution.slug, subject=subject).first()
    if key is None:
        raise Refused(Reason.NOT_FOUND, field="subject")
    now = clock.now()
    asked = asked or now.date()
    first, end = _period(now, asked, since, until)
    erased: Erased | None = None
    if key.destroyed is not None:
        erased = {"time": clock.rfc3339(key.destroyed), "ground": key.ground}
    found = [] if erased else list(disclosures.of_subject(institution.slug, subject, first, end))
    secret = suspended(institution.slug, subject, now)
    listed = [each for each in found if not (isinstance(each.passed, Passed) and each.passed.to.key in secret)]
    document: Accounting = {
        "v": 1,
        "institution": institution.slug,
        "name": institution.name,
        "subject": str(subject),
        "asked": asked.isoformat(),
        "made": clock.rfc3339(now),
        "since": clock.rfc3339(first),
        "until": clock.rfc3339(end),
        "due": (asked + accounting.DAYS).isoformat(),
        "extended": (asked + accounting.DAYS + accounting.LONGER).isoformat(),
        "earlier": _earlier(institution.slug, subject, now),
        "erased": erased,
        "disclosures": _together(listed),
        "left_out": _left_out(listed),
        "statements": accounting.statements(institution.name, asked=asked, erased=erased),
    }
    said: dict[str, canonical.Json] = {
        "since": document["since"],
        "until": document["until"],
        "document": canonical.digest(canonical.encode(plain(document))),
    }
    # A destroyed key takes no more; what is recorded then does not say of whom.
    record(
        event=Event.SUBJECT_ACCOUNTED,
        public={"institution": institution.slug},
        private=said if erased else said | {"subject": str(subject)},
        subject=None if erased else subject,
    )
    return document


def _period(now: datetime, asked: date, since: date | None, until: date | None) -> tuple[datetime, datetime]:
    """From the first moment to the one that is too late; never later than now."""
    for name, day in (("asked", asked), ("since", since), ("until", until)):
        if day is not None and day > now.date():
            raise Refused(Reason.FIELD_INVALID, detail="This day has not come yet.", field=name)
    earliest = accounting.years_before(_midnight(asked))
    first = _midnight(since) if since else earliest
    if first < earliest:
        detail = f"The account goes back {accounting.YEARS} years from the day on which it was asked for."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="since")
    end = min(_midnight(until or asked) + _DAY, now + timedelta(seconds=1))
    if end <= first:
        raise Refused(Reason.FIELD_INVALID, detail="The period ends before it begins.", field="until")
    return first, end


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _earlier(institution: str, subject: UUID, now: datetime) -> list[str]:
    found = ledger.about(institution, subject).filter(event=Event.SUBJECT_ACCOUNTED, time__gt=now - _YEAR)
    return [clock.rfc3339(entry.time) for entry in found.order_by("index")]


def _together(found: Iterable[Left]) -> list[Disclosure]:
    """One for each recipient, decision, content and purpose, in the order of the first."""
    made: dict[tuple[str, Passed], Disclosure] = {}
    for left in found:
        if isinstance(left.passed, Kept):
            continue
        time, passed = clock.rfc3339(left.entry.time), left.passed
        one = made.setdefault(
            (left.decision, passed),
            {
                "recipient": {
                    "name": passed.to.name,
                    "institution": passed.to.institution,
                    "jurisdiction": passed.to.jurisdiction,
                },
                "decision": left.decision,
                "opened": list(passed.fields),
                "what": passed.what,
                "purpose": passed.purpose,
                "first": time,
                "last": time,
                "times": 0,
                "entries": [],
            },
        )
        one["last"], one["times"] = time, one["times"] + 1
        one["entries"].append(left.entry.record_number)
    return list(made.values())


def _left_out(found: Iterable[Left]) -> list[LeftOut]:
    counted = Counter(each.passed for each in found if isinstance(each.passed, Kept))
    return [{"why": kept.value, "times": counted[kept]} for kept in Kept if counted[kept]]
