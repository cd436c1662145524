"""Deployment of both contracts: by whom, where, and with what power afterwards."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from ledger.chain.client import ChainClient
from ledger.chain.deploy import Deployment, deploy

ROOT = Path(__file__).parents[3]
DEFINITION = "sha256:" + "d1" * 32


def consortium(keys: list[LocalAccount]) -> dict[str, Any]:
    return {"submitters": [keys[0].address], "institutions": [key.address for key in keys[1:]], "quorum": 2}


def test_the_contracts_are_there_from_the_named_block(client: ChainClient, deployed: Deployment) -> None:
    client.check()
    assert 0 < deployed.block <= client.authorisation(DEFINITION).block


def test_the_deployer_has_no_power_afterwards(chain: Any, keys: list[LocalAccount]) -> None:
    others = [key.address for key in keys[2:]]
    deployment = deploy(
        rpc_url=chain.url, chain_id=31338, deployer=keys[0], submitters=[keys[1].address], institutions=others, quorum=2
    )
    client = ChainClient(chain.url, 31338, deployment.anchor_address, deployment.registry_address)
    with pytest.raises(Refused, match=f"{Reason.CHAIN_REVERTED}: submitter"):
        client.build_anchor(
            submitter=keys[0].address,
            sequence=1,
            previous_root=bytes(32),
            root=bytes(31) + b"1",
            size=1,
            checkpoint_hash=bytes(32),
            proof=[],
        )
    assert keys[0].address not in client.authorisation(DEFINITION).approvals


def test_deploying_on_another_chain_is_refused(chain: Any, keys: list[LocalAccount]) -> None:
    with pytest.raises(Refused, match="serves chain 31338, not 1"):
        deploy(rpc_url=chain.url, chain_id=1, deployer=keys[0], **consortium(keys))


def test_deploying_without_ether_is_refused(chain: Any, keys: list[LocalAccount]) -> None:
    with pytest.raises(Refused, match=Reason.CHAIN_REVERTED):
        deploy(rpc_url=chain.url, chain_id=31338, deployer=keys[1], **consortium(keys))


def test_a_quorum_that_cannot_be_met_is_refused(chain: Any, keys: list[LocalAccount]) -> None:
    with pytest.raises(Refused, match=f"{Reason.CHAIN_REVERTED}: quorum"):
        deploy(rpc_url=chain.url, chain_id=31338, deployer=keys[0], **(consortium(keys) | {"quorum": 5}))


def test_the_command_deploys_with_a_keystore_s_chain_key(chain: Any, keys: list[LocalAccount], tmp_path: Path) -> None:
    keystore = Keystore(tmp_path / "keys")
    keystore.create(["chain"])
    _send_ether(chain.url, keys[0], keystore.chain.address)
    command = [sys.executable, "-m", "ledger.chain.deploy", "--rpc", chain.url, "--chain-id", "31338"]
    command += ["--keys", str(tmp_path / "keys"), "--quorum", "1", "--submitter", keys[0].address]
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [*command, "--institution", keys[1].address], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    deployment = Deployment(**json.loads(done.stdout))
    ChainClient(chain.url, 31338, deployment.anchor_address, deployment.registry_address).check()


def _send_ether(url: str, sender: LocalAccount, to: str) -> None:
    web3 = Web3(Web3.HTTPProvider(url))
    transaction = {
        "from": sender.address,
        "to": to,
        "value": 10**18,
        "gas": 21_000,
        "maxFeePerGas": 10**10,
        "maxPriorityFeePerGas": 10**9,
        "chainId": 31338,
        "nonce": web3.eth.get_transaction_count(sender.address),
    }
    raw = Account.sign_transaction(transaction, sender.key).raw_transaction
    assert web3.eth.wait_for_transaction_receipt(web3.eth.send_raw_transaction(raw))["status"] == 1
