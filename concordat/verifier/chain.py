"""Two questions to the chain, asked by JSON-RPC alone: what stands in the anchor log, and who approves a definition.

The four-byte selectors are the first bytes of the Keccak-256 of the function's signature (Solidity ABI).
"""

from typing import Any

import httpx
from eth_utils.crypto import keccak

from concordat import canonical
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.verifier.evidence import Evidence, NotCheckable

_SECONDS = 20.0


class Chain:
    """A JSON-RPC endpoint. Calls raise NotCheckable(CHAIN_UNAVAILABLE), or Refused(CHAIN_WRONG) for a wrong answer."""

    def __init__(self, url: str) -> None:
        self._url = url

    def id(self) -> int:
        """The chain's id (EIP-155)."""
        return _number(self._ask("eth_chainId"))

    def call(self, contract: str, function: str, *words: bytes) -> bytes:
        """What a contract's function answers now; arguments are 32-byte words."""
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
            answer = httpx.post(self._url, json=question, timeout=_SECONDS).raise_for_status().json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise NotCheckable(Reason.CHAIN_UNAVAILABLE) from error
        if not isinstance(answer, dict) or "result" not in answer:
            raise Refused(Reason.CHAIN_WRONG, detail=f"The chain does not answer {method}.")
        return answer["result"]


def anchored(evidence: Evidence, rpc: str | None) -> str:
    """The anchored heads stand in the contract under their sequence numbers, with their sizes and blocks."""
    chain, about = _open(evidence, rpc), evidence.about["chain"]
    assert about["anchor_log"] is not None
    for anchor in evidence.anchors:
        sequence = _word(anchor["sequence"])
        root = chain.call(about["anchor_log"], "root_at(uint256)", sequence)
        meta = int.from_bytes(chain.call(about["anchor_log"], "meta_at(uint256)", sequence), "big")
        size, block = meta >> 128, meta >> 64 & (2**64 - 1)
        if root != canonical.digest_bytes(anchor["root"]) or (size, block) != (anchor["size"], anchor["block"]):
            raise Refused(Reason.ANCHOR_MISMATCH)
        if anchor["block_hash"] is not None and chain.block_hash(block) != anchor["block_hash"]:
            raise Refused(Reason.ANCHOR_MISMATCH, detail="The block of the anchor is another one on this chain.")
    first = evidence.anchors[0]
    trust = " A self-hosted chain proves this order to nobody but its owner." if about["self_hosted"] else ""
    return f"The decision is under anchor {first['sequence']} in block {first['block']} of chain {about['id']}.{trust}"


def authorised(evidence: Evidence, rpc: str | None, definition: str) -> str:
    """The registry's quorum stood behind the definition in the block that anchored the decision."""
    chain, registry = _open(evidence, rpc), evidence.about["chain"]["registry"]
    if registry is None:
        raise NotCheckable(Reason.CHAIN_UNAVAILABLE, "No registry is named.")
    block = evidence.anchors[0]["block"]
    words = (canonical.digest_bytes(definition), _word(block))
    if int.from_bytes(chain.call(registry, "authorised_at(bytes32,uint256)", *words), "big") == 1:
        return f"The registry's quorum stood behind the definition at block {block}."
    votes = evidence.of(Event.DEFINITION_VOTED, definition=definition, approve=False)
    if any(vote.index > evidence.decision.index for vote in votes):
        raise NotCheckable(Reason.QUORUM_MISSING, "An approval was revoked between the decision and its anchor.")
    raise Refused(Reason.QUORUM_MISSING, detail=f"At block {block} no quorum stood behind the definition.")


def _open(evidence: Evidence, rpc: str | None) -> Chain:
    about = evidence.about["chain"]
    if not evidence.anchors or about["anchor_log"] is None:
        raise NotCheckable(Reason.ANCHOR_MISSING, "No head that covers this decision is on a chain yet.")
    if rpc is None:
        raise NotCheckable(Reason.CHAIN_UNAVAILABLE, "The chain was not asked; name a JSON-RPC address to do so.")
    chain = Chain(rpc)
    if chain.id() != about["id"]:
        raise Refused(Reason.CHAIN_WRONG, detail=f"This is not the chain {about['id']}.")
    return chain


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _number(answer: object) -> int:
    try:
        return int(str(answer), 16)
    except ValueError as error:
        raise Refused(Reason.CHAIN_WRONG) from error
