"""How an anchor log ends in favour of another: by a quorum, once, without a gap, and without a second history."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from concordat import merkle
from tests.support.merkle_log import CHECKPOINT, MemoryLog

OLD_SUBMITTER = to_checksum_address("0x" + "a1" * 20)
NEW_SUBMITTER = to_checksum_address("0x" + "a2" * 20)
ANYONE = "0x" + "99" * 20
NOBODY = "0x" + "00" * 20
TRUE = MemoryLog(40)


@dataclass
class Consortium:
    """Four members of whom two decide, their first log, and what succeeds it."""

    machine: Any
    keys: list[LocalAccount]
    registry: Any = field(init=False)
    log: Any = field(init=False)

    def __post_init__(self) -> None:
        self.registry = self.machine.deploy("GovernanceRegistry", [key.address for key in self.keys[:4]], 2)
        self.log = self.machine.deploy("AnchorLog", [OLD_SUBMITTER], self.registry.address, NOBODY)

    def successor(self, log: Any = None) -> Any:
        predecessor = (log or self.log).address
        return self.machine.deploy("AnchorLog", [NEW_SUBMITTER], self.registry.address, predecessor)

    def vote(self, successor: Any, *members: int, approve: bool = True, log: Any = None, last: int = 0) -> None:
        digest = (log or self.log).read("seal_digest", successor.address, last)
        for member in members:
            self.registry.send(self.keys[member].address, "vote", digest, approve)

    def succeed(self, log: Any = None) -> Any:
        """Deploy, vote, seal, begin."""
        old = log or self.log
        new = self.successor(old)
        self.vote(new, 0, 1, log=old)
        old.send(ANYONE, "seal", new.address, 0)
        new.send(ANYONE, "begin")
        return new


@pytest.fixture
def consortium(machine: Any, accounts: list[LocalAccount]) -> Consortium:
    made = Consortium(machine, accounts)
    made.log.send(OLD_SUBMITTER, "anchor", *TRUE.anchor(1, 0, 5))
    made.log.send(OLD_SUBMITTER, "anchor", *TRUE.anchor(2, 5, 12))
    return made


class TestASuccessorThatAQuorumChose:
    def test_begins_with_the_old_log_s_last_head(self, consortium: Consortium) -> None:
        new = consortium.succeed()
        assert new.read("head") == consortium.log.read("head")
        assert (new.read("begun_at"), new.read("root_at", 1)) == (2, bytes(32))
        assert consortium.log.read("root_at", 1) == TRUE.root(5)

    def test_goes_on_where_the_old_one_ended(self, consortium: Consortium) -> None:
        new = consortium.succeed()
        new.send(NEW_SUBMITTER, "anchor", *TRUE.anchor(3, 12, 30))
        assert new.read("root_at", 3) == TRUE.root(30)

    def test_takes_no_history_other_than_the_old_log_s(self, consortium: Consortium, reverted: Any) -> None:
        new, fork = consortium.succeed(), MemoryLog(40, fork=b"fork")
        with reverted.because("previous root"):
            new.send(NEW_SUBMITTER, "anchor", *fork.anchor(3, 12, 30))
        with reverted.because("sequence"):
            new.send(NEW_SUBMITTER, "anchor", *TRUE.anchor(1, 0, 30))

    def test_has_submitters_of_its_own(self, consortium: Consortium, reverted: Any) -> None:
        new = consortium.succeed()
        with reverted.because("submitter"):
            new.send(OLD_SUBMITTER, "anchor", *TRUE.anchor(3, 12, 30))

    def test_may_be_succeeded_in_its_turn(self, consortium: Consortium) -> None:
        second = consortium.succeed()
        second.send(NEW_SUBMITTER, "anchor", *TRUE.anchor(3, 12, 20))
        third = consortium.succeed(second)
        assert third.read("head") == second.read("head")
        assert third.read("begun_at") == 3

    def test_begins_empty_where_nothing_was_anchored(self, machine: Any, accounts: list[LocalAccount]) -> None:
        new = Consortium(machine, accounts).succeed()
        new.send(NEW_SUBMITTER, "anchor", *TRUE.anchor(1, 0, 5))
        assert new.read("root_at", 1) == TRUE.root(5)

    def test_is_named_in_both_logs_events(self, consortium: Consortium) -> None:
        new = consortium.successor()
        consortium.vote(new, 0, 1)
        consortium.log.send(ANYONE, "seal", new.address, 0)
        head = {"sequence": 2, "root": TRUE.root(12)}
        assert consortium.log.events() == [("Sealed", {"successor": new.address, **head})]
        new.send(ANYONE, "begin")
        assert new.events() == [("Begun", {"predecessor": consortium.log.address, **head})]


class TestAnAnchorLogThatIsSealed:
    def test_takes_no_further_head(self, consortium: Consortium, reverted: Any) -> None:
        consortium.succeed()
        with reverted.because("submitter"):
            consortium.log.send(OLD_SUBMITTER, "anchor", *TRUE.anchor(3, 12, 30))

    def test_keeps_its_history(self, consortium: Consortium) -> None:
        new = consortium.succeed()
        assert consortium.log.read("sealed_to") == new.address.lower()
        assert [consortium.log.read("root_at", n) for n in (1, 2)] == [TRUE.root(5), TRUE.root(12)]

    def test_is_sealed_once(self, consortium: Consortium, reverted: Any) -> None:
        consortium.succeed()
        other = consortium.successor()
        consortium.vote(other, 0, 1)
        with reverted.because("sealed"):
            consortium.log.send(ANYONE, "seal", other.address, 0)
        with reverted.because("predecessor"):
            other.send(ANYONE, "begin")

    def test_does_not_begin_again(self, consortium: Consortium, reverted: Any) -> None:
        second = consortium.succeed()
        consortium.succeed(second)
        for log in (consortium.log, second):
            with reverted.because("begun"):
                log.send(ANYONE, "begin")


class TestNobodyElseEndsALog:
    def test_without_a_quorum(self, consortium: Consortium, reverted: Any) -> None:
        new = consortium.successor()
        consortium.vote(new, 0)
        with reverted.because("quorum missing"):
            consortium.log.send(OLD_SUBMITTER, "seal", new.address, 0)

    def test_after_a_vote_was_revoked(self, consortium: Consortium, reverted: Any) -> None:
        new = consortium.successor()
        consortium.vote(new, 0, 1)
        consortium.vote(new, 1, approve=False)
        with reverted.because("quorum missing"):
            consortium.log.send(ANYONE, "seal", new.address, 0)

    def test_after_the_members_changed(self, consortium: Consortium, reverted: Any) -> None:
        new = consortium.successor()
        consortium.vote(new, 0, 1)
        change = consortium.registry.read("change_digest", NOBODY, NOBODY, 1)
        for member in (2, 3):
            consortium.registry.send(consortium.keys[member].address, "vote", change, True)
        consortium.registry.send(ANYONE, "enact", NOBODY, NOBODY, 1)
        with reverted.because("quorum missing"):
            consortium.log.send(ANYONE, "seal", new.address, 0)

    def test_by_a_vote_on_another_log_or_another_chain(self, consortium: Consortium, accounts: list[Any]) -> None:
        new = consortium.successor()
        other = consortium.machine.deploy("AnchorLog", [OLD_SUBMITTER], consortium.registry.address, NOBODY)
        digests = {log.read("seal_digest", new.address, 0) for log in (consortium.log, other)}
        elsewhere = Consortium(type(consortium.machine)(chain_id=1), accounts)
        assert elsewhere.log.address == consortium.log.address
        assert len(digests | {elsewhere.log.read("seal_digest", new.address, 0)}) == 3

    def test_in_favour_of_a_log_that_does_not_follow_it(self, consortium: Consortium, reverted: Any) -> None:
        stray = consortium.machine.deploy("AnchorLog", [NEW_SUBMITTER], consortium.registry.address, NOBODY)
        consortium.vote(stray, 0, 1)
        with reverted.because("successor"):
            consortium.log.send(ANYONE, "seal", stray.address, 0)

    def test_in_favour_of_an_address_without_a_contract(self, consortium: Consortium, reverted: Any) -> None:
        digest = consortium.log.read("seal_digest", ANYONE, 0)
        for member in (0, 1):
            consortium.registry.send(consortium.keys[member].address, "vote", digest, True)
        with pytest.raises(reverted):
            consortium.log.send(ANYONE, "seal", ANYONE, 0)

    def test_in_favour_of_a_log_that_begun_before_it_was_chosen(self, consortium: Consortium, reverted: Any) -> None:
        """By code that ran once, at its creation, and left the genuine code with a state of its own behind."""
        forged = consortium.machine.create("AnchorLog", {"begun": 1, "predecessor": int(consortium.log.address, 16)})
        consortium.vote(forged, 0, 1)
        with reverted.because("successor"):
            consortium.log.send(ANYONE, "seal", forged.address, 0)

    def test_before_it_has_begun(self, consortium: Consortium, reverted: Any) -> None:
        """Its successor would take an empty head for the last one."""
        waiting = consortium.successor()
        after = consortium.successor(waiting)
        consortium.vote(after, 0, 1, log=waiting)
        with reverted.because("not begun"):
            waiting.send(ANYONE, "seal", after.address, 0)


class TestAStolenKey:
    """It wrote a head that no honest one can follow."""

    @pytest.fixture
    def stolen(self, consortium: Consortium) -> Consortium:
        junk = bytes(31) + b"!"
        root = hashlib.sha256(b"\x01" + merkle.root(TRUE.leaves[8:12]) + junk).digest()
        forged = hashlib.sha256(b"\x01" + merkle.root(TRUE.leaves[:8]) + root).digest()
        proof = [merkle.root(TRUE.leaves[8:12]), junk, merkle.root(TRUE.leaves[:8])]
        consortium.log.send(OLD_SUBMITTER, "anchor", 3, TRUE.root(12), forged, 13, CHECKPOINT, proof)
        return consortium

    def test_stops_the_log(self, stolen: Consortium, reverted: Any) -> None:
        with reverted.because("previous root"):
            stolen.log.send(OLD_SUBMITTER, "anchor", *TRUE.anchor(4, 12, 30))

    def test_and_a_quorum_goes_on_from_before_it(self, stolen: Consortium) -> None:
        new = stolen.successor()
        stolen.vote(new, 0, 1, last=2)
        stolen.log.send(ANYONE, "seal", new.address, 2)
        new.send(ANYONE, "begin")
        assert (stolen.log.read("sealed_at"), new.read("head")[:2]) == (2, (2, TRUE.root(12)))
        new.send(NEW_SUBMITTER, "anchor", *TRUE.anchor(3, 12, 30))

    def test_which_it_voted_on_and_nobody_chooses_for_it(self, stolen: Consortium, reverted: Any) -> None:
        new = stolen.successor()
        stolen.vote(new, 0, 1, last=2)
        for last in (0, 1, 3):
            with reverted.because("quorum missing"):
                stolen.log.send(OLD_SUBMITTER, "seal", new.address, last)

    def test_nor_from_a_head_that_is_not_there(self, stolen: Consortium, reverted: Any) -> None:
        new = stolen.successor()
        stolen.vote(new, 0, 1, last=4)
        with reverted.because("last"):
            stolen.log.send(ANYONE, "seal", new.address, 4)


class TestASuccessorThatNobodyChose:
    def test_does_not_begin(self, consortium: Consortium, reverted: Any) -> None:
        new = consortium.successor()
        with reverted.because("predecessor"):
            new.send(ANYONE, "begin")

    def test_takes_no_head(self, consortium: Consortium, reverted: Any) -> None:
        new = consortium.successor()
        with reverted.because("submitter"):
            new.send(NEW_SUBMITTER, "anchor", *TRUE.anchor(1, 0, 5))

    def test_needs_a_registry(self, machine: Any, reverted: Any) -> None:
        with reverted.because("registry"):
            machine.deploy("AnchorLog", [NEW_SUBMITTER], ANYONE, NOBODY)


STEP = st.one_of(
    st.tuples(st.just("anchor"), st.integers(0, 2), st.integers(1, 4)),  # which log, by how many entries
    st.tuples(st.just("vote"), st.integers(0, 3), st.integers(1, 2)),  # which member, for which of two successors
    st.tuples(st.just("seal"), st.just(0), st.integers(1, 2)),
    st.tuples(st.just("begin"), st.integers(0, 2), st.just(0)),
)


@settings(max_examples=60)
@given(steps=st.lists(STEP, max_size=25))
def test_whatever_is_tried_there_is_one_history_without_a_gap(
    new_machine: Any, reverted: Any, accounts: list[LocalAccount], steps: list[tuple[str, int, int]]
) -> None:
    """Against a model: one log takes heads at a time, and only a quorum changes which."""
    consortium = Consortium(new_machine(), accounts)
    logs = [consortium.log, consortium.successor(), consortium.successor()]
    heads, votes, sealed_to, open_log = [0], dict[int, set[int]](), 0, 0
    for kind, first, second in steps:
        possible = False
        try:
            if kind == "anchor":
                possible = first == open_log and heads[-1] + second <= 40
                size = heads[-1] + second
                submitter = NEW_SUBMITTER if first else OLD_SUBMITTER
                logs[first].send(submitter, "anchor", *TRUE.anchor(len(heads), heads[-1], size))
                heads.append(size)
            elif kind == "vote":
                possible = True
                consortium.vote(logs[second], first)
                votes.setdefault(second, set()).add(first)
            elif kind == "seal":
                possible = sealed_to == 0 and len(votes.get(second, ())) >= 2
                logs[0].send(ANYONE, "seal", logs[second].address, 0)
                sealed_to, open_log = second, -1
            else:
                possible = open_log == -1 and first == sealed_to
                logs[first].send(ANYONE, "begin")
                open_log = first
        except reverted:
            assert not possible
        else:
            assert possible
        begun = logs[open_log].read("begun_at") if open_log > 0 else len(heads)
        for sequence, size in enumerate(heads[1:], start=1):
            kept = [log for log in logs if log.read("root_at", sequence) == TRUE.root(size)]
            assert kept[0] is (logs[0] if sequence <= begun else logs[open_log])
