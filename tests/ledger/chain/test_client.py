"""The typed client against a real chain: what it reads, what it sends, and how it says no."""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount

from concordat import merkle, votes
from concordat.reasons import Reason, Refused
from concordat.votes import Vote
from ledger.chain.client import ChainClient
from ledger.chain.deploy import Deployment
from ledger.chain.signers import LocalSigner
from ledger.chain.types import SignedTransaction

LEAVES = [merkle.leaf_hash(bytes([n])) for n in range(8)]
DEFINITION = "sha256:" + "d1" * 32
CHECKPOINT = bytes(range(32))


def anchoring(client: ChainClient, key: LocalAccount, leaves: int, **changes: Any) -> SignedTransaction:
    """The next anchor, honestly built unless `changes` say otherwise, and signed."""
    head = client.head()
    sequence, before, root = (head.sequence, head.size, head.root) if head else (0, 0, bytes(32))
    proof = merkle.consistency_proof(before, leaves, lambda a, b: merkle.root(LEAVES[a:b])) if before else []
    honest = {
        "sequence": sequence + 1,
        "previous_root": root,
        "root": merkle.root(LEAVES[:leaves]),
        "size": leaves,
        "checkpoint_hash": CHECKPOINT,
        "proof": proof,
    }
    return LocalSigner(key).sign(client.build_anchor(submitter=key.address, **(honest | changes)))


def ballot(key: LocalAccount, approve: bool = True, nonce: int = 0) -> Vote:
    return Vote(DEFINITION, approve, key.address, nonce, int(time.time()) + 3600)


def relay(client: ChainClient, operator: LocalAccount, key: LocalAccount, vote: Vote) -> str:
    signature = votes.sign(vote, key, domain=client.domain)
    signed = LocalSigner(operator).sign(
        client.build_vote_by_sig(relayer=operator.address, vote=vote, signature=signature)
    )
    client.broadcast(signed)
    return signed.hash


def refused(reason: Reason, detail: str = "") -> Any:
    return pytest.raises(Refused, match=rf"{reason}: .*{detail}")


# --- anchors


def test_there_is_no_head_before_the_first_anchor(client: ChainClient) -> None:
    assert client.head() is None
    assert client.anchored(1) is None


def test_an_anchor_is_sent_and_read_back(client: ChainClient, keys: list[LocalAccount]) -> None:
    for size in (3, 8):
        signed = anchoring(client, keys[0], size)
        client.broadcast(signed)
    receipt, head = client.receipt(signed.hash), client.head()

    assert receipt is not None
    assert receipt.succeeded
    assert head is not None
    assert (head.sequence, head.root, head.size, head.block) == (2, merkle.root(LEAVES), 8, receipt.block)
    assert client.anchored(2) == head
    first = client.anchored(1)
    assert first is not None
    assert first.root == merkle.root(LEAVES[:3])


def test_broadcasting_the_same_bytes_again_is_no_error(client: ChainClient, keys: list[LocalAccount]) -> None:
    signed = anchoring(client, keys[0], 3)
    client.broadcast(signed)
    receipt = client.receipt(signed.hash)
    client.broadcast(signed)
    assert client.receipt(signed.hash) == receipt


def test_another_transaction_with_a_used_nonce_is_refused(client: ChainClient, keys: list[LocalAccount]) -> None:
    one, other = anchoring(client, keys[0], 3), anchoring(client, keys[0], 4)
    client.broadcast(one)
    with refused(Reason.CHAIN_REVERTED, "nonce too low"):
        client.broadcast(other)
    assert client.receipt(other.hash) is None


def test_a_refused_anchor_tells_the_contract_s_reason_before_it_is_sent(
    client: ChainClient, keys: list[LocalAccount]
) -> None:
    client.broadcast(anchoring(client, keys[0], 4))
    for changes, reason in (
        ({"sequence": 1}, "sequence"),
        ({"previous_root": CHECKPOINT}, "previous root"),
        ({"size": 4}, "size"),
        ({"root": CHECKPOINT}, "consistency"),
    ):
        with refused(Reason.CHAIN_REVERTED, reason):
            anchoring(client, keys[0], 8, **changes)


