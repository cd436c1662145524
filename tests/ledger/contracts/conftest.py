"""The contracts on an EVM in memory (revm): blocks are numbered by the test, every call is a transaction."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from eth_abi.abi import decode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address
from pyrevm import EVM, BlockEnv, CfgEnv, Env
from web3 import Web3

from ledger.contracts import artefact
from tests.support.forged_contract import forged

CHAIN_ID = 31338
_RETURNED = re.compile(r"output: 0x([0-9a-f]*)")


class Reverted(Exception):
    """A contract's refusal, with its reason as the text."""

    @classmethod
    def because(cls, reason: str) -> "pytest.RaisesExc[Reverted]":
        """Inside, the contract has to refuse for exactly this reason."""
        return pytest.raises(cls, match=rf"\A{reason}\Z")


class Machine:
    """One EVM; `block` and `time` are those of the next call."""

    def __init__(self, chain_id: int = CHAIN_ID) -> None:
        self.evm = EVM(env=Env(cfg=CfgEnv(chain_id=chain_id)))
        self.block, self.time = 1, 1_800_000_000

    def deploy(self, name: str, *arguments: Any) -> "Deployed":
        contract = Web3().eth.contract(abi=artefact(name).abi, bytecode=artefact(name).bytecode)
        code = bytes.fromhex(contract.constructor(*arguments).data_in_transaction[2:])
        deployer = "0x" + "dd" * 20
        address = _or_reverted(lambda: self._at_block().deploy(deployer, code))
        return Deployed(self, name, to_checksum_address(address))

    def create(self, name: str, state: dict[str, int]) -> "Deployed":
        """The genuine code, in a state that its constructor never made."""
        address = _or_reverted(lambda: self._at_block().deploy("0x" + "dd" * 20, forged(name, state)))
        return Deployed(self, name, to_checksum_address(address))

    def call(self, sender: str, to: str, data: bytes, *, static: bool) -> bytes:
        return bytes(_or_reverted(lambda: self._at_block().message_call(sender, to, data, is_static=static)))

    def mine(self, blocks: int = 1) -> int:
        """Close the present block; answers its number. Time stands still: two blocks may share a second."""
        self.block += blocks
        return self.block - blocks

    def _at_block(self) -> EVM:
        self.evm.set_block_env(BlockEnv(number=self.block, timestamp=self.time))
        return self.evm


class Deployed:
    """A contract at an address: `send` writes as somebody, `read` asks."""

    def __init__(self, machine: Machine, name: str, address: str) -> None:
        self.machine, self.address = machine, address
        self.contract = Web3().eth.contract(to_checksum_address(address), abi=artefact(name).abi)

    def send(self, sender: str, function: str, *arguments: Any) -> None:
        self.machine.call(sender, self.address, self._encode(function, arguments), static=False)

    def read(self, function: str, *arguments: Any) -> Any:
        returned = self.machine.call("0x" + "ee" * 20, self.address, self._encode(function, arguments), static=True)
        types = [output["type"] for output in self.contract.get_function_by_name(function).abi["outputs"]]
        values = decode(types, returned)
        return values[0] if len(values) == 1 else values

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """What the latest transaction logged, as (event, arguments)."""
        found = []
        for log in self.machine.evm.result.logs:
            topics, data = log.data
            raw: Any = {
                "address": self.address,
                "topics": topics,
                "data": data,
                "blockNumber": None,
                "blockHash": None,
                "transactionHash": None,
                "transactionIndex": 0,
                "logIndex": 0,
            }
            for event in self.contract.events:
                if event.topic == "0x" + topics[0].hex():
                    found.append((event.event_name, dict(event.process_log(raw)["args"])))
        return found

    def _encode(self, function: str, arguments: tuple[Any, ...]) -> bytes:
        return bytes.fromhex(self.contract.encode_abi(function, arguments)[2:])


def _or_reverted(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except RuntimeError as error:
        found = _RETURNED.search(str(error))
        if found is None:
            raise
        returned = bytes.fromhex(found[1])
        raise Reverted(decode(["string"], returned[4:])[0] if returned else "") from None


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture(scope="session")
def new_machine() -> type[Machine]:
    """For properties, which need a fresh machine for each example."""
    return Machine


@pytest.fixture(scope="session")
def reverted() -> type[Reverted]:
    return Reverted


@pytest.fixture(scope="session")
def accounts() -> list[LocalAccount]:
    return [Account.from_key(bytes([0xA0 + index]) * 32) for index in range(6)]
