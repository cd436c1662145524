"""The Merkle tree over the log, kept in tiles: hashes of complete subtrees are stored once and never change.

Tiles are 256 hashes wide (C2SP tlog-tiles), so a proof in a log of a million entries reads at most five of them.
"""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from django.db.models import Q

from concordat import merkle
from concordat.merkle import HASH_BYTES
from concordat.reasons import Reason, Refused
from concordat.tiles import HEIGHT, WIDTH
from ledger.models import Tile


class Tree:
    """The stored tree. Holds the tiles that it has read, so use one for one proof or one publication."""

    def __init__(self) -> None:
        self._tiles: dict[tuple[int, int], bytes] = {}

    def root(self, size: int) -> bytes:
        """The head over the first `size` leaves. Raises Refused(SEQUENCE_BROKEN) where hashes are missing."""
        return merkle.root_at(size, self.subtree)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The RFC 9162 proof of leaf `index` in the tree of `size` leaves."""
        self.read_around(index, size)
        return merkle.inclusion_proof(index, size, self.subtree)

    def consistency(self, first: int, second: int) -> list[bytes]:
        """The RFC 9162 proof that the tree of `second` leaves begins with the one of `first`."""
        self.read_around(first, second)
        return merkle.consistency_proof(first, second, self.subtree)

    def subtree(self, start: int, stop: int) -> bytes:
        """The hash over the complete subtree of leaves start … stop - 1."""
        level, rest = divmod((stop - start).bit_length() - 1, HEIGHT)
        index, offset = divmod(start >> HEIGHT * level, WIDTH)
        hashes = _split(self._tile(level, index)[HASH_BYTES * offset : HASH_BYTES * (offset + (1 << rest))])
        if len(hashes) != 1 << rest:
            raise Refused(Reason.SEQUENCE_BROKEN, detail=f"The tree has no hashes for entries {start} to {stop - 1}.")
        return merkle.root(hashes)

    def append(self, size: int, leaves: Sequence[bytes]) -> None:
        """Add leaf hashes behind the first `size` leaves. Raises Refused(SEQUENCE_BROKEN) if there are not `size`."""
        level, start, new = 0, size, list(leaves)
        changed: list[Tile] = []
        while new:
            first, offset = divmod(start, WIDTH)
            stored = _split(self._tile(level, first))
            if len(stored) != offset:
                raise Refused(
                    Reason.SEQUENCE_BROKEN,
                    detail=f"Tile {level}/{first} holds {len(stored)} hashes; the checkpoint stands at {offset}.",
                )
            row = stored + new
            complete: list[bytes] = []
            for begin in range(0, len(row), WIDTH):
                tile = row[begin : begin + WIDTH]
                index, hashes = first + begin // WIDTH, b"".join(tile)
                changed.append(Tile(level=level, index=index, hashes=hashes))
                if len(tile) == WIDTH:
                    complete.append(merkle.root(tile))
                    self._tiles.pop((level, index), None)  # so that a long append holds its edge only
                else:
                    self._tiles[level, index] = hashes
            level, start, new = level + 1, first, complete
        Tile.objects.bulk_create(
            changed, update_conflicts=True, unique_fields=["level", "index"], update_fields=["hashes"]
        )

    def read_around(self, *places: int) -> None:
        """Read every tile that has one of these leaves under it, in one query, unless it is here: those that proofs
        between and to these places can ask for."""
        wanted: set[tuple[int, int]] = set()
        level = 0
        while places and max(places) >> HEIGHT * level:
            wanted |= {(level, place >> HEIGHT * (level + 1)) for place in places}
            level += 1
        wanted -= self._tiles.keys()
        indexes: dict[int, list[int]] = {}
        for level, index in sorted(wanted):
            indexes.setdefault(level, []).append(index)
        at = [Q(level=level, index__in=of_level) for level, of_level in indexes.items()]
        if at:
            found = Tile.objects.filter(reduce(or_, at)).values_list("level", "index", "hashes")
            self._tiles |= dict.fromkeys(wanted, b"") | {
                (level, index): bytes(hashes) for level, index, hashes in found
            }

    def _tile(self, level: int, index: int) -> bytes:
        if (level, index) not in self._tiles:
            # Not first(): its ORDER BY lets PostgreSQL walk through all tiles for the one that there is.
            found = Tile.objects.filter(level=level, index=index).values_list("hashes", flat=True)
            self._tiles[level, index] = bytes(next(iter(found), b""))
        return self._tiles[level, index]


def _split(hashes: bytes) -> list[bytes]:
    return [hashes[start : start + HASH_BYTES] for start in range(0, len(hashes), HASH_BYTES)]