def test_an_anchor_overtaken_by_another_is_mined_but_failed(client: ChainClient, keys: list[LocalAccount]) -> None:
    nonce = client.transaction_nonce(keys[0].address)
    late = anchoring(client, keys[0], 4, nonce=nonce + 1)
    client.broadcast(anchoring(client, keys[0], 3, nonce=nonce))
    client.broadcast(late)

    receipt, head = client.receipt(late.hash), client.head()
    assert receipt is not None
    assert head is not None
    assert not receipt.succeeded
    assert head.size == 3


# --- votes


def test_relayed_votes_authorise_and_are_remembered_by_block(client: ChainClient, keys: list[LocalAccount]) -> None:
    operator, first, second, third, _ = keys
    before = client.authorisation(DEFINITION).block
    for key in (first, second):
        relay(client, operator, key, ballot(key))
    approved = client.authorisation(DEFINITION).block
    relay(client, operator, second, ballot(second, approve=False, nonce=1))

    now, then, earlier = (client.authorisation(DEFINITION, block) for block in (None, approved, before))
    assert (now.authorised, then.authorised, earlier.authorised) == (False, True, False)
    assert then.approvals == {first.address: True, second.address: True, third.address: False, keys[4].address: False}
    assert (then.quorum, then.block) == (2, approved)


def test_an_altered_vote_is_refused(client: ChainClient, keys: list[LocalAccount]) -> None:
    vote = ballot(keys[1])
    signature = votes.sign(vote, keys[1], domain=client.domain)
    with refused(Reason.CHAIN_REVERTED, "signature"):
        client.build_vote_by_sig(relayer=keys[0].address, vote=replace(vote, approve=False), signature=signature)


def test_the_authorisation_of_a_block_to_come_is_refused(client: ChainClient) -> None:
    with refused(Reason.CHAIN_REVERTED, "future block"):
        client.authorisation(DEFINITION, client.authorisation(DEFINITION).block + 1)


def test_a_definition_is_named_by_its_digest(client: ChainClient) -> None:
    with refused(Reason.MALFORMED):
        client.authorisation("0x" + "d1" * 32)


# --- which chain


def test_finality_is_a_depth_or_what_the_chain_calls_final(
    chain: Any, deployed: Deployment, client_of_url: Callable[..., ChainClient]
) -> None:
    latest = client_of_url(chain.url, deployed).authorisation(DEFINITION).block
    finalised = [client_of_url(chain.url, deployed, finality=f).finalised_block() for f in ("finalized", 0, 2, 10**6)]
    assert finalised == [latest, latest, latest - 2, 0]


def test_another_chain_is_refused(chain: Any, deployed: Deployment) -> None:
    client = ChainClient(chain.url, 1, deployed.anchor_address, deployed.registry_address)
    with refused(Reason.CHAIN_WRONG, "serves chain 31338, not 1"):
        client.head()


def test_other_code_at_the_address_is_refused(chain: Any, deployed: Deployment, keys: list[LocalAccount]) -> None:
    swapped = ChainClient(chain.url, 31338, deployed.registry_address, deployed.anchor_address)
    with refused(Reason.CHAIN_WRONG, f"{deployed.registry_address} is not AnchorLog"):
        swapped.head()
    empty = ChainClient(chain.url, 31338, deployed.anchor_address, keys[1].address)
    with refused(Reason.CHAIN_WRONG, f"{keys[1].address} is not GovernanceRegistry"):
        empty.head()


def test_a_chain_that_is_down_is_named_unavailable(deployed: Deployment) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    client = ChainClient(f"http://127.0.0.1:{port}", 31338, deployed.anchor_address, deployed.registry_address)
    with refused(Reason.CHAIN_UNAVAILABLE):
        client.head()


def test_a_chain_that_does_not_answer_is_given_up(deployed: Deployment) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        client = ChainClient(url, 31338, deployed.anchor_address, deployed.registry_address, timeout=0.2)
        with refused(Reason.CHAIN_UNAVAILABLE):
            client.head()


def test_a_server_that_is_no_chain_is_named_unavailable(deployed: Deployment) -> None:
    """A proxy's error page, for instance."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>")

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with refused(Reason.CHAIN_UNAVAILABLE):
            ChainClient(url, 31338, deployed.anchor_address, deployed.registry_address).head()
        thread.join()
