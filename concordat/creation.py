"""How a contract came to be: by this version's own source and known arguments, or not.

The code at an address does not say in which state it was created. Whoever deploys may run other code once, which gives
itself rights or a history, and leaves the genuine code behind. The transaction that created the contract shows that it
was not so: it is this version's bytecode, followed by the arguments, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from eth_utils.crypto import keccak

from concordat.reasons import Reason, Refused
from concordat.rpc import Rpc, address_of

Name = Literal["AnchorLog", "GovernanceRegistry"]


@dataclass(frozen=True)
class Source:
    """Keccak-256 of the code that is found at a contract's address, and of the `length` bytes that create it."""

    code: str
    length: int
    bytecode: str


SOURCES: dict[Name, Source] = {
    "AnchorLog": Source(
        "1fad5e3b4aaf00feab33070e28e96f9aade002eab87eaf676e3d9abf7b404736",
        6393,
        "b2de4addc9dd0fb568cf50639756b467e8ae72c72e78aaea3e2f3e51994f85bd",
    ),
    "GovernanceRegistry": Source(
        "c446518b9761a6e4125e38e0a10b3d1b3393e2e497454d6d10962fe01d8ffdd6",
        6109,
        "d7f808b2b2afa8e5728421060d1dbc29dca9639e35feaefa5d38bb21a19e44f0",
    ),
}
"""As `ledger/contracts` has them, which a client does not carry."""


@dataclass(frozen=True)
class AnchorLogCreated:
    """`predecessor` is empty for a consortium's first log."""

    address: str
    submitters: tuple[str, ...]
    registry: str
    predecessor: str


@dataclass(frozen=True)
class RegistryCreated:
    """The first members, and how many of them had to approve."""

    address: str
    institutions: tuple[str, ...]
    quorum: int


def created(chain: Rpc, transaction: str) -> AnchorLogCreated | RegistryCreated:
    """What the transaction with this hash created.

    Raises:
        Refused: FIELD_INVALID for one that created nothing, or anything else than one of our contracts as this version
            has them; CHAIN_WRONG, CHAIN_UNAVAILABLE.
    """
    sent, receipt = chain.transaction(transaction)
    address = receipt.get("contractAddress")
    if sent.get("to") is not None or not isinstance(address, str) or receipt.get("status") != "0x1":
        raise _invalid("It created no contract.")
    content = bytes.fromhex(str(sent.get("input")).removeprefix("0x"))
    for name, source in SOURCES.items():
        if keccak(content[: source.length]).hex() != source.bytecode or chain.code_hash(address) != source.code:
            continue
        words = _words(content[source.length :])
        if name == "AnchorLog":
            submitters, registry, predecessor = _list(words, 0, fixed=3), words[1], words[2]
            return AnchorLogCreated(address_of(address), submitters, address_of(registry), address_of(predecessor))
        return RegistryCreated(address_of(address), _list(words, 0, fixed=2), int.from_bytes(words[1], "big"))
    raise _invalid("It did not create a contract of this version.")


def _words(arguments: bytes) -> list[bytes]:
    if len(arguments) % 32:
        raise _invalid("Its arguments are not those of the contract.")
    return [arguments[at : at + 32] for at in range(0, len(arguments), 32)]


def _list(words: Sequence[bytes], place: int, *, fixed: int) -> tuple[str, ...]:
    """The only list among the arguments, which follows the `fixed` words and ends them."""
    if len(words) <= fixed or int.from_bytes(words[place], "big") != 32 * fixed:
        raise _invalid("Its arguments are not those of the contract.")
    found = words[fixed + 1 :]
    if len(found) != int.from_bytes(words[fixed], "big"):
        raise _invalid("Its arguments are not those of the contract.")
    return tuple(address_of(word) for word in found)


def _invalid(detail: str) -> Refused:
    return Refused(Reason.FIELD_INVALID, detail=detail, field="transaction")
