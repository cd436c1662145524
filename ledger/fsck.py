"""Re-derive the log from its entries and compare: entries, documents, tiles, checkpoints, cosignatures, time stamps,
and the chain; and look for keys that were destroyed and are back.

Answers the first divergence, with its reason and place. It changes nothing.
"""

from dataclasses import dataclass

from django.conf import settings

from concordat import canonical, checkpoint, cosignature, merkle, note, timestamps
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from concordat.tiles import WIDTH
from ledger import selectors, vault, witnesses
from ledger.chain.client import ChainClient
from ledger.models import Anchor, Cosignature, LogEntry, LogHead, SignedCheckpoint, Tile, TimeStamp
from ledger.tree import Tree


@dataclass(frozen=True)
class Divergence:
    """The first thing that is not as it was recorded; `index` is the entry where it shows, if it shows at one."""

    reason: Reason
    place: str
    index: int | None = None


@dataclass(frozen=True)
class Report:
    """How much was compared, and what was found; nothing if all agrees."""

    entries: int
    checkpoints: int
    anchors: int
    divergence: Divergence | None


class _Found(Exception):
    def __init__(self, reason: Reason, place: str, index: int | None = None) -> None:
        self.divergence = Divergence(reason, place, index)
        super().__init__(place)


def fsck(chain: ChainClient | None = None) -> Report:
    """Compare everything; the chain too, if one is given. Raises Refused for a chain that cannot be asked, and for a
    key folder that others can read."""
    leaves: list[bytes] = []
    checkpoints = anchors = 0
    divergence = None
    try:
        leaves = _entries()
        _tiles(leaves)
        checkpoints = _checkpoints(len(leaves))
        _cosignatures()
        _stamps()
        _keys()
        anchors = _anchors(chain) if chain else 0
    except _Found as found:
        divergence = found.divergence
    return Report(len(leaves), checkpoints, anchors, divergence)


def _entries() -> list[bytes]:
    leaves: list[bytes] = []
    for entry in LogEntry.objects.order_by("index").iterator():
        index, leaf = len(leaves), bytes(entry.leaf)
        if entry.index != index:
            raise _Found(Reason.SEQUENCE_BROKEN, f"entry {index} is missing", index)
        if merkle.leaf_hash(leaf) != bytes(entry.leaf_hash) or not _columns_agree(entry, leaf):
            raise _Found(Reason.ENTRY_ALTERED, f"entry {index}", index)
        for name, digest in entry.documents.items():
            try:
                selectors.document(digest)
            except Refused as refused:
                raise _Found(Reason.DOCUMENT_ALTERED, f"document “{name}” of entry {index}", index) from refused
        leaves.append(merkle.leaf_hash(leaf))
    head = LogHead.objects.filter(pk=1).first()
    if len(leaves) != (head.size if head else 0):
        raise _Found(
            Reason.SEQUENCE_BROKEN, f"the log ends at entry {len(leaves)}, not where its head says", len(leaves)
        )
    return leaves


def _columns_agree(entry: LogEntry, leaf: bytes) -> bool:
    try:
        content = canonical.decode(leaf)
        return bool((content["id"], content["event"]) == (str(entry.uuid), entry.event))
    except (Refused, LookupError, TypeError):
        return False


