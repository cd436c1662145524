"""Merkle tree hashing and proofs after RFC 9162, section 2.1: pure functions, no storage.

Proofs are built from a callback `subtree(start, stop)`, which answers the hash over the leaves start … stop - 1. It is
asked for complete subtrees only (their length a power of two, their start a multiple of it), the ones that never
change once written, so a log stores each of them once.

Verification takes 32-byte hashes and refuses everything else, the empty tree included: an inclusion or a consistency
proof about nothing proves nothing.
"""

import hashlib
from collections.abc import Callable, Sequence

Subtree = Callable[[int, int], bytes]

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 || data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The tree head over these leaf hashes, in one pass; of none it is the hash of the empty string."""
    if not leaf_hashes:
        return EMPTY_ROOT
    level = list(leaf_hashes)
    while len(level) > 1:
        odd = level[len(level) & ~1 :]
        level = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)] + odd
    return level[0]


class Growing:
    """The tree head over leaf hashes that come a run after the other and are not kept.

    Every run but the last has the same number of hashes, a power of two.
    """

    def __init__(self) -> None:
        self.size = 0
        self._complete: list[tuple[int, bytes]] = []
        """The complete subtrees from the left, each with its size; each is larger than the next one."""

    def add(self, leaf_hashes: Sequence[bytes]) -> None:
        """Put a run behind what is there. Raises ValueError for one that does not begin where a subtree may."""
        size, node = len(leaf_hashes), root(leaf_hashes)
        last = self._complete[-1][0] if self._complete else 0
        if not size or last & (last - 1) or self.size & ((1 << (size - 1).bit_length()) - 1):
            raise ValueError("a run of hashes lies where its subtree does")
        self.size += size
        while self._complete and self._complete[-1][0] == size:
            size, node = 2 * size, node_hash(self._complete.pop()[1], node)
        self._complete.append((size, node))

    @property
    def root(self) -> bytes:
        """The head over all that was added; of nothing it is the hash of the empty string."""
        if not self._complete:
            return EMPTY_ROOT
        *left, (_, node) = self._complete
        for _, subtree in reversed(left):
            node = node_hash(subtree, node)
        return node


def root_at(size: int, subtree: Subtree) -> bytes:
    """The tree head over the first `size` leaves."""
    return _range_hash(0, size, subtree) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """The audit path of leaf `index` in the tree of `size` leaves (RFC 9162, 2.1.3.1). Raises ValueError."""
    if not 0 <= index < size:
        raise ValueError("a leaf's index lies below the size of the tree")
    path: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            path.append(_range_hash(middle, stop, subtree))
            stop = middle
        else:
            path.append(_range_hash(start, middle, subtree))
            start = middle
    return path[::-1]


def consistency_proof(first: int, second: int, subtree: Subtree) -> list[bytes]:
    """That the tree of `second` leaves begins with the tree of `first` (RFC 9162, 2.1.4.1). Raises ValueError."""
    if not 0 < first <= second:
        raise ValueError("the sizes of a consistency proof satisfy 0 < first <= second")
    path: list[bytes] = []
    start, stop = 0, second
    while first != stop:
        middle = start + _split(stop - start)
        if first <= middle:
            path.append(_range_hash(middle, stop, subtree))
            stop = middle
        else:
            path.append(_range_hash(start, middle, subtree))
            start = middle
    if start:  # the verifier knows the first tree's own head, and needs no copy of it
        path.append(_range_hash(start, stop, subtree))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` places the leaf hash `leaf` at `index` in the tree of `size` leaves with head `root`.

    RFC 9162, 2.1.3.2.
    """
    if not 0 <= index < size or not _are_hashes(leaf, root, *proof):
        return False
    node, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and computed == root


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows the tree (`second`, `second_root`) to begin with the tree (`first`, `first_root`).

    RFC 9162, 2.1.4.2. Nothing follows about an empty first tree, so `first` = 0 is refused.
    """
    if not 0 < first <= second or not _are_hashes(first_root, second_root, *proof):
        return False
    if first == second:
        return not proof and first_root == second_root
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if not path:
        return False
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _split(size: int) -> int:
    """The largest power of two below `size` (at least 2): where the RFC divides a tree."""
    return 1 << (size - 1).bit_length() - 1


def _range_hash(start: int, stop: int, subtree: Subtree) -> bytes:
    size = stop - start
    if size & (size - 1) == 0:
        return subtree(start, stop)
    middle = start + _split(size)
    return node_hash(subtree(start, middle), _range_hash(middle, stop, subtree))


def _are_hashes(*values: object) -> bool:
    return all(isinstance(value, bytes) and len(value) == HASH_BYTES for value in values)
