"""Reading an EVM chain by JSON-RPC alone: its id, what a contract answers, the hash of a block.

Arguments and answers of contracts are 32-byte words (Solidity ABI); a function is chosen by the first four bytes of
the Keccak-256 of its signature. Whoever only reads needs no more of a chain's client than this.
"""

from typing import Any

import httpx
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
        answer = self._ask("eth_call", {"to": contract, "data": "0x" + data.hex()}, "latest")
        if not isinstance(answer, str) or not answer.startswith("0x"):
            raise Refused(Reason.CHAIN_WRONG)
        try:
            return bytes.fromhex(answer[2:])
        except ValueError as error:
            raise Refused(Reason.CHAIN_WRONG) from error

    def block_hash(self, number: int) -> str | None:
        """The hash of the block with this number, if there is one."""
        block = self._ask("eth_getBlockByNumber", hex(number), False)
        return str(block.get("hash")) if isinstance(block, dict) else None

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


def number_word(number: int) -> bytes:
    """A whole number as a word."""
    return number.to_bytes(32, "big")


def address_word(address: str) -> bytes:
    """An address as a word."""
    return bytes.fromhex(address.removeprefix("0x")).rjust(32, b"\0")
