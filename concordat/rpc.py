"""Reading an EVM chain by JSON-RPC alone: its id, what a contract answers, the hash of a block.

Arguments and answers of contracts are 32-byte words (Solidity ABI); a function is chosen by the first four bytes of
the Keccak-256 of its signature. Whoever only reads needs no more of a chain's client than this.
"""

from typing import Any

import httpx
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from concordat import canonical
from concordat.reasons import Reason, Refused


class Rpc:
    """A JSON-RPC endpoint. Calls raise Refused: CHAIN_UNAVAILABLE without an answer, CHAIN_WRONG for a wrong one."""

    def __init__(self, url: str, *, seconds: float = 20.0, transport: httpx.BaseTransport | None = None) -> None:
        self._url, self._seconds, self._transport = url, seconds, transport

    def chain_id(self) -> int:
        """The chain's id (EIP-155)."""
        try:
            return int(str(self._ask("eth_chainId")), 16)
        except ValueError as error:
            raise Refused(Reason.CHAIN_WRONG) from error

    def call(self, contract: str, function: str, *words: bytes) -> bytes:
        """What a contract's function, such as `authorised(bytes32)`, answers now."""
        data = keccak(text=function)[:4] + b"".join(words)
        return _bytes(self._ask("eth_call", {"to": contract, "data": "0x" + data.hex()}, "latest"))

    def number(self, contract: str, function: str, *words: bytes) -> int:
        """A contract's answer that is one whole number, or a truth value."""
        return int.from_bytes(self._words(contract, function, words)[0], "big")

    def address(self, contract: str, function: str, *words: bytes) -> str:
        """A contract's answer that is one address, with its checksum; empty for the zero address."""
        return _address(self._words(contract, function, words)[0])

    def addresses(self, contract: str, function: str, *words: bytes) -> list[str]:
        """A contract's answer that is one list of addresses."""
        _, count, *found = self._words(contract, function, words)
        return [_address(word) for word in found[: int.from_bytes(count, "big")]]

    def code_hash(self, address: str) -> str:
        """Keccak-256 of the code at an address, in hexadecimal; of nothing where there is no contract."""
        return keccak(_bytes(self._ask("eth_getCode", address, "latest"))).hex()

    def block_hash(self, number: int) -> str | None:
        """The hash of the block with this number, if there is one."""
        block = self._ask("eth_getBlockByNumber", hex(number), False)
        return str(block.get("hash")) if isinstance(block, dict) else None

    def _words(self, contract: str, function: str, words: tuple[bytes, ...]) -> list[bytes]:
        answer = self.call(contract, function, *words)
        if not answer or len(answer) % 32:
            raise Refused(Reason.CHAIN_WRONG, detail=f"{contract} does not answer {function}.")
        return [answer[at : at + 32] for at in range(0, len(answer), 32)]

    def _ask(self, method: str, *parameters: Any) -> Any:
        question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        try:
            with httpx.Client(transport=self._transport, timeout=self._seconds) as http:
                response = http.post(self._url, json=question).raise_for_status()
            answer = canonical.decode(response.content)
        except (httpx.HTTPError, httpx.InvalidURL, Refused) as error:
            raise Refused(Reason.CHAIN_UNAVAILABLE) from error
        if not isinstance(answer, dict) or "result" not in answer:
            raise Refused(Reason.CHAIN_WRONG, detail=f"The chain does not answer {method}.")
        return answer["result"]


def _bytes(answer: object) -> bytes:
    if not isinstance(answer, str) or not answer.startswith("0x"):
        raise Refused(Reason.CHAIN_WRONG)
    try:
        return bytes.fromhex(answer[2:])
    except ValueError as error:
        raise Refused(Reason.CHAIN_WRONG) from error


def _address(word: bytes) -> str:
    return str(to_checksum_address(word[12:])) if any(word) else ""


def number_word(number: int) -> bytes:
    """A whole number as a word."""
    return number.to_bytes(32, "big")


def address_word(address: str) -> bytes:
    """An address as a word; zero for an empty one."""
    return bytes.fromhex(address.removeprefix("0x")).rjust(32, b"\0")
