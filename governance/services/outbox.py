"""Notifications by mail: at least once, a letter a person and round.

A sender first takes a letter: in one short transaction its notifications are put off until :data:`TAKEN` is over, which
no other sender then sees as due; the mail goes out with no transaction open; then they are marked as sent. A sender
that dies in between leaves them to be sent again, under the same Message-ID: what was put into one letter stays one
letter, so that whoever has received it can tell.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from smtplib import SMTPDataError, SMTPRecipientsRefused, SMTPSenderRefused
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q, QuerySet
from django.urls import reverse

from governance.models import MailPreference, Notification

How, Mail = MailPreference.How, Notification.Mail

log = structlog.get_logger()

TAKEN = timedelta(minutes=10)
"""For so long a letter belongs to the sender that took it; more than any mail server may take to answer."""

DELAYS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240, 720, 720))
"""Until the next attempt, after each that failed. After the last one nobody tries again."""

DAILY = timedelta(hours=6)
"""When in the day (UTC) people hear of the day before who want one letter a day."""

LETTERS = 200
"""One round sends no more; the next one goes on."""


def send_due(now: datetime) -> int:
    """Send what is due, and answer how many letters went out. A mail server that cannot be reached ends the round."""
    _forget_unwanted()
    sent = 0
    for _ in range(LETTERS):
        letter = _take(now)
        if not letter:
            break
        try:
            _compose(letter).send()
        except (SMTPRecipientsRefused, SMTPSenderRefused, SMTPDataError, ValueError) as error:
            _put_off(letter, now, error)
        except OSError as error:  # as are all of smtplib's
            _put_off(letter, now, error)
            break
        else:
            _of(letter).update(mail=Mail.SENT)
            sent += 1
    return sent


def _forget_unwanted() -> None:
    nobody = Q(user__mail_preference__how=How.NONE) | Q(user__is_active=False) | Q(user__email="")
    unwanted = Notification.objects.filter(nobody, mail=Mail.QUEUED).values("pk")
    Notification.objects.filter(pk__in=unwanted).update(mail=Mail.UNWANTED)


@transaction.atomic
def _take(now: datetime) -> list[Notification]:
    """The notifications of the letter that is due first: one that was taken before, or all that is new to one person.

    Whoever else is taking one at this moment passes over these rows (on SQLite they take turns)."""
    due = (
        Notification.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
        .select_related("user")
        .filter(_due(now))
        .order_by("next_attempt", "pk")
    )
    first = due.first()
    if first is None:
        return []
    letter = list(due.filter(user=first.user, letter=first.letter))
    for each in letter:
        each.letter, each.attempts, each.next_attempt = first.letter or first.uuid, first.attempts + 1, now + TAKEN
    Notification.objects.bulk_update(letter, ["letter", "attempts", "next_attempt"])
    return letter


def _due(now: datetime) -> Q:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    daily = midnight + DAILY if now >= midnight + DAILY else midnight + DAILY - timedelta(days=1)
    waits = Q(user__mail_preference__how=How.DAILY, letter=None, created__gte=daily)
    return Q(mail=Mail.QUEUED, next_attempt__lte=now) & ~waits


def _put_off(letter: Sequence[Notification], now: datetime, error: Exception) -> None:
    """The error's text may name an address and is not logged."""
    attempts = letter[0].attempts
    log.warning("outbox.not_sent", error=type(error).__name__, attempts=attempts, count=len(letter))
    if attempts > len(DELAYS):
        _of(letter).update(mail=Mail.FAILED)
    else:
        _of(letter).update(next_attempt=now + DELAYS[attempts - 1])


def _of(letter: Sequence[Notification]) -> QuerySet[Notification]:
    return Notification.objects.filter(pk__in=[each.pk for each in letter])


def _compose(letter: Sequence[Notification]) -> EmailMessage:
    """What the site says too; beside the title of a study nothing that is about anybody."""
    told = sorted(letter, key=lambda each: (each.created, each.pk))
    lines = [f"{each.sentence}\n{settings.BASE_URL}{each.path}\n" for each in told]
    subject = "Concordat: " + ("1 message" if len(told) == 1 else f"{len(told)} messages")
    return EmailMessage(
        subject,
        "\n".join([*lines, f"How often you get mail: {settings.BASE_URL}{reverse('admin:notifications')}"]),
        settings.DEFAULT_FROM_EMAIL,
        [letter[0].user.email],
        headers={
            "Message-ID": f"<{letter[0].letter}@{urlsplit(settings.BASE_URL).hostname}>",
            "Auto-Submitted": "auto-generated",
        },
    )
