"""Digests of conversations that never took place, on which all nodes agree."""

from collections.abc import Iterable

from concordat.canonical import digest
from concordat.receipt import Transcript


def transcripts(nodes: Iterable[str], of: str) -> dict[str, Transcript]:
    """What `of` signs for, by the other nodes."""
    return {node: {"sent": digest([of, node]), "received": digest([node, of])} for node in nodes if node != of}
