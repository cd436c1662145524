"""Blocks, transactions, receipts and logs as JSON-RPC documents (execution-apis of the Ethereum project).

A block of the embedded chain holds exactly one transaction, the genesis block none; every index in it is therefore 0.
"""

from typing import Any

import rlp  # type: ignore[import-untyped,unused-ignore]
from eth.abc import BlockAPI, BlockHeaderAPI, ReceiptAPI, SignedTransactionAPI
from eth_typing import HexAddress, HexStr
from eth_utils.address import to_checksum_address
from web3.types import Nonce
from web3.utils import get_create_address

Document = dict[str, Any]


def quantity(number: int | None) -> str:
    """A number of a header; py-evm types those of later forks as optional, though every block here has them."""
    assert number is not None
    return hex(number)


def data(value: bytes) -> str:
    return "0x" + value.hex()


def address(value: bytes) -> str | None:
    """Checksummed; None for the empty recipient of a deployment."""
    return str(to_checksum_address(value)) if value else None


def block_document(block: BlockAPI, *, whole: bool) -> Document:
    """A block with the hashes of its transactions, or with the `whole` transactions."""
    header = block.header
    transactions: list[Any] = [
        transaction_document(transaction, header) if whole else data(transaction.hash)
        for transaction in block.transactions
    ]
    return {
        "number": quantity(header.block_number),
        "hash": data(header.hash),
        "parentHash": data(header.parent_hash),
        "timestamp": quantity(header.timestamp),
        "stateRoot": data(header.state_root),
        "transactionsRoot": data(header.transaction_root),
        "receiptsRoot": data(header.receipt_root),
        "logsBloom": data(header.bloom.to_bytes(256, "big")),
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "baseFeePerGas": quantity(header.base_fee_per_gas),
        "miner": address(header.coinbase),
        "difficulty": quantity(header.difficulty),
        "nonce": data(header.nonce),
        "mixHash": data(header.mix_hash),
        "extraData": data(header.extra_data),
        "sha3Uncles": data(header.uncles_hash),
        "withdrawalsRoot": data(header.withdrawals_root or b""),
        "parentBeaconBlockRoot": data(header.parent_beacon_block_root or b""),
        "blobGasUsed": quantity(header.blob_gas_used),
        "excessBlobGas": quantity(header.excess_blob_gas),
        "size": quantity(len(rlp.encode(block))),
        "uncles": [],
        "withdrawals": [],
        "transactions": transactions,
    }


def transaction_document(transaction: SignedTransactionAPI, header: BlockHeaderAPI) -> Document:
    """A transaction of a block; legacy ones carry `v`, all others `yParity`."""
    kind = _kind(transaction)
    parity = (
        {"v": quantity(getattr(transaction, "v", None))} if kind == 0 else {"yParity": quantity(transaction.y_parity)}
    )
    return {
        "hash": data(transaction.hash),
        "type": quantity(kind),
        "nonce": quantity(transaction.nonce),
        "from": address(transaction.sender),
        "to": address(transaction.to),
        "value": quantity(transaction.value),
        "gas": quantity(transaction.gas),
        "gasPrice": quantity(_price(transaction, header)),
        "input": data(transaction.data),
        "blockHash": data(header.hash),
        "blockNumber": quantity(header.block_number),
        "transactionIndex": quantity(0),
        "r": quantity(transaction.r),
        "s": quantity(transaction.s),
        **parity,
    }


def receipt_document(transaction: SignedTransactionAPI, header: BlockHeaderAPI, receipt: ReceiptAPI) -> Document:
    """The receipt of a transaction; a deployment's names the address of the new contract."""
    deployed = (
        None
        if transaction.to
        else get_create_address(HexAddress(HexStr(data(transaction.sender))), Nonce(transaction.nonce))
    )
    return {
        "transactionHash": data(transaction.hash),
        "transactionIndex": quantity(0),
        "blockHash": data(header.hash),
        "blockNumber": quantity(header.block_number),
        "type": quantity(_kind(transaction)),
        "status": quantity(int.from_bytes(receipt.state_root, "big")),
        "from": address(transaction.sender),
        "to": address(transaction.to),
        "contractAddress": deployed,
        "gasUsed": quantity(receipt.gas_used),
        "cumulativeGasUsed": quantity(receipt.gas_used),
        "effectiveGasPrice": quantity(_price(transaction, header)),
        "logsBloom": data(receipt.bloom.to_bytes(256, "big")),
        "logs": log_documents(transaction, header, receipt),
    }


def log_documents(transaction: SignedTransactionAPI, header: BlockHeaderAPI, receipt: ReceiptAPI) -> list[Document]:
    """What the contracts logged in a transaction, in order."""
    return [
        {
            "address": address(log.address),
            "topics": [data(topic.to_bytes(32, "big")) for topic in log.topics],
            "data": data(log.data),
            "logIndex": quantity(index),
            "transactionHash": data(transaction.hash),
            "transactionIndex": quantity(0),
            "blockHash": data(header.hash),
            "blockNumber": quantity(header.block_number),
            "removed": False,
        }
        for index, log in enumerate(receipt.logs)
    ]


def _kind(transaction: SignedTransactionAPI) -> int:
    return int(getattr(transaction, "type_id", 0))


def _price(transaction: SignedTransactionAPI, header: BlockHeaderAPI) -> int:
    """What a unit of gas really cost, in wei (EIP-1559)."""
    base = header.base_fee_per_gas or 0
    return min(transaction.max_fee_per_gas, base + transaction.max_priority_fee_per_gas)
