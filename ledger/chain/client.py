"""Typed access to the two contracts through any Ethereum JSON-RPC endpoint.

Reading and building raise `Refused`: CHAIN_UNAVAILABLE if the endpoint cannot be reached or does not answer in time,
CHAIN_WRONG if it serves another chain or other code than the committed artefacts, CHAIN_REVERTED, with the contract's
or the node's words as detail, if the transaction would fail.
"""

from collections.abc import Sequence
from typing import Literal, cast

from eth_typing import HexStr
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hexbytes import HexBytes
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction
from web3.exceptions import TransactionNotFound
from web3.middleware import ExtraDataToPOAMiddleware
from web3.types import Nonce, TxParams, Wei

from concordat.accounts import TypedTransaction
from concordat.canonical import digest_bytes
from concordat.reasons import Reason, Refused
from concordat.votes import Domain, Vote
from ledger.chain.errors import chain_errors
from ledger.chain.signers import DYNAMIC_FEES
from ledger.chain.types import AnchorHead, Authorisation, Receipt, SignedTransaction, Succession
from ledger.contracts import ANCHOR_LOG, GOVERNANCE_REGISTRY, artefact

SPARE_GAS = 50_000
"""Endpoints estimate as if in the latest block. There a vote may share the word of history that another vote has just
begun; in the next block, where it is mined, it begins a word of its own: another storage slot. Unused gas is free."""


NOBODY = "0x" + "0" * 40
"""The contracts' word for no address."""

MOST_PREDECESSORS = 64
GWEI = 10**9


def connect(rpc_url: str, timeout: float = 10.0) -> Web3:
    """A web3 without retries: callers that may repeat (the outbox) decide so themselves. `timeout` in seconds."""
    provider = HTTPProvider(rpc_url, request_kwargs={"timeout": timeout}, exception_retry_configuration=None)
    web3 = Web3(provider)
    web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)  # QBFT puts its seals into extraData
    return web3


