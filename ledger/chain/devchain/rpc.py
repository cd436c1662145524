"""The JSON-RPC methods of the embedded chain: those that web3 needs to send, to call and to look back.

It holds no account, so there is no `eth_sendTransaction`: transactions come signed. "safe" and "finalized" are the
latest block, as a chain of one process never reorganises.
"""

import re
import threading
from collections.abc import Callable
from importlib.metadata import version
from inspect import signature
from typing import Any

from eth.abc import BlockHeaderAPI
from eth.exceptions import Revert, VMError
from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_typing import Address
from eth_utils.exceptions import ValidationError

from ledger.chain.devchain import CLIENT_NAME, documents
from ledger.chain.devchain.chain import EmbeddedChain
from ledger.chain.devchain.documents import Document, data, quantity

TIP = 10**9
ERROR_SELECTOR = bytes.fromhex("08c379a0")  # Error(string)


class RpcError(Exception):
    """An error answer of JSON-RPC 2.0: code, message and, of a reverted call, the returned bytes."""

    def __init__(self, code: int, message: str, returned: bytes | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.returned = code, message, returned

    def document(self) -> Document:
        extra = {} if self.returned is None else {"data": data(self.returned)}
        return {"code": self.code, "message": self.message, **extra}


class Rpc:
    """Answers requests one at a time, whatever the number of connections."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self._chain = chain
        self._lock = threading.Lock()
        self._methods: dict[str, Callable[..., Any]] = {
            "web3_clientVersion": lambda: f"{CLIENT_NAME}/py-evm-{version('py-evm')}",
            "net_version": lambda: str(chain.chain_id),
            "eth_chainId": lambda: quantity(chain.chain_id),
            "eth_syncing": lambda: False,
            "eth_accounts": list,
            "eth_blockNumber": lambda: quantity(chain.head().block_number),
            "eth_gasPrice": lambda: quantity((chain.head().base_fee_per_gas or 0) + TIP),
            "eth_maxPriorityFeePerGas": lambda: quantity(TIP),
            "eth_feeHistory": self._fee_history,
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getBalance": self._balance,
            "eth_getTransactionCount": self._transaction_count,
            "eth_getCode": self._code,
            "eth_getStorageAt": self._storage,
            "eth_call": self._call,
            "eth_estimateGas": self._estimate,
            "eth_sendRawTransaction": self._send,
            "eth_getTransactionByHash": self._transaction,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getLogs": self._logs,
        }

    def answer(self, method: object, params: object) -> Any:
        """The result of one request. Raises `RpcError`."""
        function = self._methods.get(method) if isinstance(method, str) else None
        if function is None:
            raise RpcError(-32601, f"the method {method} does not exist")
        if not isinstance(params, list):
            raise _bad("the parameters are a list")
        try:
            signature(function).bind(*params)
        except TypeError as error:
            raise _bad("too few or too many parameters") from error
        with self._lock:
            try:
                return function(*params)
            except Revert as error:
                returned = bytes(error.args[0]) if error.args else b""
                raise RpcError(3, _revert_message(returned), returned) from error
            except VMError as error:
                raise RpcError(-32000, f"execution failed: {type(error).__name__}") from error
            except ValidationError as error:
                raise RpcError(-32000, _refusal(str(error))) from error

    # --- blocks and transactions

    def _block_by_number(self, block: Any, whole: bool = False) -> Document | None:
        return self._block_document(self._find(block), whole)

    def _block_by_hash(self, block_hash: str, whole: bool = False) -> Document | None:
        return self._block_document(self._chain.header_by_hash(_bytes(block_hash, 32)), whole)

    def _block_document(self, header: BlockHeaderAPI | None, whole: bool) -> Document | None:
        return documents.block_document(self._chain.block(header), whole=whole) if header else None

    def _transaction(self, transaction_hash: str) -> Document | None:
        header = self._chain.header_of(_bytes(transaction_hash, 32))
        return documents.transaction_document(self._chain.mined(header)[0], header) if header else None

    def _receipt(self, transaction_hash: str) -> Document | None:
        header = self._chain.header_of(_bytes(transaction_hash, 32))
        if header is None:
            return None
        transaction, receipt = self._chain.mined(header)
        return documents.receipt_document(transaction, header, receipt)

    def _logs(self, wanted: object) -> list[Document]:
        if not isinstance(wanted, dict):
            raise _bad("a filter is an object")
        # A block to come has no logs yet; up to it means up to the latest.
        first = self._find(wanted.get("blockHash") or wanted.get("fromBlock", "latest"))
        last = self._find(wanted.get("blockHash") or wanted.get("toBlock", "latest")) or self._chain.head()
        if first is None:
            return []
        addresses = {_bytes(item, 20) for item in _list(wanted.get("address"))}
        topics = [{_bytes(one, 32) for one in _list(item)} for item in _list(wanted.get("topics"))]
        return [
            log
            for header in self._chain.headers(first.block_number, last.block_number)
            for log in self._block_logs(header, addresses, topics)
        ]

    def _block_logs(self, header: BlockHeaderAPI, addresses: set[bytes], topics: list[set[bytes]]) -> list[Document]:
        if header.bloom == 0:
            return []
        transaction, receipt = self._chain.mined(header)
        logs = zip(receipt.logs, documents.log_documents(transaction, header, receipt), strict=True)
        return [
            document
            for log, document in logs
            if (not addresses or log.address in addresses)
            and len(topics) <= len(log.topics)
            and all(
                not any_of or topic.to_bytes(32, "big") in any_of
                for any_of, topic in zip(topics, log.topics, strict=False)
            )
        ]

    def _fee_history(self, count: Any, newest: Any, _percentiles: Any = None) -> Document:
        last = self._header(newest)
        blocks = count if isinstance(count, int) else _number(count)
        headers = list(self._chain.headers(max(0, last.block_number - blocks + 1), last.block_number))
        fees = [header.base_fee_per_gas for header in headers]
        return {
            "oldestBlock": quantity(headers[0].block_number),
            "baseFeePerGas": [quantity(fee) for fee in [*fees, fees[-1]]],
            "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
            "reward": [[quantity(TIP)] for _ in headers],
        }

    # --- state

    def _balance(self, address: str, block: Any = "latest") -> str:
        return quantity(self._chain.state(self._header(block)).get_balance(_address(address)))

    def _transaction_count(self, address: str, block: Any = "latest") -> str:
        return quantity(self._chain.state(self._header(block)).get_nonce(_address(address)))

    def _code(self, address: str, block: Any = "latest") -> str:
        return data(self._chain.state(self._header(block)).get_code(_address(address)))

    def _storage(self, address: str, slot: str, block: Any = "latest") -> str:
        content = self._chain.state(self._header(block)).get_storage(_address(address), _number(slot))
        return data(content.to_bytes(32, "big"))

    def _call(self, request: dict[str, Any], block: Any = "latest") -> str:
        return data(self._chain.call(self._header(block), _request(request)))

    def _estimate(self, request: dict[str, Any], block: Any = "latest") -> str:
        return quantity(self._chain.estimate(self._header(block), _request(request)))

    def _send(self, raw: str) -> str:
        return data(self._chain.add(_bytes(raw)))

    # --- which block

    def _header(self, block: Any) -> BlockHeaderAPI:
        header = self._find(block)
        if header is None:
            raise RpcError(-32000, f"there is no block {block}")
        return header

    def _find(self, block: Any) -> BlockHeaderAPI | None:
        """By tag, number, hash, or the object of EIP-1898."""
        if isinstance(block, dict):
            block = block.get("blockHash") or block.get("blockNumber")
        if block in ("latest", "pending", "safe", "finalized"):
            return self._chain.head()
        if block == "earliest":
            return self._chain.header(0)
        if isinstance(block, str) and len(block) == 66:
            return self._chain.header_by_hash(_bytes(block, 32))
        return self._chain.header(_number(block))


def _bad(sentence: str) -> RpcError:
    return RpcError(-32602, f"invalid params: {sentence}")


def _bytes(text: object, length: int | None = None) -> bytes:
    if not isinstance(text, str) or not re.fullmatch(r"0x([0-9a-fA-F]{2})*", text):
        raise _bad("bytes are 0x and pairs of hexadecimal digits")
    content = bytes.fromhex(text[2:])
    if length is not None and len(content) != length:
        raise _bad(f"{length} bytes are needed, not {len(content)}")
    return content


def _number(text: object) -> int:
    if not isinstance(text, str) or not re.fullmatch(r"0x[0-9a-fA-F]{1,64}", text):
        raise _bad("a number is 0x and hexadecimal digits")
    return int(text, 16)


def _address(text: object) -> Address:
    return Address(_bytes(text, 20))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _request(request: object) -> dict[str, Any]:
    """A call's fields as py-evm wants them; fees are left out, as nobody pays for a call."""
    if not isinstance(request, dict):
        raise _bad("a call is an object")
    readers: dict[str, Callable[[object], Any]] = {
        "from": _address,
        "to": _address,
        "gas": _number,
        "value": _number,
        "data": _bytes,
    }
    given = {("data" if name == "input" else name): content for name, content in request.items() if content}
    return {name: read(given[name]) for name, read in readers.items() if name in given}


def _revert_message(returned: bytes) -> str:
    if returned[:4] != ERROR_SELECTOR:
        return "execution reverted"
    try:
        return f"execution reverted: {decode(['string'], returned[4:])[0]}"
    except (DecodingError, UnicodeDecodeError):
        return "execution reverted"


def _refusal(message: str) -> str:
    """py-evm's sentence about a nonce in the words that Ethereum clients agree on."""
    expected, _, got = message.partition("Expected ")[2].partition(", but got ")
    if message.startswith("Invalid transaction nonce") and expected.isdigit() and got.isdigit():
        return "nonce too low" if int(got) < int(expected) else "nonce too high"
    return message
