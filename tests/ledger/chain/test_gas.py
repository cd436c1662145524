"""What the contracts cost: the table of docs/reference/contracts.md, measured on a real chain.

A signature or a root with some zero bytes is a few gas cheaper, hence one per cent of tolerance.
"""

import time
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount

from concordat import merkle, votes
from concordat.canonical import digest_bytes
from concordat.resolution import MembershipChange, Resolution, Succession, examine
from concordat.rpc import Rpc
from concordat.votes import Vote
from ledger.chain.client import ChainClient, connect
from ledger.chain.deploy import Deployment, deploy_successor
from ledger.chain.signers import LocalSigner
from ledger.contracts import GOVERNANCE_REGISTRY, artefact

DEFINITION = "sha256:" + "d1" * 32
LEAVES = [merkle.leaf_hash(n.to_bytes(4, "big")) for n in range(40_000)]


@pytest.fixture
def url(chain: Any) -> str:
    return str(chain.url)


@pytest.fixture
def spent(client: ChainClient, keys: list[LocalAccount]) -> Any:
    """Sends a transaction as the operator, and answers its gas."""

    def send(transaction: Any) -> int:
        signed = LocalSigner(keys[0]).sign(transaction)
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
    assert gas == pytest.approx([58_900, 64_120, 64_120, 64_140], rel=0.01)
    assert max(gas) <= 90_000


def test_voting_directly(client: ChainClient, keys: list[LocalAccount], url: str, spent: Any) -> None:
    operator = keys[0].address
    web3 = connect(url)
    registry = web3.eth.contract(client.registry_address, abi=artefact(GOVERNANCE_REGISTRY).abi)

    def cast(key: LocalAccount, approve: bool) -> int:
        """What an `eth_call` as the member would use: it has no ether of its own here."""
        call = registry.functions.vote(digest_bytes(DEFINITION), approve)
        return int(call.estimate_gas({"from": key.address}))

    def relay(key: LocalAccount, approve: bool, nonce: int = 0) -> None:
        vote = Vote(DEFINITION, approve, key.address, nonce, int(time.time()) + 3600)
        signature = votes.sign(vote, key, domain=client.domain)
        spent(client.build_vote_by_sig(relayer=operator, vote=vote, signature=signature))

    gas = [cast(keys[1], True)]
    relay(keys[1], True)
    gas.append(cast(keys[2], True))
    relay(keys[2], True)
    gas.append(cast(keys[2], False))
    assert gas == pytest.approx([52_790, 58_270, 58_260], rel=0.01)
    assert max(gas) <= 60_000


def test_a_succession_and_a_membership_change(
    client: ChainClient, keys: list[LocalAccount], url: str, spent: Any
) -> None:
    operator = keys[0].address
    successor = deploy_successor(
        rpc_url=url,
        chain_id=client.chain_id,
        deployer=keys[0],
        submitters=[operator],
        registry=client.registry_address,
        predecessor=client.anchor_address,
    )
    _anchor_one(client, operator, spent)

    def resolve(resolution: Resolution, nonce: int) -> None:
        digest = examine(resolution, Rpc(url), client.domain).digest
        for key in keys[1:3]:
            vote = Vote(digest, True, key.address, nonce, int(time.time()) + 3600)
            signature = votes.sign(vote, key, domain=client.domain)
            spent(client.build_vote_by_sig(relayer=operator, vote=vote, signature=signature))

    resolve(Succession(successor.anchor_transaction), 0)
    after = ChainClient(url, client.chain_id, successor.anchor_address, client.registry_address)
    gas = [
        spent(client.build_seal(sender=operator, successor=successor.anchor_address)),
        spent(after.build_begin(sender=operator)),
    ]
    resolve(MembershipChange(operator, "", 3), 1)
    gas.append(spent(client.build_enact(sender=operator, joining=operator, leaving="", quorum=3)))
    assert gas == pytest.approx([99_670, 174_680, 111_440], rel=0.01)


def test_deploying(deployed: Deployment, url: str) -> None:
    """The registry with four institutions, then the log with one submitter; each makes a block of its own here."""
    blocks = [connect(url).eth.get_block(deployed.block + number) for number in (0, 1)]
    assert [block["gasUsed"] for block in blocks] == pytest.approx([1_422_740, 1_374_440], rel=0.01)


def _anchor_one(client: ChainClient, submitter: str, spent: Any) -> None:
    root = merkle.root(LEAVES[:1])
    spent(
        client.build_anchor(
            submitter=submitter,
            sequence=1,
            previous_root=bytes(32),
            root=root,
            size=1,
            checkpoint_hash=LEAVES[0],
            proof=[],
        )
    )
