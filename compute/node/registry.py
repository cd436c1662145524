"""What the registry contract says of a definition. It can only refuse.

The node believes votes that it verified itself. But if the chain can be reached and knows of a revocation that the
coordinator did not pass on, that is reason enough to refuse. Whether a chain that cannot be reached, or that answers
something else, is reason enough, too, is for the institution's policy to say.
"""

import httpx

from concordat.canonical import digest_bytes
from concordat.reasons import Reason, Refused
from concordat.rpc import Rpc, address_word, number_word
from concordat.votes import Domain

_SECONDS = 3.0
_BOOLEANS = {number_word(0): False, number_word(1): True}


class Registry:
    """Read-only calls (`eth_call`) to one registry contract on one chain."""

    def __init__(self, rpc: str, domain: Domain, *, transport: httpx.BaseTransport | None = None) -> None:
        self._rpc = rpc
        self._domain = domain
        self._transport = transport

    def check(self, definition: str, *, member: str | None, required: bool) -> None:
        """Ask about a definition's digest, and whether the address `member` approves of it.

        Raises:
            Refused: DEFINITION_NOT_APPROVED or QUORUM_MISSING if the contract plainly says no; CHAIN_UNAVAILABLE if its
                word is `required` and it does not plainly say yes.
        """
        word = digest_bytes(definition)
        if member is not None:
            approved = self._says("approved_by(bytes32,address)", word, address_word(member))
            refusal = Refused(Reason.DEFINITION_NOT_APPROVED, detail="The contract knows no approval of ours.")
            _judge(approved, refusal, required=required)
        authorised = self._says("authorised(bytes32)", word)
        refusal = Refused(Reason.QUORUM_MISSING, detail="The contract says that the quorum is missing.")
        _judge(authorised, refusal, required=required)

    def _says(self, function: str, *words: bytes) -> bool | None:
        """The contract's yes or no; None without a plain one."""
        rpc = Rpc(self._rpc, seconds=_SECONDS, transport=self._transport)
        try:
            if rpc.chain_id() != self._domain.chain_id:
                return None
            return _BOOLEANS.get(rpc.call(self._domain.registry, function, *words))
        except Refused:
            return None


class Asked:
    """A registry that is asked each question once: what is decided together rests on one answer, and one time-out."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._answers: dict[tuple[str, str | None, bool], Refused | None] = {}

    def check(self, definition: str, *, member: str | None, required: bool) -> None:
        """As :meth:`Registry.check`."""
        asked = definition, member, required
        if asked not in self._answers:
            try:
                self._registry.check(definition, member=member, required=required)
                self._answers[asked] = None
            except Refused as refused:
                self._answers[asked] = refused
        refusal = self._answers[asked]
        if refusal is not None:
            raise refusal


def _judge(answer: bool | None, refusal: Refused, *, required: bool) -> None:
    if answer is False:
        raise refusal
    if answer is None and required:
        raise Refused(Reason.CHAIN_UNAVAILABLE, detail="This node's policy requires the contract's own word.")
