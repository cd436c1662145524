"""What the registry contract says of a definition: a hint that can only refuse.

The node believes votes that it verified itself. But if the chain can be reached and knows of a revocation that the
coordinator did not pass on, that is reason enough to refuse. An unreachable chain, or one that answers something else,
decides nothing.
"""

from collections.abc import Sequence

import httpx
from eth_utils.abi import function_signature_to_4byte_selector

from concordat import canonical
from concordat.canonical import digest_bytes
from concordat.reasons import Reason, Refused
from concordat.votes import Domain

_SECONDS = 3.0


class Registry:
    """Read-only calls (`eth_call`) to one registry contract on one chain."""

    def __init__(self, rpc: str, domain: Domain, *, transport: httpx.BaseTransport | None = None) -> None:
        self._rpc = rpc
        self._domain = domain
        self._transport = transport

    def check(self, definition: str, *, member: str | None) -> None:
        """Ask about a definition's digest, and whether the address `member` approves of it.

        Raises:
            Refused: DEFINITION_NOT_APPROVED or QUORUM_MISSING if the contract plainly says no.
        """
        word = digest_bytes(definition)
        if member is not None and self._says_no("approved_by(bytes32,address)", word + _address_word(member)):
            raise Refused(Reason.DEFINITION_NOT_APPROVED, detail="The contract knows no approval of ours.")
        if self._says_no("authorised(bytes32)", word):
            raise Refused(Reason.QUORUM_MISSING, detail="The contract says that the quorum is missing.")

    def _says_no(self, signature: str, arguments: bytes) -> bool:
        data = "0x" + (function_signature_to_4byte_selector(signature) + arguments).hex()
        call = [{"to": self._domain.registry, "data": data}, "latest"]
        try:
            with httpx.Client(transport=self._transport, timeout=_SECONDS) as http:
                if _ask(http, self._rpc, "eth_chainId", []) != hex(self._domain.chain_id):
                    return False
                return _ask(http, self._rpc, "eth_call", call) == "0x" + "0" * 64
        except (httpx.HTTPError, Refused, KeyError, TypeError):
            return False


def _ask(http: httpx.Client, rpc: str, method: str, params: Sequence[object]) -> str:
    response = http.post(rpc, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    return str(canonical.decode(response.content)["result"])


def _address_word(address: str) -> bytes:
    return bytes.fromhex(address[2:]).rjust(32, b"\0")
