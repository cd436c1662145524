"""Reading an EVM chain by JSON-RPC alone: its id, what a contract answers, the hash of a block.

Arguments and answers of contracts are 32-byte words (Solidity ABI); a function is chosen by the first four bytes of
the Keccak-256 of its signature. Whoever only reads needs no more of a chain's client than this.
"""

import re
from typing import Any

import httpx
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from concordat import canonical
from concordat.reasons import Reason, Refused
from concordat.trusted import authorities

_HASH = re.compile(r"0x[0-9a-f]{64}")


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
        return self.numbers(contract, function, 1, *words)[0]

    def numbers(self, contract: str, function: str, count: int, *words: bytes) -> list[int]:
        """A contract's answer of exactly so many words, each a whole number or a truth value."""
        answer = self._words(contract, function, words)
        if len(answer) != count:
            raise _odd(contract, function)
        return [int.from_bytes(word, "big") for word in answer]

    def address(self, contract: str, function: str, *words: bytes) -> str:
        """A contract's answer that is one address, with its checksum; empty for the zero address."""
        (word,) = self.numbers(contract, function, 1, *words)
        return address_of(number_word(word))

    def addresses(self, contract: str, function: str, *words: bytes) -> list[str]:
        """A contract's answer that is one list of addresses."""
        answer = self._words(contract, function, words)
        if len(answer) < 2 or len(answer) != 2 + int.from_bytes(answer[1], "big"):
            raise _odd(contract, function)
        return [address_of(word) for word in answer[2:]]

    def transaction(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The transaction with this hash, and its receipt. Raises Refused(NOT_FOUND) if it is in no block."""
        if not _HASH.fullmatch(name):
            detail = "A transaction's hash is 0x and 64 hexadecimal digits."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="transaction")
        sent, receipt = self._ask("eth_getTransactionByHash", name), self._ask("eth_getTransactionReceipt", name)
        if not isinstance(sent, dict) or not isinstance(receipt, dict):
            raise Refused(Reason.NOT_FOUND, detail="The chain has no such transaction.", field="transaction")
        return sent, receipt

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
            raise _odd(contract, function)
        return [answer[at : at + 32] for at in range(0, len(answer), 32)]

    def _ask(self, method: str, *parameters: Any) -> Any:
        question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        try:
            with httpx.Client(verify=authorities(), transport=self._transport, timeout=self._seconds) as http:
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


def _odd(contract: str, function: str) -> Refused:
    return Refused(Reason.CHAIN_WRONG, detail=f"{contract} does not answer {function}.")


def address_of(word: bytes | str) -> str:
    """The address in a word, or as an endpoint writes one, with its checksum; empty for the zero address."""
    raw = bytes.fromhex(word.removeprefix("0x")) if isinstance(word, str) else word
    return str(to_checksum_address(raw[-20:])) if any(raw) else ""


def number_word(number: int) -> bytes:
    """A whole number as a word."""
    return number.to_bytes(32, "big")


def address_word(address: str) -> bytes:
    """An address as a word; zero for an empty one."""
    return bytes.fromhex(address.removeprefix("0x")).rjust(32, b"\0")
