"""Blocks, state and transactions of the embedded chain, as py-evm objects."""

import time
from collections.abc import Iterator
from typing import Any, cast

from eth.abc import BlockAPI, BlockHeaderAPI, ReceiptAPI, SignedTransactionAPI, VirtualMachineAPI
from eth.chains.base import MiningChain
from eth.constants import POST_MERGE_DIFFICULTY, POST_MERGE_MIX_HASH, POST_MERGE_NONCE, ZERO_ADDRESS
from eth.db.atomic import AtomicDB
from eth.estimators.gas import binary_gas_search_1000_tolerance
from eth.exceptions import CanonicalHeadNotFound, HeaderNotFound, PyEVMError, TransactionNotFound
from eth.typing import AccountDetails
from eth.vm.forks.cancun import CancunVM
from eth.vm.forks.cancun.transactions import CancunTransactionBuilder
from eth.vm.spoof import SpoofTransaction
from eth_typing import BlockNumber, Hash32
from eth_utils.address import to_canonical_address
from eth_utils.exceptions import ValidationError
from rlp.exceptions import RLPException  # type: ignore[import-untyped,unused-ignore]

from ledger.chain.devchain.genesis import FUNDS_WEI, Genesis
from ledger.chain.devchain.store import SqliteStore

GAS_LIMIT = 30_000_000


class _Cancun(MiningChain):
    vm_configuration: tuple[tuple[BlockNumber, type[VirtualMachineAPI]], ...] = ((BlockNumber(0), CancunVM),)
    gas_estimator = staticmethod(binary_gas_search_1000_tolerance)

    def create_header_from_parent(self, parent_header: BlockHeaderAPI, **header_params: Any) -> BlockHeaderAPI:
        return super().create_header_from_parent(
            parent_header, **{**header_params, "gas_limit": parent_header.gas_limit}
        )


class EmbeddedChain:
    """A chain that makes one block of each transaction, at once.

    Blocks have no seal: their only authority is the process that makes them. Not thread-safe; callers hold a lock.
    """

    def __init__(self, store: SqliteStore, genesis: Genesis) -> None:
        self._store = store
        self._database = AtomicDB(store)
        self._chain_class = _Cancun.configure(chain_id=genesis.chain_id)
        self.chain_id = genesis.chain_id
        try:
            self._open()
        except CanonicalHeadNotFound:
            with store.transaction():
                self._write_genesis(genesis)

    # --- blocks

    def head(self) -> BlockHeaderAPI:
        return self._open().get_canonical_head()

    def header(self, number: int) -> BlockHeaderAPI | None:
        try:
            return self._open().get_canonical_block_header_by_number(BlockNumber(number))
        except HeaderNotFound:
            return None

    def header_by_hash(self, block_hash: bytes) -> BlockHeaderAPI | None:
        try:
            return self._open().get_block_header_by_hash(Hash32(block_hash))
        except HeaderNotFound:
            return None

    def header_of(self, transaction_hash: bytes) -> BlockHeaderAPI | None:
        """The header of the block that holds a transaction."""
        try:
            number, _ = self._open().chaindb.get_transaction_index(Hash32(transaction_hash))
        except TransactionNotFound:
            return None
        return self.header(number)

    def headers(self, first: int, last: int) -> Iterator[BlockHeaderAPI]:
        chain = self._open()
        for number in range(first, min(last, chain.get_canonical_head().block_number) + 1):
            yield chain.get_canonical_block_header_by_number(BlockNumber(number))

    def block(self, header: BlockHeaderAPI) -> BlockAPI:
        return self._open().get_block_by_header(header)

    def mined(self, header: BlockHeaderAPI) -> tuple[SignedTransactionAPI, ReceiptAPI]:
        """The one transaction of a block other than genesis, and its receipt."""
        chain = self._open()
        (transaction,) = chain.get_block_by_header(header).transactions
        (receipt,) = chain.chaindb.get_receipts(header, CancunVM.get_receipt_builder())
        return transaction, receipt

    # --- state at a block

    def state(self, header: BlockHeaderAPI) -> Any:
        """py-evm's state after that block."""
        return self._open().get_vm(header).state

    def call(self, header: BlockHeaderAPI, request: dict[str, Any]) -> bytes:
        """Execute without a trace. Raises py-evm's `VMError`, of which `Revert` carries the returned bytes."""
        chain = self._open()
        state = chain.get_vm(header.copy(base_fee_per_gas=0)).state
        computation = state.apply_transaction(self._spoof(chain, header, request))
        computation.raise_if_error()
        return bytes(computation.output)

    def estimate(self, header: BlockHeaderAPI, request: dict[str, Any]) -> int:
        """Gas with which the call succeeds, to the next thousand. Raises as `call` does."""
        chain = self._open()
        return int(chain.estimate_gas(self._spoof(chain, header, request), header))

    # --- writing

    def add(self, raw: bytes) -> bytes:
        """Put one signed transaction into a block of its own; answers its hash (32 bytes).

        Raises `eth_utils.ValidationError` (nonce, balance, gas, chain id) and then leaves everything as it was.
        """
        try:
            transaction = CancunTransactionBuilder.decode(raw)
        except (RLPException, PyEVMError) as error:
            raise ValidationError("the transaction cannot be decoded") from error
        with self._store.transaction():
            chain = self._open()
            parent = chain.get_canonical_head()
            chain.set_header_timestamp(max(int(time.time()), parent.timestamp + 1))
            chain.mine_all([transaction])
        return bytes(transaction.hash)

    # --- inside

    def _open(self) -> MiningChain:
        # Opened anew for each use: py-evm's own object holds a half-made block, which must not outlive a failure.
        return self._chain_class(self._database)

    def _write_genesis(self, genesis: Genesis) -> None:
        account: AccountDetails = {"balance": FUNDS_WEI, "nonce": 0, "code": b"", "storage": {}}
        self._chain_class.from_genesis(
            self._database,
            {
                "coinbase": ZERO_ADDRESS,
                "difficulty": POST_MERGE_DIFFICULTY,
                "extra_data": b"",
                "gas_limit": GAS_LIMIT,
                "mix_hash": POST_MERGE_MIX_HASH,
                "nonce": POST_MERGE_NONCE,
                "timestamp": genesis.time,
            },
            {to_canonical_address(address): account for address in genesis.funded},
        )

    def _spoof(self, chain: MiningChain, header: BlockHeaderAPI, request: dict[str, Any]) -> SignedTransactionAPI:
        sender = request.get("from", ZERO_ADDRESS)
        unsigned = CancunTransactionBuilder.new_unsigned_dynamic_fee_transaction(
            chain_id=self.chain_id,
            nonce=chain.get_vm(header).state.get_nonce(sender),
            max_priority_fee_per_gas=0,
            max_fee_per_gas=0,
            gas=request.get("gas", header.gas_limit),
            to=request.get("to", b""),
            value=request.get("value", 0),
            data=request.get("data", b""),
            access_list=(),
        )
        return cast(SignedTransactionAPI, SpoofTransaction(unsigned, from_=sender))