def _tiles(leaves: list[bytes]) -> None:
    """Tiles hold exactly the published leaves, and above them the roots of complete tiles."""
    last = SignedCheckpoint.objects.last()
    level, row = 0, leaves[: last.size if last else 0]
    while row:
        for index in range(0, len(row), WIDTH):
            expected = row[index : index + WIDTH]
            stored = Tile.objects.filter(level=level, index=index // WIDTH).values_list("hashes", flat=True).first()
            _compare_tile(bytes(stored or b""), expected, level, index)
        complete = len(row) // WIDTH
        row = [merkle.root(row[WIDTH * place : WIDTH * (place + 1)]) for place in range(complete)]
        level += 1


def _compare_tile(stored: bytes, expected: list[bytes], level: int, start: int) -> None:
    place = f"tile {level}/{start // WIDTH}"
    for offset, value in enumerate(expected):
        if stored[32 * offset : 32 * (offset + 1)] != value:
            raise _Found(Reason.SEQUENCE_BROKEN, place, (start + offset) * WIDTH**level)
    if len(stored) != 32 * len(expected):
        raise _Found(Reason.SEQUENCE_BROKEN, f"{place} is longer than the published log")


def _checkpoints(entries: int) -> int:
    """Each is signed, and has the root of the tree, whose tiles were compared with the entries just before."""
    keys = {settings.LOG_ORIGIN: Keystore(settings.KEYS_DIR).identity.public}
    count, tree = 0, Tree()
    for row in SignedCheckpoint.objects.iterator():
        place = f"checkpoint of {row.size} entries"
        try:
            head = checkpoint.verify(row.note, keys)
        except Refused as refused:
            raise _Found(refused.reason, place, row.size - 1) from refused
        if row.size > entries:
            raise _Found(Reason.SEQUENCE_BROKEN, f"{place}: the log is shorter", entries)
        if (head.size, head.root) != (row.size, bytes(row.root)) or tree.root(row.size) != head.root:
            raise _Found(Reason.CONSISTENCY_INVALID, place, row.size - 1)
        count += 1
    return count


def _cosignatures() -> None:
    """Each one that counts is its witness's, over the head that it is kept with."""
    for row in SignedCheckpoint.objects.filter(cosignatures__isnull=False).distinct().iterator():
        keys = witnesses.of(row.size).keys
        for kept in Cosignature.objects.filter(checkpoint=row, witness__in=list(keys)):
            try:
                lines = note.parse_lines(kept.line)
                cosignature.check(row.body, lines, {kept.witness: keys[kept.witness]}, origin=settings.LOG_ORIGIN)
            except Refused as refused:
                place = f"cosignature of {kept.witness} under {row.size} entries"
                raise _Found(refused.reason, place, row.size - 1) from refused


def _stamps() -> None:
    """Each is over the head that it is kept with, and says the time that stands beside it. Whose it is, a reader checks
    who brings the authority's root."""
    for kept in TimeStamp.objects.select_related("checkpoint").iterator():
        place = f"time stamp of {kept.checkpoint_id} entries"
        try:
            said = timestamps.read(bytes(kept.answer), kept.checkpoint.note.encode())
        except Refused as refused:
            raise _Found(refused.reason, place, kept.checkpoint_id - 1) from refused
        if (said.latest, said.authority) != (kept.time, kept.authority):
            raise _Found(Reason.TIMESTAMP_MISMATCH, place, kept.checkpoint_id - 1)


def _keys() -> None:
    """No subject's key is there that was destroyed."""
    for row in vault.resurrected():
        raise _Found(Reason.KEY_RESURRECTED, f"subject key {row.pk}")


def _anchors(chain: ChainClient) -> int:
    count, head = 0, chain.head()
    for anchor in Anchor.objects.select_related("checkpoint", "transaction"):
        found, size = chain.anchored(anchor.sequence), anchor.checkpoint.size
        place = f"anchor {anchor.sequence} ({size} entries)"
        if found is None:
            if anchor.transaction.in_a_block:
                raise _Found(Reason.ANCHOR_MISSING, place, size - 1)
            continue
        if (found.root, found.size) != (bytes(anchor.checkpoint.root), size):
            raise _Found(Reason.ANCHOR_MISMATCH, place, min(found.size, size) - 1)
        count += 1
    if head is not None and not Anchor.objects.filter(sequence=head.sequence).exists():
        raise _Found(Reason.CHAIN_AHEAD, f"anchor {head.sequence} ({head.size} entries) is on the chain only")
    return count
