"""What the contracts cost: the table of docs/reference/contracts.md, measured on a real chain.

A signature or a root with some zero bytes is a few gas cheaper, hence one per cent of tolerance.
"""

import time
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount

from concordat import merkle, votes
from concordat.votes import Vote
from ledger.chain.client import ChainClient

DEFINITION = "sha256:" + "d1" * 32
LEAVES = [merkle.leaf_hash(n.to_bytes(4, "big")) for n in range(40_000)]


@pytest.fixture
def spent(client: ChainClient, keys: list[LocalAccount]) -> Any:
    """Sends a transaction as the operator, and answers its gas."""

    def send(transaction: Any) -> int:
        signed = client.sign(transaction, keys[0])
        client.broadcast(signed)
        receipt = client.receipt(signed.hash)
        assert receipt is not None
        assert receipt.succeeded
        return receipt.gas

    return send


def test_anchoring(client: ChainClient, keys: list[LocalAccount], spent: Any) -> None:
    table: list[tuple[int, int]] = []
    sizes = [1, 2, 10_001, 40_000]
    for sequence, (before, size) in enumerate(zip([0, *sizes], sizes, strict=False), start=1):
        proof = merkle.consistency_proof(before, size, lambda a, b: merkle.root(LEAVES[a:b])) if before else []
        transaction = client.build_anchor(
            submitter=keys[0].address,
            sequence=sequence,
            previous_root=merkle.root(LEAVES[:before]) if before else bytes(32),
            root=merkle.root(LEAVES[:size]),
            size=size,
            checkpoint_hash=LEAVES[0],
            proof=proof,
        )
        table.append((len(proof), spent(transaction)))

    assert [length for length, _ in table] == [0, 1, 13, 17]
    assert [gas for _, gas in table] == pytest.approx([99_280, 84_290, 98_300, 104_620], rel=0.01)


def test_relaying_votes(client: ChainClient, keys: list[LocalAccount], spent: Any) -> None:
    def cast(key: LocalAccount, approve: bool, nonce: int = 0) -> int:
        vote = Vote(DEFINITION, approve, key.address, nonce, int(time.time()) + 3600)
        signature = votes.sign(vote, key, domain=client.domain)
        return int(spent(client.build_vote_by_sig(relayer=keys[0].address, vote=vote, signature=signature)))

    gas = [cast(keys[1], True), cast(keys[2], True), cast(keys[3], True), cast(keys[2], False, 1)]
    assert gas == pytest.approx([100_370, 85_890, 85_890, 68_810], rel=0.01)
