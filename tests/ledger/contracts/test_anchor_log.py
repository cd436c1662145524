"""What the anchor log accepts, and everything that it refuses."""

from collections.abc import Sequence
from typing import Any

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from concordat import merkle
from tests.support.merkle_log import CHECKPOINT, ZERO, MemoryLog

SUBMITTER = to_checksum_address("0x" + "a1" * 20)
STRANGER = to_checksum_address("0x" + "b2" * 20)
NOBODY = "0x" + "00" * 20


def first_log(machine: Any, submitters: Sequence[str] = (SUBMITTER,)) -> Any:
    """A consortium's first log, under a registry of one."""
    registry = machine.deploy("GovernanceRegistry", [STRANGER], 1)
    return machine.deploy("AnchorLog", submitters, registry.address, NOBODY)


@pytest.fixture
def contract(machine: Any) -> Any:
    return first_log(machine)


def anchor_sizes(contract: Any, log: MemoryLog, sizes: Sequence[int]) -> None:
    for sequence, (before, size) in enumerate(zip([0, *sizes], sizes, strict=False), start=1):
        contract.send(SUBMITTER, "anchor", *log.anchor(sequence, before, size))


def test_it_begins_empty(contract: Any) -> None:
    assert contract.read("head") == (0, ZERO, 0)


def test_an_anchor_is_kept_with_its_size_block_and_time(contract: Any, machine: Any) -> None:
    log = MemoryLog(7)
    machine.block = 41
    contract.send(SUBMITTER, "anchor", *log.anchor(1, 0, 7))

    meta = 7 << 128 | 41 << 64 | machine.time
    assert contract.read("head") == (1, log.root(7), meta)
    assert contract.read("root_at", 1) == log.root(7)
    assert contract.read("meta_at", 1) == meta


def test_each_anchor_is_an_event(contract: Any) -> None:
    log = MemoryLog(9)
    anchor_sizes(contract, log, [4, 9])

    (name, arguments), *others = contract.events()
    assert name == "Anchored"
    assert not others
    assert arguments["sequence"] == 2
    assert (arguments["previous_root"], arguments["root"], arguments["size"]) == (log.root(4), log.root(9), 9)
    assert arguments["checkpoint_hash"] == CHECKPOINT
    assert arguments["submitter"] == SUBMITTER


def test_history_stays_readable_by_sequence(contract: Any) -> None:
    log = MemoryLog(20)
    sizes = [1, 2, 5, 8, 20]
    anchor_sizes(contract, log, sizes)
    assert [contract.read("root_at", n) for n in range(1, 6)] == [log.root(size) for size in sizes]


def test_only_a_submitter_anchors(contract: Any, reverted: Any) -> None:
    with reverted.because("submitter"):
        contract.send(STRANGER, "anchor", *MemoryLog(3).anchor(1, 0, 3))


@pytest.mark.parametrize("submitters", [[], ["0x" + "00" * 20]])
def test_it_needs_a_submitter_that_can_sign(machine: Any, reverted: Any, submitters: list[str]) -> None:
    with reverted.because("submitters"):
        first_log(machine, submitters)


@pytest.mark.parametrize(("sequence", "why"), [(0, "past"), (1, "a replay"), (3, "a gap"), (2**256 - 1, "far off")])
def test_a_sequence_that_does_not_follow_is_refused(contract: Any, reverted: Any, sequence: int, why: str) -> None:
    log = MemoryLog(8)
    anchor_sizes(contract, log, [4])
    with reverted.because("sequence"):
        contract.send(SUBMITTER, "anchor", *log.anchor(sequence, 4, 8))


@pytest.mark.parametrize("size", [0, 3, 4, 2**64])
def test_a_log_that_does_not_grow_is_refused(contract: Any, reverted: Any, size: int) -> None:
    log = MemoryLog(4)
    anchor_sizes(contract, log, [4])
    with reverted.because("size"):
        contract.send(SUBMITTER, "anchor", 2, log.root(4), b"\1" * 32, size, CHECKPOINT, [])


def test_another_predecessor_is_refused(contract: Any, reverted: Any) -> None:
    log, fork = MemoryLog(8), MemoryLog(8, fork=b"fork")
    anchor_sizes(contract, log, [4])
    with reverted.because("previous root"):
        contract.send(SUBMITTER, "anchor", *fork.anchor(2, 4, 8))


def test_a_fork_behind_the_same_predecessor_is_refused(contract: Any, reverted: Any) -> None:
    log, fork = MemoryLog(8), MemoryLog(8, fork=b"fork")
    anchor_sizes(contract, log, [4])
    with reverted.because("consistency"):
        contract.send(SUBMITTER, "anchor", 2, log.root(4), fork.root(8), 8, CHECKPOINT, fork.proof(4, 8))


