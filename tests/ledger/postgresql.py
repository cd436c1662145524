"""What SQLite cannot show, as it has one writer at a time; `tests/full/test_on_postgresql.py` runs this file."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from concordat.events import Event
from ledger import fsck, selectors, tasks
from ledger.models import Anchor, Document, LogEntry, Reference, SignedCheckpoint
from ledger.services.publish import publish
from ledger.services.record import record
from ledger.services.subjects import destroy
from tests.support.at_once import at_once, waiting_for_the_log

pytestmark = pytest.mark.usefixtures("committed")

WRITERS, ENTRIES = 6, 10


def give_consent(subject):
    public = {"study": "one", "institution": "zurich", "consent": str(uuid4())}
    with transaction.atomic():
        return record(event=Event.CONSENT_GIVEN, public=public, private={"statement": "x"}, subject=subject)


def test_writers_and_publishers_make_one_log_without_gaps():
    subject, together = uuid4(), threading.Barrier(WRITERS)

    def work():
        together.wait(30)
        for _ in range(ENTRIES):
            give_consent(subject)
            publish()
        connection.close()

    with ThreadPoolExecutor(WRITERS) as pool:
        for writer in [pool.submit(work) for _ in range(WRITERS)]:
            writer.result(120)
    publish()
    assert list(LogEntry.objects.order_by("index").values_list("index", flat=True)) == list(range(WRITERS * ENTRIES))
    assert selectors.private_fields(LogEntry.objects.get(index=7)) == {"statement": "x"}
    report = fsck.fsck()
    assert (report.divergence, report.entries) == (None, WRITERS * ENTRIES)


def test_two_publishers_publish_one_head(write):
    write(3)
    published = at_once(publish, publish)
    assert {head and head.size for head in published} == {None, 3}
    assert SignedCheckpoint.objects.count() == 1


def test_two_senders_send_each_head_once(contracts, write):
    for _ in range(2):
        write(2)
        publish()
    together = threading.Barrier(3)

    def send():
        together.wait(30)
        tasks.anchor()
        connection.close()

    with ThreadPoolExecutor(3) as pool:
        for sender in [pool.submit(send) for _ in range(3)]:
            sender.result(60)
    tasks.anchor()
    sent = Anchor.objects.get().transaction
    assert (sent.state, sent.account.nonce) == ("final", sent.nonce + 1)
    assert selectors.status(3) is selectors.EntryStatus.FINAL


def test_erasing_does_not_stand_in_the_way_of_recording():
    """Each needs what the other holds, the log's head and the subject's key; PostgreSQL would end one of them."""
    subject = uuid4()
    give_consent(subject)
    with waiting_for_the_log(lambda: destroy(institution="zurich", subject=subject, ground="request")) as erasing:
        last = give_consent(subject)
    assert erasing[0].result(30).event == Event.KEY_DESTROYED
    assert last.index == 1
    with pytest.raises(selectors.Refused, match="erased"):
        selectors.private_fields(last)


@pytest.mark.parametrize("model", [LogEntry, Reference, Document, SignedCheckpoint])
def test_a_table_that_is_append_only_is_not_emptied(model):
    with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(f'TRUNCATE "{model._meta.db_table}" CASCADE')
