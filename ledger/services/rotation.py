"""A new master key: every subject's key is wrapped under it, and the earlier one is destroyed when its time is over.

Erasure destroys a subject's key in the database; a backup of before still holds it, wrapped. It opens with the master
key of that time only, so destroying that one finishes what erasure began, for all backups at once.

Each step may be interrupted, by kill -9 as well, and is repeated until it is done: the successor is made, keys are
re-wrapped some at a time while all else goes on, the change is recorded, the files change places.
"""

from collections.abc import Callable, Iterator
from datetime import datetime

from django.db import transaction

from concordat import clock
from concordat.events import Event
from concordat.reasons import Reason, Refused
from ledger import erased, masters, vault
from ledger.models import LogEntry, LogHead, SubjectKey
from ledger.services.record import record

_AT_ONCE = 500

carries: list[Callable[[bytes], None]] = []
"""What else follows from the master key (`vault.derived`): called with the successor, inside the transaction that
records the change, to make its own values follow from that one. Calling it twice must be no harm."""


def rotate(*, until: datetime) -> Iterator[int]:
    """Do all that is to be done; answers after each transaction how many keys it has looked at so far.

    Args:
        until: when the earlier master key may be destroyed. A change that is under way and recorded keeps its own.

    Raises Refused(KEYSTORE_UNSAFE) for what is wrong with the key folder.
    """
    begin()
    yield from _rewrap_all()
    masters.promote(finish(until=until))


def destroy_due(*, now: datetime) -> Iterator[LogEntry]:
    """Destroy the master keys whose time is over, each after the keys that a restored backup brought back under it.

    Raises Refused(KEYSTORE_UNSAFE).
    """
    due = [kept for kept in masters.replaced() if kept.until <= now]
    if due and masters.successor() is not None:
        raise Refused(Reason.KEYSTORE_UNSAFE, detail="A change of the master key is under way: finish that first.")
    for kept in due:
        for _ in _rewrap_all():
            pass
        yield _record(Event.MASTER_KEY_DESTROYED, kept.key)
        masters.destroy(kept)


@transaction.atomic
def begin() -> None:
    """From here on new keys are wrapped under the successor. Whoever records holds the log's head, and so do we: none
    is being wrapped under the other one meanwhile."""
    _lock_log()
    masters.begin()


@transaction.atomic
def rewrap(*, after: int) -> tuple[int, int]:
    """Wrap the next keys in the table under the newest master key. One that was destroyed and is back from a backup is
    left as it is. Answers the number of the last one, and how many were looked at; none at the end."""
    newest = masters.newest()
    keys = SubjectKey.objects.select_for_update(no_key=True).filter(pk__gt=after, wrapped__isnull=False)
    rows, gone, changed = list(keys.order_by("pk")[:_AT_ONCE]), erased.listed(), []
    for row in rows:
        if _opens(row, newest):
            continue
        try:
            key = vault.opened(row)
        except Refused:
            continue  # no key of ours opens it: there is nothing to keep
        if key is None or erased.fingerprint(key) in gone:
            continue
        row.wrapped, row.fingerprint = vault.wrap(row.holder, row.subject, key), erased.fingerprint(key)
        changed.append(row)
    SubjectKey.objects.bulk_update(changed, ["wrapped", "fingerprint"])
    return (rows[-1].pk, len(rows)) if rows else (after, 0)


@transaction.atomic
def finish(*, until: datetime) -> datetime:
    """Record the change, once, and carry over what else follows from the master key. Answers until when the earlier
    one is kept."""
    _lock_log()
    successor = masters.newest()
    for carry in carries:
        carry(successor)
    entry = _recorded(Event.MASTER_KEY_CHANGED, successor)
    if entry is None:
        key, end = masters.id_of(successor).hex(), clock.rfc3339(until)
        entry = record(event=Event.MASTER_KEY_CHANGED, public={"key": key, "until": end})
    return clock.parse(str(entry.public["until"]))


def _rewrap_all() -> Iterator[int]:
    last = done = 0
    while True:
        last, count = rewrap(after=last)
        if not count:
            return
        done += count
        yield done


def _opens(row: SubjectKey, master: bytes) -> bool:
    try:
        vault.opened(row, master)
    except Refused:
        return False
    return True


@transaction.atomic
def _record(event: Event, key: bytes) -> LogEntry:
    _lock_log()
    return _recorded(event, key) or record(event=event, public={"key": masters.id_of(key).hex()})


def _recorded(event: Event, key: bytes) -> LogEntry | None:
    named = masters.id_of(key).hex()
    entries = LogEntry.objects.filter(event=event.value).order_by("-index")
    return next((entry for entry in entries if entry.public["key"] == named), None)


def _lock_log() -> None:
    LogHead.objects.get_or_create(pk=1)
    LogHead.objects.select_for_update().get(pk=1)
