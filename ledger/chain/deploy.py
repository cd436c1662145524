"""Puts the contracts on a chain, by a key that has no power over them afterwards.

    python -m ledger.chain.deploy --rpc URL --chain-id N --keys DIR \\
        --submitter 0x… --institution 0x… --institution 0x… --quorum 2

once for each consortium, and later, for an anchor log that is to succeed another under the same registry, or another,

    python -m ledger.chain.deploy --rpc URL --chain-id N --keys DIR \\
        --submitter 0x… --registry 0x… --predecessor 0x…

DIR is the keystore whose chain key pays for it. Written to standard output: the deployment.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from eth_utils.address import to_checksum_address
from web3 import Web3
from web3.types import TxReceipt

from concordat.accounts import LocalAccount
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from ledger.chain.client import NOBODY, connect
from ledger.chain.errors import chain_errors
from ledger.contracts import ANCHOR_LOG, GOVERNANCE_REGISTRY, artefact

MINING_SECONDS = 180.0


@dataclass(frozen=True)
class Deployment:
    """Where the contracts are; `block` is the first in which they have anything to tell. Whoever relies on one looks at
    the transaction that created it (`concordat consortium contract`); the registry's is empty where it was there."""

    chain_id: int
    anchor_address: str
    registry_address: str
    block: int
    anchor_transaction: str = ""
    registry_transaction: str = ""


def deploy(
    *,
    rpc_url: str,
    chain_id: int,
    deployer: LocalAccount,
    submitters: Sequence[str],
    institutions: Sequence[str],
    quorum: int,
) -> Deployment:
    """Deploy both contracts and wait until they are mined.

    `submitters` may anchor, for ever and nobody else; `institutions` are the first members of the registry, of whom
    `quorum` authorise. Raises `Refused` like the client.
    """
    with chain_errors(sending=True):
        web3 = _connected(rpc_url, chain_id)
        registry = _mined(web3, deployer, GOVERNANCE_REGISTRY, _checksummed(institutions), quorum)
        address = str(registry["contractAddress"])
        anchor = _mined(web3, deployer, ANCHOR_LOG, _checksummed(submitters), address, NOBODY)
    return _deployment(chain_id, anchor, address, registry)


def deploy_successor(
    *,
    rpc_url: str,
    chain_id: int,
    deployer: LocalAccount,
    submitters: Sequence[str],
    registry: str,
    predecessor: str,
) -> Deployment:
    """Deploy an anchor log that may begin once the members of the predecessor's registry have sealed that one to it.

    Raises `Refused` like the client.
    """
    with chain_errors(sending=True):
        web3 = _connected(rpc_url, chain_id)
        (address, before) = _checksummed([registry, predecessor])
        anchor = _mined(web3, deployer, ANCHOR_LOG, _checksummed(submitters), address, before)
    return _deployment(chain_id, anchor, address)


def _connected(rpc_url: str, chain_id: int) -> Web3:
    web3 = connect(rpc_url)
    if web3.eth.chain_id != chain_id:
        raise Refused(Reason.CHAIN_WRONG, detail=f"the endpoint serves chain {web3.eth.chain_id}, not {chain_id}")
    return web3


def _mined(web3: Web3, deployer: LocalAccount, name: str, *arguments: object) -> TxReceipt:
    contract = web3.eth.contract(abi=artefact(name).abi, bytecode=artefact(name).bytecode)
    transaction = contract.constructor(*arguments).build_transaction(
        {
            "from": deployer.address,
            "chainId": web3.eth.chain_id,
            "nonce": web3.eth.get_transaction_count(deployer.address, "pending"),
        }
    )
    sent = web3.eth.send_raw_transaction(deployer.sign_transaction(transaction).raw_transaction)
    receipt = web3.eth.wait_for_transaction_receipt(sent, timeout=MINING_SECONDS)
    if receipt["status"] != 1:
        raise Refused(Reason.CHAIN_REVERTED, detail=f"{name} could not be deployed")
    return receipt


def _deployment(chain_id: int, anchor: TxReceipt, registry: str, registered: TxReceipt | None = None) -> Deployment:
    return Deployment(
        chain_id=chain_id,
        anchor_address=str(anchor["contractAddress"]),
        registry_address=registry,
        block=(registered or anchor)["blockNumber"],
        anchor_transaction=anchor["transactionHash"].to_0x_hex(),
        registry_transaction=registered["transactionHash"].to_0x_hex() if registered else "",
    )


def _checksummed(addresses: Sequence[str]) -> list[str]:
    return [str(to_checksum_address(address)) for address in addresses]


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ledger.chain.deploy", description="Deploy the ledger's contracts.")
    parser.add_argument("--rpc", required=True, metavar="URL")
    parser.add_argument("--chain-id", type=int, required=True)
    parser.add_argument("--keys", type=Path, required=True, metavar="DIR")
    parser.add_argument("--submitter", action="append", required=True, metavar="ADDRESS")
    parser.add_argument("--institution", action="append", metavar="ADDRESS")
    parser.add_argument("--quorum", type=int)
    parser.add_argument("--registry", metavar="ADDRESS")
    parser.add_argument("--predecessor", metavar="ADDRESS")
    options = parser.parse_args()
    first = bool(options.institution and options.quorum)
    if first == bool(options.registry and options.predecessor):
        parser.error("name either --institution and --quorum, or --registry and --predecessor")
    try:
        common = {
            "rpc_url": options.rpc,
            "chain_id": options.chain_id,
            "deployer": Keystore(options.keys).chain,
            "submitters": options.submitter,
        }
        deployment = (
            deploy(**common, institutions=options.institution, quorum=options.quorum)
            if first
            else deploy_successor(**common, registry=options.registry, predecessor=options.predecessor)
        )
    except Refused as refused:
        parser.exit(1, f"{refused}\n")
    sys.stdout.write(json.dumps(asdict(deployment), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
