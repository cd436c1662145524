"""A vote is an EIP-712 signature over exactly the type that the contract hashes, in one accepted form."""

import pytest
from eth_abi import encode
from eth_account import Account
from eth_utils import keccak, to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from concordat import votes
from concordat.reasons import Reason, Refused
from concordat.votes import Domain, Vote

KEY = Account.from_key(b"\x11" * 32)
OTHER = Account.from_key(b"\x22" * 32)
DOMAIN = Domain(131277322940537, to_checksum_address("0x" + "ab" * 20))
VOTE = Vote("sha256:" + "c0" * 32, True, KEY.address, 3, 1_800_000_000)
SIGNATURE = votes.sign(VOTE, KEY, domain=DOMAIN)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def contract_hash(vote: Vote, domain: Domain) -> bytes:
    """The digest as the contract computes it, from the specification's type strings."""
    domain_type = keccak(text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    name, version = keccak(text="Concordat Governance Registry"), keccak(text="1")
    vote_type = keccak(text="Vote(bytes32 definition,bool approve,address institution,uint256 nonce,uint256 deadline)")
    separator = keccak(
        encode(
            ["bytes32", "bytes32", "bytes32", "uint256", "address"],
            [domain_type, name, version, domain.chain_id, domain.registry],
        )
    )
    struct = keccak(
        encode(
            ["bytes32", "bytes32", "bool", "address", "uint256", "uint256"],
            [vote_type, bytes.fromhex(vote.definition[7:]), vote.approve, vote.institution, vote.nonce, vote.deadline],
        )
    )
    return keccak(b"\x19\x01" + separator + struct)


def refused(call) -> Reason:
    with pytest.raises(Refused) as refusal:
        call()
    return refusal.value.reason


def pack(r: int, s: int, v: int) -> str:
    return "0x" + r.to_bytes(32, "big").hex() + s.to_bytes(32, "big").hex() + bytes([v]).hex()


def unpack(signature: str) -> tuple[int, int, int]:
    raw = bytes.fromhex(signature[2:])
    return int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big"), raw[64]


@given(st.binary(min_size=32, max_size=32), st.booleans(), st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1))
@settings(max_examples=15)
def test_what_is_signed_is_the_digest_that_the_contract_computes(definition, approve, nonce, deadline):
    vote = Vote("sha256:" + definition.hex(), approve, KEY.address, nonce, deadline)
    signature = votes.sign(vote, KEY, domain=DOMAIN)
    assert Account._recover_hash(contract_hash(vote, DOMAIN), signature=signature) == KEY.address
    assert votes.recover(vote, signature, domain=DOMAIN) == KEY.address
    votes.check(vote, signature, domain=DOMAIN)


@pytest.mark.parametrize(
    ("vote", "domain"),
    [
        (Vote("sha256:" + "c1" * 32, True, KEY.address, 3, 1_800_000_000), DOMAIN),
        (Vote(VOTE.definition, False, KEY.address, 3, 1_800_000_000), DOMAIN),
        (Vote(VOTE.definition, True, OTHER.address, 3, 1_800_000_000), DOMAIN),
        (Vote(VOTE.definition, True, KEY.address, 4, 1_800_000_000), DOMAIN),
        (Vote(VOTE.definition, True, KEY.address, 3, 1_800_000_001), DOMAIN),
        (VOTE, Domain(1, DOMAIN.registry)),
        (VOTE, Domain(DOMAIN.chain_id, OTHER.address)),
    ],
)
def test_a_signature_holds_for_no_other_vote_chain_or_registry(vote, domain):
    assert votes.recover(vote, SIGNATURE, domain=domain) != KEY.address
    assert refused(lambda: votes.check(vote, SIGNATURE, domain=domain)) is Reason.VOTE_INVALID


def test_the_second_form_of_a_signature_is_refused():
    r, s, v = unpack(SIGNATURE)
    high = pack(r, ORDER - s, 55 - v)
    assert Account._recover_hash(contract_hash(VOTE, DOMAIN), signature=high) == KEY.address
    assert refused(lambda: votes.recover(VOTE, high, domain=DOMAIN)) is Reason.VOTE_INVALID


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "0x",
        SIGNATURE[2:],
        SIGNATURE[:-2],
        SIGNATURE + "00",
        SIGNATURE.upper(),
        "0x" + "0" * 130,
        "0x" + "f" * 130,
        SIGNATURE[:-2] + "00",
        SIGNATURE[:-2] + "01",
        SIGNATURE[:-2] + "1d",
        pack(0, 1, 27),
        pack(1, 0, 27),
        pack(ORDER, 1, 27),
        pack(5, 1, 27),  # 5 is no point's abscissa
    ],
)
def test_what_no_key_can_have_signed_is_refused(signature):
    assert refused(lambda: votes.recover(VOTE, signature, domain=DOMAIN)) is Reason.VOTE_INVALID


def test_nobody_votes_for_another_institution():
    assert refused(lambda: votes.sign(VOTE, OTHER, domain=DOMAIN)) is Reason.VOTE_INVALID


def test_a_definition_is_named_by_its_digest():
    bad = Vote("c0" * 32, True, KEY.address, 0, 0)
    assert refused(lambda: votes.sign(bad, KEY, domain=DOMAIN)) is Reason.MALFORMED


def test_a_vote_travels_as_a_document():
    document = votes.write(VOTE, "cleveland", KEY, domain=DOMAIN)
    assert document == {
        "definition": VOTE.definition,
        "approve": True,
        "institution": "cleveland",
        "address": KEY.address,
        "nonce": 3,
        "deadline": 1_800_000_000,
        "signature": SIGNATURE,
    }
    assert votes.verify(document, domain=DOMAIN) == VOTE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"approve": False}, Reason.VOTE_INVALID),
        ({"nonce": 4}, Reason.VOTE_INVALID),
        ({"address": OTHER.address}, Reason.VOTE_INVALID),
        ({"approve": 1}, Reason.FIELD_INVALID),
        ({"nonce": "3"}, Reason.FIELD_INVALID),
        ({"nonce": -1}, Reason.FIELD_INVALID),
        ({"deadline": 2**53}, Reason.FIELD_INVALID),
        ({"address": KEY.address.lower()}, Reason.FIELD_INVALID),
        ({"address": "0x" + "0" * 40}, Reason.FIELD_INVALID),
        ({"definition": "0x" + "c0" * 32}, Reason.FIELD_INVALID),
        ({"note": "x"}, Reason.FIELD_UNKNOWN),
    ],
)
def test_an_altered_document_is_refused(changes, reason):
    document = {**votes.write(VOTE, "cleveland", KEY, domain=DOMAIN), **changes}
    assert refused(lambda: votes.verify(document, domain=DOMAIN)) is reason


@pytest.mark.parametrize("registry", ["", "registry", DOMAIN.registry.lower(), "0x" + "0" * 40])
def test_a_domain_without_a_registry_is_refused(registry):
    with pytest.raises(Refused) as caught:
        Domain(1, registry)
    assert caught.value.reason is Reason.CHAIN_WRONG
