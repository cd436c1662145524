"""Puts the two contracts on a chain: once for each consortium, by a key that has no power over them afterwards.

    python -m ledger.chain.deploy --rpc URL --chain-id N --keys DIR \\
        --submitter 0x… --institution 0x… --institution 0x… --quorum 2

DIR is the keystore whose chain key pays for it. Written to standard output: the deployment.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from eth_utils.address import to_checksum_address
from web3.types import TxReceipt

from concordat.accounts import LocalAccount
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from ledger.chain.client import connect
from ledger.chain.errors import chain_errors
from ledger.contracts import ANCHOR_LOG, GOVERNANCE_REGISTRY, artefact

MINING_SECONDS = 180.0


@dataclass(frozen=True)
class Deployment:
    """Where the contracts are; `block` is the first in which they have anything to tell."""

    chain_id: int
    anchor_address: str
    registry_address: str
    block: int


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
    web3 = connect(rpc_url)

    def mined(name: str, *arguments: object) -> TxReceipt:
        contract = web3.eth.contract(abi=artefact(name).abi, bytecode=artefact(name).bytecode)
        transaction = contract.constructor(*arguments).build_transaction(
            {
                "from": deployer.address,
                "chainId": chain_id,
                "nonce": web3.eth.get_transaction_count(deployer.address, "pending"),
            }
        )
        sent = web3.eth.send_raw_transaction(deployer.sign_transaction(transaction).raw_transaction)
        receipt = web3.eth.wait_for_transaction_receipt(sent, timeout=MINING_SECONDS)
        if receipt["status"] != 1:
            raise Refused(Reason.CHAIN_REVERTED, detail=f"{name} could not be deployed")
        return receipt

    with chain_errors(sending=True):
        if web3.eth.chain_id != chain_id:
            raise Refused(Reason.CHAIN_WRONG, detail=f"the endpoint serves chain {web3.eth.chain_id}, not {chain_id}")
        anchor = mined(ANCHOR_LOG, _checksummed(submitters))
        registry = mined(GOVERNANCE_REGISTRY, _checksummed(institutions), quorum)
    return Deployment(
        chain_id=chain_id,
        anchor_address=str(anchor["contractAddress"]),
        registry_address=str(registry["contractAddress"]),
        block=min(anchor["blockNumber"], registry["blockNumber"]),
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
    parser.add_argument("--institution", action="append", required=True, metavar="ADDRESS")
    parser.add_argument("--quorum", type=int, required=True)
    options = parser.parse_args()
    try:
        deployment = deploy(
            rpc_url=options.rpc,
            chain_id=options.chain_id,
            deployer=Keystore(options.keys).chain,
            submitters=options.submitter,
            institutions=options.institution,
            quorum=options.quorum,
        )
    except Refused as refused:
        parser.exit(1, f"{refused}\n")
    sys.stdout.write(json.dumps(asdict(deployment), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
