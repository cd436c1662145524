"""A Merkle log in memory, as its operator keeps it: what the anchor contract is asked to take."""

from typing import Any

from concordat import merkle

ZERO = bytes(32)
CHECKPOINT = bytes(range(32))


class MemoryLog:
    """`leaves` entries; with `fork`, others of the same number."""

    def __init__(self, leaves: int, fork: bytes = b"") -> None:
        self.leaves = [merkle.leaf_hash(fork + index.to_bytes(4, "big")) for index in range(leaves)]

    def root(self, size: int) -> bytes:
        return merkle.root(self.leaves[:size]) if size else ZERO

    def proof(self, first: int, second: int) -> list[bytes]:
        return merkle.consistency_proof(first, second, self._subtree) if first else []

    def path(self, index: int, size: int) -> list[bytes]:
        return merkle.inclusion_proof(index, size, self._subtree)

    def anchor(self, sequence: int, before: int, size: int) -> tuple[Any, ...]:
        """The arguments of an honest anchor."""
        return sequence, self.root(before), self.root(size), size, CHECKPOINT, self.proof(before, size)

    def _subtree(self, start: int, stop: int) -> bytes:
        return merkle.root(self.leaves[start:stop])
