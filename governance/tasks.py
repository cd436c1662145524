"""The periodic work of governance: thin, and safe to run twice."""

from celery import shared_task

from concordat import clock
from governance.services import clockwork, outbox


@shared_task(name="governance.tick")
def tick() -> None:
    """Approvals lapse, reminders are written."""
    clockwork.tick(clock.now())


@shared_task(name="governance.mail")
def mail() -> None:
    """Send the letters that are due."""
    outbox.send_due(clock.now())
