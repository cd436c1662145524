"""Publishing: the stored tree is RFC 9162's, and a tree that was changed is never published over."""

import random

import pytest

from concordat import checkpoint, merkle
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from ledger import selectors
from ledger.models import Anchor, LogEntry, SignedCheckpoint, Tile
from ledger.selectors import EntryStatus
from ledger.services.publish import publish

pytestmark = pytest.mark.django_db


def hashes():
    return [bytes(value) for value in LogEntry.objects.order_by("index").values_list("leaf_hash", flat=True)]


def refusal(call=publish):
    with pytest.raises(Refused) as refused:
        call()
    return refused.value.reason


def test_the_published_root_is_that_of_the_entries(write, settings):
    keys = {settings.LOG_ORIGIN: Keystore(settings.KEYS_DIR).identity.public}
    for count in (1, 1, 6, 247, 2, 300):  # across the edge of a tile, and exactly up to it
        write(count)
        head = checkpoint.verify(publish().note, keys)
        assert head.root == merkle.root(hashes())
        assert head.size == LogEntry.objects.count()


def test_nothing_new_is_not_published(write):
    assert publish() is None
    write()
    assert publish().size == 1
    assert publish() is None
    assert SignedCheckpoint.objects.count() == 1


def test_every_proof_of_a_log_over_several_tiles_verifies(write):
    sizes, roots = [3, 256, 300, 600], {}
    for size in sizes:
        write(size - LogEntry.objects.count())
        roots[size] = publish().root
    leaves = hashes()
    for size in sizes:
        for index in random.Random(size).sample(range(size), min(size, 12)):
            proof = selectors.inclusion(index, size)
            assert merkle.verify_inclusion(leaves[index], index, size, proof, roots[size])
        for first in sizes:
            if first <= size:
                proof = selectors.consistency(first, size)
                assert merkle.verify_consistency(first, size, roots[first], roots[size], proof)


def test_tiles_are_those_of_the_c2sp_layout(write):
    write(600)
    publish()
    widths = {(tile.level, tile.index): len(tile.hashes) // 32 for tile in Tile.objects.all()}
    assert widths == {(0, 0): 256, (0, 1): 256, (0, 2): 88, (1, 0): 2}
    assert bytes(Tile.objects.get(level=1).hashes)[:32] == merkle.root(hashes()[:256])


def test_proofs_of_what_is_not_published_are_refused(write):
    write(4)
    publish()
    write(1)
    for call in (
        lambda: selectors.inclusion(4, 5),
        lambda: selectors.inclusion(4, 4),
        lambda: selectors.consistency(0, 4),
        lambda: selectors.consistency(2, 5),
    ):
        assert refusal(call) is Reason.NOT_FOUND


def test_a_tree_that_was_changed_is_not_published_over(write):
    write(5)
    publish()
    tile = Tile.objects.get()
    Tile.objects.filter(pk=tile.pk).update(hashes=bytes(32) + bytes(tile.hashes)[32:])
    write()
    assert refusal() is Reason.SEQUENCE_BROKEN
    assert SignedCheckpoint.objects.count() == 1


def test_a_tree_that_was_cut_or_grown_is_not_published_over(write):
    write(5)
    publish()
    whole = bytes(Tile.objects.get().hashes)
    write()
    for changed in (whole[:-32], whole + bytes(32)):
        Tile.objects.update(hashes=changed)
        assert refusal() is Reason.SEQUENCE_BROKEN


def test_an_entry_that_was_changed_before_publication_is_not_published(write, unprotected):
    write(3)
    LogEntry.objects.filter(index=1).update(leaf=b"{}")
    assert refusal() is Reason.ENTRY_ALTERED


def test_a_missing_entry_is_not_published_over(write, unprotected):
    entries = write(3)
    entries[1].references.all().delete()
    LogEntry.objects.filter(index=1).delete()
    assert refusal() is Reason.SEQUENCE_BROKEN


def test_how_far_an_entry_has_come(write, settings):
    write()
    assert selectors.status(0) is EntryStatus.LOGGED
    publish()
    assert selectors.status(0) is EntryStatus.PUBLISHED
    settings.ANCHOR_ADDRESS = "0x" + "11" * 20
    write()
    publish()
    assert selectors.status(0) is EntryStatus.QUEUED
    assert refusal(lambda: selectors.status(2)) is Reason.NOT_FOUND


def test_how_far_many_entries_have_come_is_known_in_two_queries(write, settings, django_assert_num_queries):
    settings.ANCHOR_ADDRESS = "0x" + "11" * 20
    write(2)
    publish()
    settings.ANCHOR_ADDRESS = ""
    write()
    publish()
    write()
    with django_assert_num_queries(2):
        found = selectors.statuses([0, 1, 2, 3, 99])
    assert found == {index: selectors.status(index) for index in range(4)}
    assert list(found.values()) == [EntryStatus.QUEUED] * 2 + [EntryStatus.PUBLISHED, EntryStatus.LOGGED]


def test_while_an_anchor_waits_a_newer_head_takes_its_place(write, settings):
    settings.ANCHOR_ADDRESS = "0x" + "11" * 20
    for _ in range(3):
        write()
        publish()
    assert [(anchor.sequence, anchor.checkpoint_id) for anchor in Anchor.objects.all()] == [(1, 3)]


def test_a_proof_reads_its_tiles_in_one_query(write, django_assert_num_queries):
    write(600)
    size = publish().size
    for call in (lambda: selectors.inclusion(300, size), lambda: selectors.consistency(257, size)):
        with django_assert_num_queries(2):  # the other is for the published size
            call()