def test_no_proof_is_needed_or_taken_for_the_first_anchor_only(contract: Any, reverted: Any) -> None:
    log = MemoryLog(9)
    with reverted.because("consistency"):
        contract.send(SUBMITTER, "anchor", 1, ZERO, log.root(4), 4, CHECKPOINT, log.proof(2, 4))
    anchor_sizes(contract, log, [4])
    with reverted.because("consistency"):
        contract.send(SUBMITTER, "anchor", 2, log.root(4), log.root(9), 9, CHECKPOINT, [])


def test_an_empty_root_is_refused(contract: Any, reverted: Any) -> None:
    with reverted.because("root"):
        contract.send(SUBMITTER, "anchor", 1, ZERO, ZERO, 4, CHECKPOINT, [])


@settings(max_examples=60)
@given(sizes=st.tuples(st.integers(1, 120), st.integers(1, 120)).filter(lambda s: s[0] < s[1]), change=st.data())
def test_it_takes_a_consistency_proof_exactly_when_rfc_9162_does(
    new_machine: Any, reverted: Any, sizes: tuple[int, int], change: st.DataObject
) -> None:
    first, second = sizes
    log = MemoryLog(second)
    proof = log.proof(first, second)
    spoilt = list(proof)
    match change.draw(st.sampled_from(["none", "shorten", "lengthen", "swap", "alter"])):
        case "shorten":
            spoilt = spoilt[:-1]
        case "lengthen":
            spoilt.append(bytes(32))
        case "swap":
            spoilt.reverse()
        case "alter":
            at = change.draw(st.integers(0, len(proof) - 1))
            spoilt[at] = bytes([spoilt[at][0] ^ 1]) + spoilt[at][1:]
    contract = first_log(new_machine())
    anchor_sizes(contract, log, [first])
    arguments = (2, log.root(first), log.root(second), second, CHECKPOINT, spoilt)

    if merkle.verify_consistency(first, second, log.root(first), log.root(second), spoilt):
        contract.send(SUBMITTER, "anchor", *arguments)
        assert contract.read("root_at", 2) == log.root(second)
    else:
        with reverted.because("consistency"):
            contract.send(SUBMITTER, "anchor", *arguments)


@settings(max_examples=60)
@given(size=st.integers(1, 120), data=st.data())
def test_it_verifies_inclusion_exactly_when_rfc_9162_does(new_machine: Any, size: int, data: st.DataObject) -> None:
    log = MemoryLog(size)
    index, claimed = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    path = log.path(index, size)[: data.draw(st.sampled_from([None, -1]))]
    contract = first_log(new_machine())
    anchor_sizes(contract, log, [size])

    expected = merkle.verify_inclusion(log.leaves[index], claimed, size, path, log.root(size))
    assert contract.read("verify_inclusion", 1, log.leaves[index], claimed, path) is expected
    assert contract.read("verify_inclusion", 1, log.leaves[index], index, log.path(index, size))
    assert not contract.read("verify_inclusion", 2, log.leaves[index], index, log.path(index, size))


ATTEMPT = st.tuples(
    st.sampled_from([SUBMITTER, STRANGER]),
    st.integers(-1, 2),  # offset of the sequence from the latest
    st.integers(0, 30),  # size claimed
    st.booleans(),  # from the true log or from a fork
)


@settings(max_examples=60)
@given(attempts=st.lists(ATTEMPT, max_size=14))
def test_whatever_is_tried_the_history_has_no_gap_and_never_changes(
    new_machine: Any, reverted: Any, attempts: list[tuple[str, int, int, bool]]
) -> None:
    true, fork = MemoryLog(30), MemoryLog(30, fork=b"fork")
    contract = first_log(new_machine())
    history: list[tuple[bytes, int]] = [(ZERO, 0)]
    for sender, offset, size, forked in attempts:
        log = fork if forked else true
        latest, before = len(history) - 1, history[-1][1]
        sequence = max(0, latest + offset)
        proof = log.proof(before, size) if size > before else []
        try:
            contract.send(sender, "anchor", sequence, history[-1][0], log.root(size), size, CHECKPOINT, proof)
        except reverted:
            pass
        else:
            assert sender == SUBMITTER
            assert sequence == latest + 1
            assert size > before
            history.append((log.root(size), size))
        heads = [(contract.read("root_at", n), contract.read("meta_at", n) >> 128) for n in range(len(history))]
        assert heads == history
        assert contract.read("sequence") == len(history) - 1
    roots = [root for root, _ in history[1:]]
    assert roots in ([true.root(s) for _, s in history[1:]], [fork.root(s) for _, s in history[1:]])
