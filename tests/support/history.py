"""A log's history without a database: leaves, signed heads, proofs. A dishonest coordinator has two of them."""

from concordat import checkpoint, merkle, witness
from concordat.checkpoint import Checkpoint
from concordat.signatures import SigningKey


class History:
    def __init__(self, leaves: list[bytes], *, key: SigningKey, origin: str) -> None:
        self.hashes = [merkle.leaf_hash(each) for each in leaves]
        self.key, self.origin = key, origin
        self.lines: dict[int, list[str]] = {}

    def subtree(self, start: int, stop: int) -> bytes:
        return merkle.root(self.hashes[start:stop])

    def note(self, size: int) -> str:
        return checkpoint.sign(Checkpoint(self.origin, size, merkle.root(self.hashes[:size])), self.key, self.origin)

    def cosigned(self, size: int) -> str:
        return self.note(size) + "".join(self.lines.get(size, []))


class Shown:
    """The coordinator as one node sees it: one history, up to some size."""

    def __init__(self, history: History, size: int) -> None:
        self.history, self.size = history, size

    def checkpoint(self, old: int) -> str:
        proof = merkle.consistency_proof(old, self.size, self.history.subtree) if 0 < old <= self.size else []
        return witness.write(old, proof, self.history.note(self.size))

    def cosign(self, size: int, lines: str) -> None:
        self.history.lines.setdefault(size, []).append(lines)
