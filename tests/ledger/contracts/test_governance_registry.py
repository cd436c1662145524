"""Who may say yes in the registry, when it counts, and what it remembers."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from hypothesis import given, settings
from hypothesis import strategies as st

from concordat import votes
from concordat.votes import Domain, Vote

DEFINITION = bytes.fromhex("d1" * 32)
OTHER = bytes.fromhex("d2" * 32)
NOBODY = "0x" + "00" * 20
RELAYER = "0x" + "99" * 20
CHAIN_ID = 31338
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@dataclass
class Consortium:
    """Four members of whom two authorise, and two outsiders."""

    registry: Any
    machine: Any
    keys: list[LocalAccount]

    @property
    def members(self) -> list[str]:
        return [key.address for key in self.keys[:4]]

    @property
    def outsider(self) -> str:
        return str(self.keys[4].address)

    @property
    def domain(self) -> Domain:
        return Domain(chain_id=CHAIN_ID, registry=self.registry.address)

    def vote(self, member: int, approve: bool = True, definition: bytes = DEFINITION) -> None:
        self.registry.send(self.keys[member].address, "vote", definition, approve)

    def authorised(self, definition: bytes = DEFINITION) -> bool:
        return bool(self.registry.read("authorised", definition))

    def ballot(self, member: int, **changes: Any) -> Vote:
        address = self.keys[member].address
        nonce = self.registry.read("nonces", address)
        vote = Vote("sha256:" + DEFINITION.hex(), True, address, nonce, self.machine.time + 60)
        return replace(vote, **changes)

    def relay(self, vote: Vote, signature: str) -> None:
        definition = bytes.fromhex(vote.definition.removeprefix("sha256:"))
        arguments = (
            definition,
            vote.approve,
            vote.institution,
            vote.nonce,
            vote.deadline,
            bytes.fromhex(signature[2:]),
        )
        self.registry.send(RELAYER, "vote_by_sig", *arguments)

    def change(self, joining: str, leaving: str, quorum: int, voters: tuple[int, ...]) -> None:
        digest = self.registry.read("change_digest", joining, leaving, quorum)
        for member in voters:
            self.vote(member, definition=digest)
        self.registry.send(RELAYER, "enact", joining, leaving, quorum)


def found(machine: Any, keys: list[LocalAccount]) -> Consortium:
    registry = machine.deploy("GovernanceRegistry", [key.address for key in keys[:4]], 2)
    return Consortium(registry, machine, keys)


@pytest.fixture
def consortium(machine: Any, accounts: list[LocalAccount]) -> Consortium:
    return found(machine, accounts)


# --- direct votes


def test_a_definition_is_authorised_once_a_quorum_approves_it(consortium: Consortium) -> None:
    assert not consortium.authorised()
    consortium.vote(0)
    assert not consortium.authorised()
    consortium.vote(2)
    assert consortium.authorised()
    assert consortium.registry.read("approvals", DEFINITION) == 0b101
    assert not consortium.authorised(OTHER)


def test_approving_twice_counts_once(consortium: Consortium) -> None:
    consortium.vote(0)
    consortium.vote(0)
    assert not consortium.authorised()


def test_a_revocation_takes_the_authority_away(consortium: Consortium) -> None:
    consortium.vote(0)
    consortium.vote(1)
    consortium.vote(0, approve=False)
    assert not consortium.authorised()
    assert not consortium.registry.read("approved_by", DEFINITION, consortium.members[0])
    assert consortium.registry.read("approved_by", DEFINITION, consortium.members[1])


def test_a_stranger_has_no_vote(consortium: Consortium, reverted: Any) -> None:
    with reverted.because("institution"):
        consortium.vote(4)


def test_nothing_is_no_definition(consortium: Consortium, reverted: Any) -> None:
    with reverted.because("definition"):
        consortium.vote(0, definition=bytes(32))
    assert not consortium.authorised(bytes(32))


def test_each_vote_is_an_event(consortium: Consortium) -> None:
    consortium.vote(3)
    consortium.vote(3, approve=False)
    assert consortium.registry.events() == [
        ("Voted", {"definition": DEFINITION, "institution": consortium.members[3], "approve": False, "nonce": 1})
    ]


@pytest.mark.parametrize(
    ("members", "quorum"), [([], 1), ([0, 1], 0), ([0, 1], 3), ([0, 0], 1)], ids=["none", "0", "3 of 2", "twice"]
)
def test_a_registry_needs_a_quorum_that_can_be_met(
    machine: Any, accounts: list[LocalAccount], reverted: Any, members: list[int], quorum: int
) -> None:
    with pytest.raises(reverted):
        machine.deploy("GovernanceRegistry", [accounts[member].address for member in members], quorum)


def test_the_zero_address_is_no_institution(machine: Any, reverted: Any) -> None:
    with reverted.because("joining"):
        machine.deploy("GovernanceRegistry", [NOBODY], 1)


# --- votes signed off line


def test_anyone_relays_a_signed_vote(consortium: Consortium) -> None:
    for member in (0, 1):
        vote = consortium.ballot(member)
        consortium.relay(vote, votes.sign(vote, consortium.keys[member], domain=consortium.domain))
    assert consortium.authorised()


def test_a_signed_revocation_counts_like_a_direct_one(consortium: Consortium) -> None:
    consortium.vote(0)
    consortium.vote(1)
    vote = consortium.ballot(1, approve=False)
    consortium.relay(vote, votes.sign(vote, consortium.keys[1], domain=consortium.domain))
    assert not consortium.authorised()


def test_a_signed_vote_counts_once(consortium: Consortium, reverted: Any) -> None:
    vote = consortium.ballot(0)
    signature = votes.sign(vote, consortium.keys[0], domain=consortium.domain)
    consortium.relay(vote, signature)
    consortium.vote(0, approve=False)
    with reverted.because("nonce"):
        consortium.relay(vote, signature)


def test_a_direct_vote_voids_what_was_signed_before_it(consortium: Consortium, reverted: Any) -> None:
    vote = consortium.ballot(0)
    signature = votes.sign(vote, consortium.keys[0], domain=consortium.domain)
    consortium.vote(0, approve=False)
    with reverted.because("nonce"):
        consortium.relay(vote, signature)


def test_a_vote_lapses_after_its_deadline(consortium: Consortium, reverted: Any) -> None:
    vote = consortium.ballot(0)
    signature = votes.sign(vote, consortium.keys[0], domain=consortium.domain)
    consortium.machine.time = vote.deadline + 1
    with reverted.because("deadline"):
        consortium.relay(vote, signature)
    consortium.machine.time = vote.deadline
    consortium.relay(vote, signature)


@pytest.mark.parametrize(
    "change",
    [
        {"definition": "sha256:" + OTHER.hex()},
        {"approve": False},
        {"deadline": 2**40},
    ],
    ids=["definition", "approve", "deadline"],
)
def test_the_relayer_can_alter_nothing(consortium: Consortium, reverted: Any, change: dict[str, Any]) -> None:
    vote = consortium.ballot(0)
    signature = votes.sign(vote, consortium.keys[0], domain=consortium.domain)
    with reverted.because("signature"):
        consortium.relay(replace(vote, **change), signature)


def test_one_institution_cannot_sign_for_another(consortium: Consortium, reverted: Any) -> None:
    own = consortium.ballot(1)
    signature = votes.sign(own, consortium.keys[1], domain=consortium.domain)
    with reverted.because("signature"):
        consortium.relay(replace(own, institution=consortium.members[0]), signature)


def test_a_stranger_s_signature_is_no_vote(consortium: Consortium, reverted: Any) -> None:
    vote = consortium.ballot(4)
    with reverted.because("institution"):
        consortium.relay(vote, votes.sign(vote, consortium.keys[4], domain=consortium.domain))


@pytest.mark.parametrize("domain", ["chain", "registry"])
def test_a_vote_for_another_registry_is_none_here(consortium: Consortium, reverted: Any, domain: str) -> None:
    elsewhere = (
        replace(consortium.domain, chain_id=1)
        if domain == "chain"
        else replace(consortium.domain, registry=consortium.outsider)
    )
    vote = consortium.ballot(0)
    with reverted.because("signature"):
        consortium.relay(vote, votes.sign(vote, consortium.keys[0], domain=elsewhere))


def test_the_second_form_of_a_signature_is_refused(consortium: Consortium, reverted: Any) -> None:
    """(r, n - s) verifies as well in plain ECDSA; EIP-2 leaves one form."""
    vote = consortium.ballot(0)
    raw = bytes.fromhex(votes.sign(vote, consortium.keys[0], domain=consortium.domain)[2:])
    high = ORDER - int.from_bytes(raw[32:64], "big")
    with reverted.because("signature"):
        consortium.relay(vote, "0x" + (raw[:32] + high.to_bytes(32, "big") + bytes([55 - raw[64]])).hex())


@pytest.mark.parametrize("spoil", [lambda raw: raw[:64], lambda raw: raw[:64] + b"\0", lambda raw: bytes(64) + b"\x1b"])
def test_what_is_no_signature_is_refused(consortium: Consortium, reverted: Any, spoil: Any) -> None:
    vote = consortium.ballot(0)
    raw = bytes.fromhex(votes.sign(vote, consortium.keys[0], domain=consortium.domain)[2:])
    with reverted.because("signature"):
        consortium.relay(vote, "0x" + spoil(raw).hex())


def test_a_failed_recovery_does_not_vote_for_the_zero_address(consortium: Consortium, reverted: Any) -> None:
    """ecrecover answers the zero address for nonsense; nobody may sit there."""
    vote = replace(consortium.ballot(0), institution=NOBODY)
    with reverted.because("signature"):
        consortium.relay(vote, "0x" + "11" * 64 + "1b")


# --- membership


def test_a_quorum_admits_a_member_who_then_votes(consortium: Consortium) -> None:
    consortium.change(consortium.outsider, NOBODY, 2, voters=(0, 1))
    consortium.vote(0)
    consortium.vote(4)
    assert consortium.authorised()
    assert consortium.registry.read("membership") == (0b11111, 2)
    assert consortium.registry.read("epoch") == 2


def test_without_a_quorum_nothing_changes(consortium: Consortium, reverted: Any) -> None:
    with reverted.because("quorum missing"):
        consortium.change(consortium.outsider, NOBODY, 2, voters=(0,))


def test_the_approvals_of_a_former_member_stop_counting_at_once(consortium: Consortium, reverted: Any) -> None:
    consortium.vote(0)
    consortium.vote(1)
    consortium.change(NOBODY, consortium.members[0], 2, voters=(2, 3))
    assert not consortium.authorised()
    with reverted.because("institution"):
        consortium.vote(0)


def test_a_member_who_comes_back_starts_without_approvals(consortium: Consortium) -> None:
    consortium.vote(0)
    consortium.change(NOBODY, consortium.members[0], 2, voters=(2, 3))
    consortium.change(consortium.members[0], NOBODY, 2, voters=(2, 3))
    assert not consortium.registry.read("approved_by", DEFINITION, consortium.members[0])
    consortium.vote(1)
    assert not consortium.authorised()
    consortium.vote(0)
    assert consortium.authorised()


def test_an_institution_rotates_its_key_in_one_change(consortium: Consortium) -> None:
    consortium.change(consortium.outsider, consortium.members[0], 2, voters=(1, 2))
    (name, arguments), *_ = consortium.registry.events()
    assert name == "MembershipChanged"
    assert consortium.registry.read("membership") == (0b11110, 2)
    assert arguments == {"epoch": 2, "joining": consortium.outsider, "leaving": consortium.members[0], "quorum": 2}


def test_a_higher_quorum_binds_definitions_approved_before(consortium: Consortium) -> None:
    consortium.vote(0)
    consortium.vote(1)
    consortium.change(NOBODY, NOBODY, 3, voters=(0, 1))
    assert not consortium.authorised()


def test_a_change_voids_all_others_voted_on(consortium: Consortium, reverted: Any) -> None:
    pending = consortium.registry.read("change_digest", consortium.outsider, NOBODY, 2)
    consortium.vote(0, definition=pending)
    consortium.vote(1, definition=pending)
    consortium.change(NOBODY, NOBODY, 3, voters=(0, 1))
    with reverted.because("quorum missing"):
        consortium.registry.send(RELAYER, "enact", consortium.outsider, NOBODY, 2)


def test_a_change_happens_once(consortium: Consortium, reverted: Any) -> None:
    consortium.change(NOBODY, NOBODY, 3, voters=(0, 1))
    with reverted.because("quorum missing"):
        consortium.registry.send(RELAYER, "enact", NOBODY, NOBODY, 3)


@pytest.mark.parametrize("case", ["nobody-left-for-the-quorum", "stranger-leaves", "member-joins"])
def test_a_change_that_makes_no_sense_is_refused(consortium: Consortium, reverted: Any, case: str) -> None:
    joining, leaving, quorum, reason = {
        "nobody-left-for-the-quorum": (NOBODY, consortium.members[3], 4, "quorum"),
        "stranger-leaves": (NOBODY, consortium.outsider, 2, "leaving"),
        "member-joins": (consortium.members[1], NOBODY, 2, "joining"),
    }[case]
    with reverted.because(reason):
        consortium.change(joining, leaving, quorum, voters=(0, 1))


# --- history


def test_two_blocks_in_one_second_are_told_apart(consortium: Consortium) -> None:
    consortium.vote(0)
    consortium.vote(1)
    approved = consortium.machine.mine()
    consortium.vote(1, approve=False)
    revoked = consortium.machine.mine()
    assert consortium.registry.read("authorised_at", DEFINITION, approved)
    assert not consortium.registry.read("authorised_at", DEFINITION, revoked)


def test_the_future_is_not_answered_for(consortium: Consortium, reverted: Any) -> None:
    for function in ("authorised_at", "tally_at"):
        with reverted.because("future block"):
            consortium.registry.read(function, DEFINITION, consortium.machine.block + 1)


def test_the_past_keeps_the_membership_of_its_time(consortium: Consortium) -> None:
    consortium.vote(0)
    consortium.vote(1)
    before = consortium.machine.mine()
    consortium.change(consortium.outsider, consortium.members[0], 1, voters=(2, 3))
    after = consortium.machine.mine()
    assert consortium.registry.read("tally_at", DEFINITION, before) == (0b0011, 0b01111, 2)
    assert consortium.registry.read("tally_at", DEFINITION, after) == (0b0010, 0b11110, 1)
    assert consortium.registry.read("institutions") == tuple(
        address.lower() for address in (*consortium.members, consortium.outsider)
    )


STEP = st.one_of(
    st.tuples(st.just("vote"), st.integers(0, 4), st.booleans()),
    st.tuples(st.just("mine"), st.integers(1, 3), st.just(False)),
    st.tuples(st.just("quorum"), st.integers(1, 4), st.just(False)),
    st.tuples(st.just("leave"), st.integers(0, 3), st.just(False)),
)


@settings(max_examples=60)
@given(steps=st.lists(STEP, max_size=30))
def test_no_block_ever_knows_an_authority_that_lacked_its_quorum(
    new_machine: Any, reverted: Any, accounts: list[LocalAccount], steps: list[tuple[str, int, bool]]
) -> None:
    """Against a model that remembers, for every block, the approving members, the members and the quorum."""
    consortium = found(new_machine(), accounts)
    members, approving, quorum = {0, 1, 2, 3}, set[int](), 2
    history: dict[int, bool] = {}
    for kind, number, approve in steps:
        if kind == "mine":
            for _ in range(number):
                history[consortium.machine.mine()] = len(approving & members) >= quorum
        elif kind == "vote":
            if number not in members:
                with pytest.raises(reverted):
                    consortium.vote(number, approve)
            else:
                consortium.vote(number, approve)
                approving = approving | {number} if approve else approving - {number}
        else:
            leaving = consortium.keys[number].address if kind == "leave" else NOBODY
            wanted = number if kind == "quorum" else quorum
            left = members - {number} if kind == "leave" else members
            possible = wanted <= len(left) and not (kind == "leave" and number not in members)
            try:
                consortium.change(NOBODY, leaving, wanted, voters=tuple(members))
            except reverted:
                assert not possible
            else:
                assert possible
                members, quorum = left, wanted
        assert consortium.authorised() == (len(approving & members) >= quorum)
    for block, authorised in history.items():
        assert consortium.registry.read("authorised_at", DEFINITION, block) is authorised
