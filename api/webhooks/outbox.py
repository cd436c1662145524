"""Delivery of messages: at least once, in no promised order.

The log is the outbox: an entry is written in the transaction of what it records. `collect` turns the entries behind a
webhook's cursor into deliveries, and moves the cursor, in one transaction. `send_due` takes one delivery at a time, in
a short transaction which puts its webhook off until `TAKEN` is over, so that no other sender calls it meanwhile; the
call is made with no transaction open; then it is marked. A sender that dies in between leaves it to be sent again under
the same id.

Webhooks take turns: the one goes first that has waited longest since it was called. Whoever has many, or lets them
hang, takes no more than their turns from the others.
"""

import random
import time
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction

from api import outbound
from api.models import Delivery, Webhook
from api.outbound import Unreached
from api.webhooks.audience import concerning, time_of, told
from api.webhooks.endpoints import give_up
from concordat import clock
from concordat import webhook as format_
from concordat.events import Event
from concordat.keystore import Keystore
from ledger import selectors
from ledger.models import LogEntry

ROUND_SECONDS = 20
"""Slow receivers do not keep the worker for longer from everything else."""

log = structlog.get_logger(__name__)

TAKEN = timedelta(minutes=2)
"""For so long a webhook belongs to the sender that took a delivery to it; more than any call may last."""

PAUSE = timedelta(minutes=2)
"""Between two calls to a webhook that goes on failing, whatever waits for it."""

DELAYS = tuple(timedelta(seconds=each) for each in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400))
"""Until the next attempt, after each that failed; a fifth more or less, by chance. After the last one, some three days
after the first, the message is given up."""

DISABLED_AFTER = timedelta(days=5)
"""A webhook to which nothing at all could be delivered for so long is told nothing more."""

KEPT = timedelta(days=30)
"""For how long it is known what was delivered."""

AT_ONCE, ROUND = 500, 200
_SECONDS, _MOST = 5.0, 4096
_GONE = 410


def collect() -> int:
    """Queue what the log has for the active webhooks, and answer how many messages that is."""
    return sum(map(_collect, Webhook.objects.filter(state=Webhook.State.ACTIVE).values_list("pk", flat=True)))


@transaction.atomic
def _collect(pk: int) -> int:
    locked = Webhook.objects.select_for_update(skip_locked=True, of=("self",)).select_related("institution")
    webhook = locked.filter(pk=pk, state=Webhook.State.ACTIVE).first()
    if webhook is None:
        return 0
    behind = LogEntry.objects.filter(index__gte=webhook.cursor)
    end = behind.order_by("-index").values_list("index", flat=True).first()
    if end is None:
        return 0
    new = list(behind.filter(event__in=webhook.events, index__lte=end)[:AT_ONCE])
    webhook.cursor = (new[-1].index if len(new) == AT_ONCE else end) + 1
    found = concerning(webhook.institution, new)
    Delivery.objects.bulk_create(
        Delivery(webhook=webhook, entry=entry.index, next_attempt=entry.time, created=entry.time) for entry in found
    )
    webhook.save(update_fields=["cursor"])
    return len(found)


def send_due(now: datetime) -> int:
    """Send what is due, for `ROUND_SECONDS` at most, and answer how many messages arrived. Each attempt has a time of
    its own, so that the last one's signature is as fresh as the first one's."""
    began = time.monotonic()
    Delivery.objects.filter(created__lte=now - KEPT).exclude(state=Delivery.State.QUEUED).delete()
    arrived = 0
    for _ in range(ROUND):
        moment = clock.now()
        delivery = _take(moment) if time.monotonic() - began < ROUND_SECONDS else None
        if delivery is None:
            break
        failure = _send(delivery, moment)
        _settle(delivery, moment, failure)
        arrived += not failure
    return arrived


@transaction.atomic
def _take(now: datetime) -> Delivery | None:
    due = Delivery.objects.select_for_update(skip_locked=True, of=("self", "webhook")).select_related("webhook")
    due = due.filter(state=Delivery.State.QUEUED, next_attempt__lte=now)
    due = due.filter(webhook__state=Webhook.State.ACTIVE, webhook__next_call__lte=now)
    delivery = due.order_by("webhook__next_call", "next_attempt", "pk").first()
    if delivery is not None:
        delivery.attempts += 1
        delivery.save(update_fields=["attempts"])
        delivery.webhook.next_call = now + TAKEN
        delivery.webhook.save(update_fields=["next_call"])
    return delivery


def _send(delivery: Delivery, now: datetime) -> str:
    """What came between; empty if the message has arrived."""
    entry = selectors.entry(delivery.entry)
    body = format_.body(Event(entry.event), time_of(entry), told(entry))
    key = Keystore(settings.KEYS_DIR).identity
    headers = format_.sign(f"msg_{delivery.uuid}", body, at=now, key=key) | {"Content-Type": "application/json"}
    try:
        answer = outbound.call(
            "POST", delivery.webhook.url, seconds=_SECONDS, most=_MOST, content=body, headers=headers
        )
    except Unreached as error:
        return error.why.value
    return "" if answer.ok else str(answer.status)


@transaction.atomic
def _settle(delivery: Delivery, now: datetime, failure: str) -> None:
    """Mark what came of an attempt. The webhook may have been removed meanwhile, or changed."""
    webhook = Webhook.objects.select_for_update().filter(pk=delivery.webhook_id).first()
    if webhook is None:
        return
    mine = Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.QUEUED)
    webhook.next_call = now
    if not failure:
        mine.update(state=Delivery.State.DELIVERED)
        webhook.failing_since, webhook.last_failure, webhook.last_success = None, "", now
    else:
        log.warning("webhook.not_delivered", reason=failure, attempts=delivery.attempts)
        if delivery.attempts > len(DELAYS):
            delay = PAUSE
            mine.update(state=Delivery.State.GIVEN_UP)
        else:
            delay = _delay(delivery.attempts)
            mine.update(next_attempt=now + delay)
        webhook.next_call += PAUSE if webhook.failing_since else min(delay, PAUSE)
        webhook.failing_since, webhook.last_failure = webhook.failing_since or now, failure
        if failure == str(_GONE) or now - webhook.failing_since >= DISABLED_AFTER:
            webhook.state = Webhook.State.DISABLED
            give_up(webhook.deliveries.all())
    webhook.save(update_fields=["failing_since", "last_failure", "last_success", "next_call", "state"])


def _delay(attempts: int) -> timedelta:
    usual = DELAYS[attempts - 1].total_seconds()
    return timedelta(seconds=round(usual * random.uniform(0.8, 1.2)))  # noqa: S311  # that not all come back at once
