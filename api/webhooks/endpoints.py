"""An institution's webhooks: registered, changed, removed by its own system."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import QuerySet
from pydantic import TypeAdapter, ValidationError

from api.models import Delivery, Webhook
from api.webhooks.audience import TOLD
from concordat import clock
from concordat.client_keys import HttpsAddress
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance.models import Institution
from governance.services.institutions import lock
from ledger.models import LogHead

MOST = 10
"""Webhooks of one institution."""

_ADDRESS: TypeAdapter[str] = TypeAdapter(HttpsAddress)


@transaction.atomic
def register(*, institution: Institution, url: str, events: Sequence[str]) -> Webhook:
    """Tell this address of these events, from now on. The same again is no harm.

    Raises Refused: FIELD_INVALID for an address or an event; CONFLICT for an address that is registered for others, or
    for more than `MOST`.
    """
    _check_address(url)
    wanted = _checked(events)
    lock(institution)
    known = Webhook.objects.filter(institution=institution, url=url).first()
    if known is not None:
        if known.events == wanted:
            return known
        raise Refused(
            Reason.CONFLICT, detail="The address is registered, for other events: change that one.", field="url"
        )
    if Webhook.objects.filter(institution=institution).count() >= MOST:
        raise Refused(Reason.CONFLICT, detail=f"An institution has at most {MOST} webhooks.")
    return Webhook.objects.create(
        institution=institution, url=url, events=wanted, cursor=_end_of_log(), created=clock.now()
    )


def change(webhook: Webhook, *, events: Sequence[str] | None, active: bool | None) -> Webhook:
    """Change what it is told of, or whether; inside of the transaction in which the caller has locked it.

    Whoever was paused or disabled and becomes active is told of what happens from then on.
    """
    if events is not None:
        webhook.events = _checked(events)
    if active is False:
        webhook.state = Webhook.State.PAUSED
        give_up(webhook.deliveries.all())
    elif active and webhook.state != Webhook.State.ACTIVE:
        webhook.state, webhook.cursor = Webhook.State.ACTIVE, _end_of_log()
        webhook.failing_since, webhook.last_failure, webhook.next_call = None, "", clock.now()
    webhook.save()
    return webhook


def remove(webhook: Webhook) -> None:
    """Forget the webhook and what waits for it; inside of the transaction in which the caller has locked it."""
    webhook.delete()


def give_up(deliveries: QuerySet[Delivery]) -> None:
    """Send none of these that is still queued."""
    deliveries.filter(state=Delivery.State.QUEUED).update(state=Delivery.State.GIVEN_UP)


def _checked(events: Sequence[str]) -> list[str]:
    """Each once, in order. Raises Refused(FIELD_INVALID)."""
    unknown = sorted(set(events) - {event.value for event in TOLD})
    if unknown or not events:
        possible = ", ".join(sorted(event.value for event in TOLD))
        raise Refused(Reason.FIELD_INVALID, detail=f"One event or more, out of: {possible}.", field="events")
    return sorted(Event(each).value for each in set(events))


def _check_address(url: str) -> None:
    try:
        _ADDRESS.validate_python(url)
    except ValidationError as error:
        raise Refused(Reason.FIELD_INVALID, detail=error.errors()[0]["msg"], field="url") from None


def _end_of_log() -> int:
    head = LogHead.objects.filter(pk=1).first()
    return head.size if head else 0
