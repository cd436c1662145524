"""An anchor log that succeeded another: it is noted in the log, and one that takes no heads is told apart."""

from django.db import transaction

from concordat.canonical import Json
from concordat.events import Event
from concordat.reasons import Reason, Refused
from ledger.chain.client import ChainClient
from ledger.models import LogEntry, LogHead
from ledger.services.record import record


def check(client: ChainClient) -> None:
    """Whether the configured anchor log takes heads. One that has begun where another ended is recorded, once.

    Raises Refused(ANCHOR_LOG_CLOSED), saying what to configure or to do: nothing is lost, what is queued waits.
    """
    found = client.succession()
    if found.sealed_to:
        detail = f"It is sealed. Set CONCORDAT_ANCHOR_ADDRESS to its successor, {found.sealed_to}."
        raise Refused(Reason.ANCHOR_LOG_CLOSED, detail=detail)
    if not found.begun:
        detail = f"It has not begun: have its predecessor, {found.predecessor}, sealed to it, and let it begin."
        raise Refused(Reason.ANCHOR_LOG_CLOSED, detail=detail)
    if found.predecessor:
        _note(client, found.predecessor, found.begun_at)


def _note(client: ChainClient, predecessor: str, sequence: int) -> None:
    public: dict[str, Json] = {
        "chain": client.chain_id,
        "log": client.anchor_address,
        "predecessor": predecessor,
        "sequence": sequence,
        "registry": client.registry_address,
    }
    entries = LogEntry.objects.filter(event=Event.ANCHOR_LOG_SUCCEEDED.value)
    if any(entry.public == public for entry in entries):
        return
    with transaction.atomic():
        LogHead.objects.get_or_create(pk=1)
        LogHead.objects.select_for_update().get(pk=1)  # two senders note it once
        if not any(entry.public == public for entry in entries.all()):
            record(event=Event.ANCHOR_LOG_SUCCEEDED, public=public)
