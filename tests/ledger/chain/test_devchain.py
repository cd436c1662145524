"""The embedded chain as a process: what it survives, whom it answers, what it refuses."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from web3 import Web3

from concordat import merkle
from ledger.chain.signers import LocalSigner

LEAVES = [merkle.leaf_hash(bytes([n])) for n in range(8)]


def ask(url: str, method: str, *params: Any) -> dict[str, Any]:
    body = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).encode()
    answer: dict[str, Any] = post(url, body)
    assert answer["id"] == 7
    return answer


def post(url: str, body: bytes, content_type: str = "application/json") -> Any:
    request = urllib.request.Request(url, body, {"Content-Type": content_type})
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.load(response)


def anchor(client: Any, key: LocalAccount, sequence: int) -> str:
    """Anchor the log of `sequence` leaves, one more than before."""
    before = sequence - 1
    transaction = client.build_anchor(
        submitter=key.address,
        sequence=sequence,
        previous_root=merkle.root(LEAVES[:before]) if before else bytes(32),
        root=merkle.root(LEAVES[:sequence]),
        size=sequence,
        checkpoint_hash=bytes(32),
        proof=merkle.consistency_proof(before, sequence, lambda a, b: merkle.root(LEAVES[a:b])) if before else [],
    )
    signed = LocalSigner(key).sign(transaction)
    client.broadcast(signed)
    return str(signed.hash)


def test_nothing_that_was_answered_is_lost_by_sigkill(
    start: Callable[..., Any],
    tmp_path: Path,
    keys: list[LocalAccount],
    deploy_on_url: Callable[..., Any],
    client_of_url: Callable[..., Any],
) -> None:
    state = tmp_path / "state"
    first = start(state)
    deployment = deploy_on_url(first.url, keys)
    client = client_of_url(first.url, deployment)
    hashes = [anchor(client, keys[0], sequence) for sequence in (1, 2, 3)]
    before = {name: getattr(client, name)() for name in ("head", "finalised_block")}
    receipts = [client.receipt(transaction) for transaction in hashes]
    assert first.stop(signal.SIGKILL) == -signal.SIGKILL

    second = start(state)
    client = client_of_url(second.url, deployment)
    assert {name: getattr(client, name)() for name in before} == before
    assert [client.receipt(transaction) for transaction in hashes] == receipts
    assert [client.anchored(n).root for n in (1, 2, 3)] == [merkle.root(LEAVES[:n]) for n in (1, 2, 3)]
    events = ask(second.url, "eth_getLogs", {"fromBlock": "0x0", "address": deployment.anchor_address})["result"]
    assert len(events) == 4  # the submitter, three anchors
    call = {"to": deployment.anchor_address, "data": Web3.keccak(text="sequence()")[:4].to_0x_hex()}
    at = [int(ask(second.url, "eth_call", call, hex(r.block))["result"], 16) for r in receipts]
    assert at == [1, 2, 3]

    anchor(client, keys[0], 4)  # and it goes on
    assert client.head().sequence == 4


def test_sigterm_ends_it_cleanly(start: Callable[..., Any], tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert start(state).stop(signal.SIGTERM) == 0
    assert start(state).stop(signal.SIGTERM) == 0


def test_one_state_directory_is_one_chain(start: Callable[..., Any], tmp_path: Path) -> None:
    start(tmp_path / "state")
    second = start(tmp_path / "state")
    assert "another chain" in second.complaint()
    assert second.process.returncode == 1


def test_a_state_directory_keeps_its_chain_id(start: Callable[..., Any], tmp_path: Path) -> None:
    start(tmp_path / "state").stop(signal.SIGTERM)
    second = start(tmp_path / "state", chain_id=5)
    assert "is chain 31338, not 5" in second.complaint()
    assert second.process.returncode == 1


def test_it_says_so_when_block_0_does_not_fund_an_address(
    start: Callable[..., Any], tmp_path: Path, keys: list[LocalAccount]
) -> None:
    start(tmp_path / "state").stop(signal.SIGTERM)
    command = [sys.executable, "-m", "ledger.chain.devchain", "--state", str(tmp_path / "state")]
    refused = subprocess.run([*command, "--fund", keys[1].address], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert keys[1].address in refused.stderr


def test_it_listens_on_loopback_only(chain: Any) -> None:
    """Every listening socket of the process, as the kernel lists them."""
    port = int(chain.url.rpartition(":")[2])
    lines = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    listening = re.findall(rf"^ *\d+: ([0-9A-F]+):{port:04X} [0-9A-F]+:0000 0A ", lines, re.MULTILINE)
    assert listening == [socket.inet_aton("127.0.0.1")[::-1].hex().upper()]


def test_the_state_directory_is_private_and_holds_no_key(start: Callable[..., Any], tmp_path: Path) -> None:
    start(tmp_path / "state")
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    genesis = json.loads((tmp_path / "state" / "genesis.json").read_text())
    assert set(genesis) == {"chain_id", "time", "funded"}


def test_a_transaction_sent_twice_is_mined_once(chain: Any, client: Any, keys: list[LocalAccount]) -> None:
    transaction = client.build_anchor(
        submitter=keys[0].address,
        sequence=1,
        previous_root=bytes(32),
        root=LEAVES[0],
        size=1,
        checkpoint_hash=bytes(32),
        proof=[],
    )
    raw = "0x" + LocalSigner(keys[0]).sign(transaction).raw.hex()
    assert "result" in ask(chain.url, "eth_sendRawTransaction", raw)
    height = ask(chain.url, "eth_blockNumber")["result"]
    assert ask(chain.url, "eth_sendRawTransaction", raw)["error"] == {"code": -32000, "message": "nonce too low"}
    assert ask(chain.url, "eth_blockNumber")["result"] == height


def test_web3_reads_blocks_transactions_and_fees(chain: Any, client: Any, keys: list[LocalAccount]) -> None:
    sent = anchor(client, keys[0], 1)
    web3 = Web3(Web3.HTTPProvider(chain.url))
    block = web3.eth.get_block("latest", full_transactions=True)
    (transaction,) = block["transactions"]
    assert transaction["hash"].to_0x_hex() == sent  # type: ignore[index]
    assert transaction["from"] == keys[0].address  # type: ignore[index]
    assert web3.eth.get_block(block["hash"])["transactions"] == [transaction["hash"]]  # type: ignore[index]
    assert web3.eth.get_block(block["number"] - 1)["hash"] == block["parentHash"]
    assert web3.eth.get_transaction(sent)["blockNumber"] == block["number"]
    assert web3.eth.get_transaction_count(keys[0].address, "pending") == transaction["nonce"] + 1  # type: ignore[index]
    fees = web3.eth.fee_history(3, "latest")
    assert fees["oldestBlock"] == block["number"] - 2
    assert fees["baseFeePerGas"][2] == block["baseFeePerGas"]
    assert web3.eth.gas_price > block["baseFeePerGas"]
    assert web3.net.version == "31338"
    assert web3.eth.get_balance(keys[0].address) > web3.eth.get_balance(keys[1].address) == 0


def test_logs_are_found_by_address_topic_and_block(chain: Any, client: Any, keys: list[LocalAccount]) -> None:
    sent = anchor(client, keys[0], 1)
    receipt = client.receipt(sent)
    topic = Web3.keccak(text="Anchored(uint256,bytes32,uint256,bytes32,bytes32,address)").to_0x_hex()
    sequence = "0x" + (1).to_bytes(32, "big").hex()

    def found(**wanted: Any) -> list[str]:
        answer = ask(chain.url, "eth_getLogs", {"fromBlock": "0x0", "address": client.anchor_address, **wanted})
        return [log["transactionHash"] for log in answer["result"]]

    assert found(topics=[topic]) == [sent]
    assert found(topics=[None, [sequence, topic]]) == [sent]
    assert found(topics=[topic, topic]) == []
    assert found(topics=[topic], fromBlock=hex(receipt.block + 1), toBlock=hex(receipt.block + 9)) == []
    assert found(topics=[topic], toBlock=hex(receipt.block + 9)) == [sent]
    assert found(address=client.registry_address, topics=[topic]) == []
    assert found(blockHash=receipt.block_hash) == [sent]


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("eth_sendTransaction", [{}], -32601),
        ("eth_getBalance", [], -32602),
        ("eth_getBalance", ["0x12"], -32602),
        ("eth_getBalance", ["0x" + "00" * 20, "0xffffff"], -32000),
        ("eth_sendRawTransaction", ["0x1234"], -32000),
        ("eth_sendRawTransaction", ["0x02c0"], -32000),
        ("eth_sendRawTransaction", ["1234"], -32602),
        ("eth_call", ["text"], -32602),
    ],
)
def test_a_bad_request_gets_an_error_code(chain: Any, method: str, params: list[Any], code: int) -> None:
    assert ask(chain.url, method, *params)["error"]["code"] == code


def test_what_does_not_exist_is_null(chain: Any) -> None:
    for method in ("eth_getTransactionByHash", "eth_getTransactionReceipt", "eth_getBlockByHash"):
        assert ask(chain.url, method, "0x" + "ab" * 32)["result"] is None
    assert ask(chain.url, "eth_getBlockByNumber", "0xffffff", False)["result"] is None


def test_requests_come_in_batches_too(chain: Any) -> None:
    batch = [{"jsonrpc": "2.0", "id": n, "method": "eth_chainId", "params": []} for n in (1, 2)]
    assert [answer["result"] for answer in post(chain.url, json.dumps(batch).encode())] == ["0x7a6a", "0x7a6a"]
    assert post(chain.url, b"{")["error"]["code"] == -32700
    assert post(chain.url, b"[1]")[0]["error"]["code"] == -32600


def test_a_web_page_cannot_post_to_it(chain: Any) -> None:
    """A browser sends text/plain across origins without asking; JSON it would have to ask for first."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(chain.url, b'{"id": 1, "method": "eth_chainId"}', content_type="text/plain")
    assert refused.value.code == 415
