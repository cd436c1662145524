"""fsck names the first thing that is not as it was recorded, and where."""

import pytest
from django.core.management import CommandError, call_command

from concordat import merkle
from concordat.events import Event
from concordat.reasons import Reason
from ledger import tasks
from ledger.fsck import fsck
from ledger.models import Anchor, Document, LogEntry, LogHead, SignedCheckpoint, Tile
from ledger.services.anchoring import chain_client
from ledger.services.publish import publish
from ledger.services.record import record

pytestmark = pytest.mark.django_db


@pytest.fixture
def log(write, unprotected):
    """Two checkpoints over two tiles, one document, and entries that are not published yet."""
    record(event=Event.STUDY_APPROVED, public={"study": "one"}, documents={"protocol": {"title": "x"}})
    write(9)
    publish()
    write(290)
    publish()
    write(5)


def found(chain=None):
    divergence = fsck(chain).divergence
    return (divergence.reason, divergence.index) if divergence else None


def test_a_log_as_it_was_recorded(log, capsys):
    report = fsck()
    assert (report.entries, report.checkpoints, report.divergence) == (305, 2, None)
    call_command("ledger_fsck", "--offline")
    assert "305 entries and 2 checkpoints agree" in capsys.readouterr().out


def test_a_changed_entry(log):
    LogEntry.objects.filter(index=42).update(
        leaf=bytes(LogEntry.objects.get(index=42).leaf).replace(b"entry", b"entri")
    )
    assert found() == (Reason.ENTRY_ALTERED, 42)


def test_a_changed_copy_beside_the_leaf(log):
    LogEntry.objects.filter(index=43).update(event=Event.STUDY_APPROVED)
    assert found() == (Reason.ENTRY_ALTERED, 43)


@pytest.mark.parametrize("leaf", [b"[]", b"7", b"{}", b'{"event":"verdict"}', b'"text"'])
def test_a_leaf_that_is_no_entry(log, leaf):
    LogEntry.objects.filter(index=42).update(leaf=leaf, leaf_hash=merkle.leaf_hash(leaf))
    assert found() == (Reason.ENTRY_ALTERED, 42)


def test_an_entry_changed_together_with_its_hash(log):
    entry = LogEntry.objects.get(index=42)
    leaf = bytes(entry.leaf).replace(b"entry", b"entri")
    LogEntry.objects.filter(index=42).update(leaf=leaf, leaf_hash=merkle.leaf_hash(leaf))
    assert found() == (Reason.SEQUENCE_BROKEN, 42)


def test_an_entry_changed_together_with_its_hash_and_its_tiles(log):
    entry = LogEntry.objects.get(index=5)
    leaf = bytes(entry.leaf).replace(b"entry", b"entri")
    LogEntry.objects.filter(index=5).update(leaf=leaf, leaf_hash=merkle.leaf_hash(leaf))
    hashes = [bytes(value) for value in LogEntry.objects.values_list("leaf_hash", flat=True)]
    Tile.objects.filter(level=0, index=0).update(hashes=b"".join(hashes[:256]))
    Tile.objects.filter(level=1, index=0).update(hashes=merkle.root(hashes[:256]))
    assert found() == (Reason.CONSISTENCY_INVALID, 9)


def test_a_missing_entry(log):
    LogEntry.objects.filter(index=42).delete()
    assert found() == (Reason.SEQUENCE_BROKEN, 42)


def test_a_log_cut_at_its_end(log):
    LogEntry.objects.filter(index__gte=303).delete()
    assert found() == (Reason.SEQUENCE_BROKEN, 303)
    LogHead.objects.update(size=303)
    assert found() is None  # what was never published has left no trace: that is what publishing is for
    LogEntry.objects.filter(index__gte=299).delete()
    LogHead.objects.update(size=299)
    assert found()[0] is Reason.SEQUENCE_BROKEN


def test_a_changed_document(log):
    Document.objects.update(content=b"{}")
    assert found() == (Reason.DOCUMENT_ALTERED, 0)


def test_a_changed_tile(log):
    tile = Tile.objects.get(level=0, index=1)
    Tile.objects.filter(pk=tile.pk).update(hashes=bytes(tile.hashes)[:64] + bytes(32) + bytes(tile.hashes)[96:])
    assert found() == (Reason.SEQUENCE_BROKEN, 258)


def test_a_checkpoint_that_the_log_never_had(log):
    SignedCheckpoint.objects.filter(size=10).update(root=bytes(32))
    assert found() == (Reason.CONSISTENCY_INVALID, 9)


def test_a_checkpoint_with_another_signature(log):
    note = SignedCheckpoint.objects.get(size=10).note
    SignedCheckpoint.objects.filter(size=300).update(note=note.replace("\n10\n", "\n300\n"))
    assert found() == (Reason.CHECKPOINT_INVALID, 299)
    with pytest.raises(CommandError, match="checkpoint-invalid: checkpoint of 300 entries"):
        call_command("ledger_fsck", "--offline")


def test_the_chain_agrees_or_does_not(contracts, write, unprotected):
    write(3)
    publish()
    tasks.anchor()
    write(3)
    publish()
    tasks.anchor()
    assert fsck(chain_client()).anchors == 2
    last = Anchor.objects.last()
    last.delete()
    assert found(chain_client()) == (Reason.CHAIN_AHEAD, None)
    Anchor.objects.filter(sequence=1).update(checkpoint=SignedCheckpoint.objects.get(size=6))
    assert found(chain_client()) == (Reason.ANCHOR_MISMATCH, 2)