class ChainClient:
    """The anchor log and the governance registry of one deployment.

    `finality` is a number of blocks, or the tag by which the chain itself names its last final block. Definitions are
    digests ("sha256:<hex>"), addresses are checksummed, roots and hashes are 32 bytes. `max_fee` is the most that is
    offered for a unit of gas, in wei: building raises Refused(CHAIN_TOO_DEAR) where more is asked for.
    """

    def __init__(
        self,
        rpc_url: str,
        chain_id: int,
        anchor_address: str,
        registry_address: str,
        *,
        finality: int | Literal["finalized", "safe"] = "finalized",
        timeout: float = 10.0,
        max_fee: int = 500 * GWEI,
    ) -> None:
        self.chain_id = chain_id
        self.anchor_address = to_checksum_address(anchor_address)
        self.registry_address = to_checksum_address(registry_address)
        self._finality, self._max_fee = finality, max_fee
        self._web3 = connect(rpc_url, timeout)
        self._anchor = self._log_at(self.anchor_address)
        self._earlier: list[tuple[int, Contract]] = []
        self._registry: Contract = self._web3.eth.contract(self.registry_address, abi=artefact(GOVERNANCE_REGISTRY).abi)
        self._checked = False

    def check(self) -> None:
        """Refuse a chain or a contract other than the configured ones; done before the first use, then remembered."""
        if self._checked:
            return
        with chain_errors():
            found = self._web3.eth.chain_id
            if found != self.chain_id:
                raise Refused(Reason.CHAIN_WRONG, detail=f"the endpoint serves chain {found}, not {self.chain_id}")
            for address, name in ((self.anchor_address, ANCHOR_LOG), (self.registry_address, GOVERNANCE_REGISTRY)):
                if keccak(self._web3.eth.get_code(address)) != artefact(name).code_hash:
                    raise Refused(Reason.CHAIN_WRONG, detail=f"the code at {address} is not {name}")
            if self._anchor.functions.registry().call() != self.registry_address:
                detail = f"the log at {self.anchor_address} is under another registry"
                raise Refused(Reason.CHAIN_WRONG, detail=detail)
        self._checked = True

    @property
    def domain(self) -> Domain:
        """What votes for this registry are signed for."""
        return Domain(chain_id=self.chain_id, registry=self.registry_address)

    # --- blocks

    def finalised_block(self) -> int:
        """Number of the last block that is taken to be final."""
        with chain_errors():
            if isinstance(self._finality, int):
                return max(0, self._web3.eth.block_number - self._finality)
            return int(self._web3.eth.get_block(self._finality)["number"])

    # --- the anchor log

    def head(self) -> AnchorHead | None:
        """The latest anchored head; None before the first."""
        self.check()
        with chain_errors():
            sequence, root, meta = self._anchor.functions.head().call()
        return _anchor_head(sequence, root, meta) if sequence else None

    def anchored(self, sequence: int) -> AnchorHead | None:
        """The head anchored under that number, in this log or in the one of its predecessors that took it."""
        self.check()
        with chain_errors():
            log = self._log_of(sequence).functions
            root, meta = log.root_at(sequence).call(), log.meta_at(sequence).call()
        return _anchor_head(sequence, root, meta) if meta else None

    def succession(self) -> Succession:
        """Which log this one continues, and which continues it."""
        self.check()
        log = self._anchor.functions
        with chain_errors():
            predecessor, successor = log.predecessor().call(), log.sealed_to().call()
            return Succession(
                predecessor=predecessor if predecessor != NOBODY else "",
                begun=bool(log.begun().call()),
                begun_at=int(log.begun_at().call()),
                sealed_to=successor if successor != NOBODY else "",
            )

    def build_seal(self, *, sender: str, successor: str, last: int = 0, nonce: int | None = None) -> TxParams:
        """The end of this log in favour of a successor for which a quorum voted, unsigned; anyone may send it.
        `last` as they voted on it."""
        return self._build(self._anchor.functions.seal(to_checksum_address(successor), last), sender, nonce)

    def build_begin(self, *, sender: str, nonce: int | None = None) -> TxParams:
        """The beginning of this log with its sealed predecessor's last head, unsigned; anyone may send it."""
        return self._build(self._anchor.functions.begin(), sender, nonce)

    def build_anchor(
        self,
        *,
        submitter: str,
        sequence: int,
        previous_root: bytes,
        root: bytes,
        size: int,
        checkpoint_hash: bytes,
        proof: Sequence[bytes],
        nonce: int | None = None,
    ) -> TxParams:
        """The next anchor, unsigned. `proof` is the consistency proof from the previous size, empty for the first."""
        call = self._anchor.functions.anchor(sequence, previous_root, root, size, checkpoint_hash, list(proof))
        return self._build(call, submitter, nonce)

    # --- the governance registry

    def build_vote_by_sig(self, *, relayer: str, vote: Vote, signature: str, nonce: int | None = None) -> TxParams:
        """A vote that its institution signed (`concordat.votes.sign`), to be sent by any `relayer`, unsigned."""
        call = self._registry.functions.vote_by_sig(
            digest_bytes(vote.definition),
            vote.approve,
            to_checksum_address(vote.institution),
            vote.nonce,
            vote.deadline,
            HexBytes(signature),
        )
        return self._build(call, relayer, nonce)

    def vote_nonce(self, institution: str) -> int:
        """The nonce of an institution's next vote."""
        self.check()
        with chain_errors():
            return int(self._registry.functions.nonces(to_checksum_address(institution)).call())

    def build_enact(
        self, *, sender: str, joining: str, leaving: str, quorum: int, nonce: int | None = None
    ) -> TxParams:
        """A membership change for which a quorum voted, unsigned; anyone may send it. Empty addresses are nobody."""
        call = self._registry.functions.enact(joining or NOBODY, leaving or NOBODY, quorum)
        return self._build(call, sender, nonce)

    def authorisation(self, definition: str, block: int | None = None) -> Authorisation:
        """Who approves a definition, now or at the end of an earlier block; needs no archive node."""
        self.check()
        functions = self._registry.functions
        with chain_errors():
            at = self._web3.eth.block_number if block is None else block
            approvals, members, quorum = functions.tally_at(digest_bytes(definition), at).call()
            institutions = functions.institutions().call()
        states = {
            address: bool(approvals >> slot & 1) for slot, address in enumerate(institutions) if members >> slot & 1
        }
        return Authorisation(
            authorised=sum(states.values()) >= quorum, approvals=states, quorum=int(quorum), block=int(at)
        )

    # --- transactions

    def transaction_nonce(self, address: str) -> int:
        """How many transactions of the address are in blocks: the nonce of the next, if none is on its way."""
        with chain_errors():
            return int(self._web3.eth.get_transaction_count(to_checksum_address(address), "latest"))

    def latest_block(self) -> int:
        """The number of the chain's last block."""
        with chain_errors():
            return int(self._web3.eth.block_number)

    def underpaid(self, raw: bytes) -> bool:
        """Whether blocks ask for more than this transaction offers. Never, on a chain without a fee market."""
        if raw[0] != DYNAMIC_FEES:
            return False
        with chain_errors():
            base = self._web3.eth.get_block("latest").get("baseFeePerGas", 0)
        return base > int(TypedTransaction.from_bytes(HexBytes(raw)).as_dict()["maxFeePerGas"])

    def dearer(self, raw: bytes) -> TxParams | None:
        """The same transaction with higher fees, unsigned; None on a chain without a fee market.

        Both fees grow by an eighth, as nodes take no replacement for less than a tenth, or to what is asked for now.
        Raises Refused(CHAIN_TOO_DEAR) where that is more than may be offered.
        """
        if raw[0] != DYNAMIC_FEES:
            return None
        sent = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        kept = {name: sent[name] for name in ("chainId", "nonce", "gas", "to", "value", "data")}
        least = {name: int(sent[name]) * 9 // 8 + 1 for name in ("maxPriorityFeePerGas", "maxFeePerGas")}
        with chain_errors():
            tip = max(least["maxPriorityFeePerGas"], self._web3.eth.max_priority_fee)
            asked = 2 * self._web3.eth.get_block("latest")["baseFeePerGas"] + tip
        fee = max(least["maxFeePerGas"], min(asked, self._max_fee))
        if max(fee, tip) > self._max_fee:
            raise Refused(Reason.CHAIN_TOO_DEAR)
        return cast(TxParams, {**kept, "maxPriorityFeePerGas": tip, "maxFeePerGas": fee, "type": DYNAMIC_FEES})

    def broadcast(self, signed: SignedTransaction) -> None:
        """Send, or send again: a transaction that the chain already has is no error."""
        try:
            with chain_errors(sending=True):
                self._web3.eth.send_raw_transaction(HexBytes(signed.raw))
        except Refused as refused:
            if refused.reason is not Reason.CHAIN_REVERTED or not self.knows(signed.hash):
                raise

    def receipt(self, transaction_hash: str) -> Receipt | None:
        """What became of a transaction; None while it is in no block, or no longer in one."""
        try:
            with chain_errors():
                receipt = self._web3.eth.get_transaction_receipt(HexStr(transaction_hash))
        except TransactionNotFound:
            return None
        return Receipt(
            succeeded=receipt["status"] == 1,
            block=receipt["blockNumber"],
            block_hash=receipt["blockHash"].to_0x_hex(),
            gas=receipt["gasUsed"],
        )

    def _log_at(self, address: str) -> Contract:
        contract: Contract = self._web3.eth.contract(to_checksum_address(address), abi=artefact(ANCHOR_LOG).abi)
        return contract

    def _log_of(self, sequence: int) -> Contract:
        """The log that took the head of that number. A log's number of beginning does not change once it is not zero,
        and before there is nothing earlier to ask for."""
        log = self._anchor
        for depth in range(MOST_PREDECESSORS):
            if depth == len(self._earlier):
                begun_at = int(log.functions.begun_at().call())
                if begun_at == 0:
                    return log
                self._earlier.append((begun_at, self._log_at(log.functions.predecessor().call())))
            before, earlier = self._earlier[depth]
            if sequence >= before:
                return log
            log = earlier
        raise Refused(Reason.CHAIN_WRONG, detail=f"The log at {self.anchor_address} has too many predecessors.")

    def knows(self, transaction_hash: str) -> bool:
        """Whether the endpoint has a transaction, in a block or waiting for one."""
        try:
            with chain_errors():
                self._web3.eth.get_transaction(HexStr(transaction_hash))
        except TransactionNotFound:
            return False
        return True

    def _build(self, call: ContractFunction, sender: str, nonce: int | None) -> TxParams:
        self.check()
        address = to_checksum_address(sender)
        number = self.transaction_nonce(address) if nonce is None else nonce
        with chain_errors(sending=True):
            gas = call.estimate_gas({"from": address})
            built = call.build_transaction(
                {"from": address, "chainId": self.chain_id, "nonce": Nonce(number), "gas": gas + gas // 4 + SPARE_GAS}
            )
            base = self._web3.eth.get_block("latest").get("baseFeePerGas", 0)
        if "maxFeePerGas" in built:  # web3 offers twice the present base fee, so that a few dearer blocks do not matter
            built["maxFeePerGas"] = Wei(min(int(built["maxFeePerGas"]), self._max_fee))
            if base + int(built["maxPriorityFeePerGas"]) > self._max_fee:
                raise Refused(Reason.CHAIN_TOO_DEAR)
        return built


def _anchor_head(sequence: int, root: bytes, meta: int) -> AnchorHead:
    """Unpack `size << 128 | block << 64 | time`."""
    low_64 = 2**64 - 1
    return AnchorHead(
        sequence=sequence, root=bytes(root), size=meta >> 128, block=meta >> 64 & low_64, time=meta & low_64
    )
