"""The periodic work of the API: thin, and safe to run twice."""

from celery import shared_task

from api.webhooks import outbox
from concordat import clock


@shared_task(name="api.webhooks")
def webhooks() -> None:
    """Tell institutions' systems what has happened."""
    outbox.collect()
    outbox.send_due(clock.now())
