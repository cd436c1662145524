"""An institution's vote on a computation definition, signed off line and counted by the contract (EIP-712).

    Vote(bytes32 definition,bool approve,address institution,uint256 nonce,uint256 deadline)

The domain binds a vote to one chain and one registry contract, the nonce to its place in the institution's own
sequence. Anyone may relay it; nobody can alter it. Signatures with a high `s`, a second valid form of the same
signature, are refused (EIP-2), and so is the zero address, which a failed recovery yields on chain.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from eth_keys.exceptions import BadSignature
from eth_utils.address import is_checksum_address
from eth_utils.exceptions import ValidationError
from pydantic import AfterValidator, Field, with_config
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from concordat.accounts import Account, LocalAccount, encode_typed_data
from concordat.canonical import digest_bytes
from concordat.fields import STRICT, Digest, Slug, read
from concordat.reasons import Reason, Refused

NAME = "Concordat Governance Registry"
VERSION = "1"

_ZERO_ADDRESS = "0x" + "0" * 40
HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_TYPES = {
    "EIP712Domain": [
        {"name": "name", "type": "string"},
        {"name": "version", "type": "string"},
        {"name": "chainId", "type": "uint256"},
        {"name": "verifyingContract", "type": "address"},
    ],
    "Vote": [
        {"name": "definition", "type": "bytes32"},
        {"name": "approve", "type": "bool"},
        {"name": "institution", "type": "address"},
        {"name": "nonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
    ],
}
_SIGNATURE = re.compile(r"0x[0-9a-f]{130}")


def _is_address(value: str) -> bool:
    return is_checksum_address(value) and value != _ZERO_ADDRESS


def _address(value: str) -> str:
    if not _is_address(value):
        raise PydanticCustomError("address", "a chain address carries its EIP-55 checksum and is not zero")
    return value


Address = Annotated[str, AfterValidator(_address)]
Count = Annotated[int, Field(ge=0, lt=2**53)]


@with_config(STRICT)
class VoteDocument(TypedDict):
    """A vote as it travels: `institution` is the slug, `address` the voter on chain, `deadline` in Unix seconds."""

    definition: Digest
    approve: bool
    institution: Slug
    address: Address
    nonce: Count
    deadline: Count
    signature: str


@dataclass(frozen=True)
class Domain:
    """The one registry contract that a vote is for."""

    chain_id: int
    registry: str

    def __post_init__(self) -> None:
        """Raises Refused(CHAIN_WRONG) for a registry that is no address with its EIP-55 checksum."""
        if not _is_address(self.registry):
            raise Refused(Reason.CHAIN_WRONG, detail="No registry contract is named, or not by its address.")


@dataclass(frozen=True)
class Vote:
    """`institution` is the voter's address; `deadline`, in Unix seconds, the last block time at which it counts."""

    definition: str
    approve: bool
    institution: str
    nonce: int
    deadline: int


def typed_data(vote: Vote, domain: Domain) -> dict[str, Any]:
    """What a wallet shows and signs (`eth_signTypedData_v4`). Raises Refused(MALFORMED) for a bad digest."""
    return {
        "types": _TYPES,
        "primaryType": "Vote",
        "domain": {
            "name": NAME,
            "version": VERSION,
            "chainId": domain.chain_id,
            "verifyingContract": domain.registry,
        },
        "message": {
            "definition": "0x" + digest_bytes(vote.definition).hex(),
            "approve": vote.approve,
            "institution": vote.institution,
            "nonce": vote.nonce,
            "deadline": vote.deadline,
        },
    }


def sign(vote: Vote, key: LocalAccount, *, domain: Domain) -> str:
    """`0x` and 65 bytes: r, s, v (27 or 28). Raises Refused(VOTE_INVALID) when `key` is not the voter's own."""
    if key.address != vote.institution:
        raise _invalid("The vote names another institution than this chain key's.")
    return "0x" + key.sign_message(encode_typed_data(full_message=typed_data(vote, domain))).signature.hex()


def recover(vote: Vote, signature: str, *, domain: Domain) -> str:
    """The address that signed this vote for this registry: some address, not yet the right one; see `check`.

    Raises Refused(VOTE_INVALID) for a signature that is not in its one accepted form.
    """
    if not _SIGNATURE.fullmatch(signature):
        raise _invalid("A vote's signature is 65 bytes in lower-case hexadecimal.")
    raw = bytes.fromhex(signature[2:])
    if int.from_bytes(raw[32:64], "big") > HALF_ORDER or raw[64] not in (27, 28):
        raise _invalid("The vote's signature is not in its one accepted form.")
    try:
        message = encode_typed_data(full_message=typed_data(vote, domain))
        address: str = Account.recover_message(message, signature=raw)
    except (BadSignature, ValidationError) as error:
        raise _invalid("No key can have made this signature.") from error
    if address == _ZERO_ADDRESS:
        raise _invalid("No key can have made this signature.")
    return address


def check(vote: Vote, signature: str, *, domain: Domain) -> None:
    """Raises Refused(VOTE_INVALID) unless the institution that the vote names has signed it for this registry."""
    if recover(vote, signature, domain=domain) != vote.institution:
        raise _invalid("The vote was not signed by the institution that it names.")


def write(vote: Vote, institution: str, key: LocalAccount, *, domain: Domain) -> VoteDocument:
    """The signed vote of the institution with slug `institution`, ready to travel."""
    return read(
        {
            "definition": vote.definition,
            "approve": vote.approve,
            "institution": institution,
            "address": vote.institution,
            "nonce": vote.nonce,
            "deadline": vote.deadline,
            "signature": sign(vote, key, domain=domain),
        },
        VoteDocument,
    )


def read_document(content: object) -> VoteDocument:
    """A vote as it travelled, its signature unverified. Raises what :func:`concordat.fields.read` refuses."""
    return read(content, VoteDocument)


def verify(document: object, *, domain: Domain) -> Vote:
    """The vote in a signed document. That the slug owns the address is for the reader to check, against pinned keys.

    Raises Refused(VOTE_INVALID), or what :func:`concordat.fields.read` refuses.
    """
    checked = read_document(document)
    vote = Vote(
        definition=checked["definition"],
        approve=checked["approve"],
        institution=checked["address"],
        nonce=checked["nonce"],
        deadline=checked["deadline"],
    )
    check(vote, checked["signature"], domain=domain)
    return vote


def precedence(document: VoteDocument) -> tuple[int, bool]:
    """Which of an institution's votes on a definition counts: the highest by this key. The nonces order them, and of
    two with the same nonce the revocation wins, so that nobody can undo one by having a nonce used twice."""
    return document["nonce"], not document["approve"]


def _invalid(detail: str) -> Refused:
    return Refused(Reason.VOTE_INVALID, detail=detail)
