"""The ledger's periodic work. A refusal is logged by its reason; the next beat tries again."""

import structlog
from celery import shared_task
from django.conf import settings

from concordat.reasons import Reason, Refused
from ledger.services import anchoring, stamping, subjects
from ledger.services import publish as publishing

log = structlog.get_logger()


@shared_task(name="ledger.publish")
def publish() -> None:
    """Integrate new entries, sign the head, and let those know who ask its witnesses."""
    try:
        published = publishing.publish()
    except Refused as refused:
        log.error("ledger.publish_refused", reason=refused.reason)
    else:
        if published is not None:
            publishing.head_published.send(sender=None, size=published.size)


@shared_task(name="ledger.anchor")
def anchor() -> None:
    """Bring the outbox to the chain, one transaction after the other, as far as it gets."""
    if not settings.ANCHOR_ADDRESS:
        return
    try:
        anchoring.settle()
        while anchoring.send():
            anchoring.settle()
    except Refused as refused:
        log.warning("ledger.outbox_waits", reason=refused.reason)


@shared_task(name="ledger.list_destroyed")
def list_destroyed() -> None:
    """Complete the list of destroyed keys, where a crash kept one from it."""
    try:
        subjects.list_destroyed()
    except (Refused, OSError) as error:
        log.error("ledger.list_not_written", reason=getattr(error, "reason", Reason.KEYSTORE_UNSAFE))


@shared_task(name="ledger.stamp")
def stamp() -> None:
    """Have the log's head stamped by the time-stamping authority, if there is one and it is time to ask it."""
    try:
        stamping.stamp()
    except Refused as refused:
        log.warning("ledger.stamp_waits", reason=refused.reason)
