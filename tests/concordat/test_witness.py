"""add-checkpoint as C2SP tlog-witness has it: nothing makes a witness cosign two histories."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concordat import checkpoint, merkle, witness
from concordat.checkpoint import Checkpoint
from concordat.merkle import EMPTY_ROOT
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey
from concordat.witness import AddCheckpoint, Seen

ORIGIN, KEY = "example.com/log", SigningKey.generate()
KEYS = {ORIGIN: KEY.public}

# https://c2sp.org/tlog-witness, “Example request body”
EXAMPLE = """old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa \
Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa \
opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
"""


class Log:
    """A history: leaves, heads signed with a key, proofs between them."""

    def __init__(self, leaves, key=KEY):
        self.hashes, self.key = [merkle.leaf_hash(each) for each in leaves], key

    def subtree(self, start, stop):
        return merkle.root(self.hashes[start:stop])

    def head(self, size):
        return Checkpoint(ORIGIN, size, merkle.root(self.hashes[:size]))

    def call(self, old, size):
        proof = merkle.consistency_proof(old, size, self.subtree) if 0 < old <= size else []
        return AddCheckpoint(old, tuple(proof), checkpoint.sign(self.head(size), self.key, ORIGIN))

    def seen(self, size):
        return Seen(size, merkle.root(self.hashes[:size]))


LEAVES = [b"%d" % number for number in range(40)]
LOG = Log(LEAVES)


def check(call, seen):
    return witness.check(call, seen, origin=ORIGIN, keys=KEYS)


def refusal(call, seen):
    with pytest.raises(Refused) as caught:
        check(call, seen)
    return caught.value.reason


def test_the_specification_s_example_is_read_and_written_to_the_byte():
    call = witness.read(EXAMPLE)
    assert (call.old, len(call.proof)) == (20852014, 4)
    assert call.proof[0] == base64.b64decode("PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=")
    assert call.note.startswith("example.com/behind-the-sofa\n20852163\n")
    assert witness.write(call.old, call.proof, call.note) == EXAMPLE


@given(st.integers(0, 10**18), st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_what_is_written_is_read(old, proof):
    note = LOG.call(0, 5).note
    assert witness.read(witness.write(old, proof, note)) == AddCheckpoint(old, tuple(proof), note)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "old 1",
        "old 1\n",
        "old 01\n\nnote",
        "old -1\n\nnote",
        "old 1 \n\nnote",
        "Old 1\n\nnote",
        "old 1\nAAAA\n\nnote",
        "old 1\n!\n\nnote",
        "old 1\r\n\r\nnote",
        "old 1\n" + "A" * 43 + "\n\nnote",
        "old 1\n" + ("A" * 43 + "=\n") * 64 + "\nnote",
    ],
)
def test_what_is_no_call_is_refused(text):
    with pytest.raises(Refused) as caught:
        witness.read(text)
    assert caught.value.reason is Reason.MALFORMED


def test_every_head_that_extends_the_last_one_is_cosigned():
    for old in range(len(LEAVES) + 1):
        for size in range(max(old, 1), len(LEAVES) + 1):
            assert check(LOG.call(old, size), LOG.seen(old)) == LOG.head(size)


def test_an_empty_log_may_be_cosigned_under_the_empty_root_alone():
    assert check(LOG.call(0, 0), Seen()).size == 0
    forged = AddCheckpoint(0, (), checkpoint.sign(Checkpoint(ORIGIN, 0, bytes(32)), KEY, ORIGIN))
    assert refusal(forged, Seen()) is Reason.CONSISTENCY_INVALID
    assert Seen().root == EMPTY_ROOT


def test_a_first_head_needs_no_proof_and_has_none():
    call = LOG.call(0, 9)
    assert refusal(AddCheckpoint(0, (bytes(32),), call.note), Seen()) is Reason.MALFORMED


def test_the_log_of_another_key_or_origin_is_not_known():
    assert refusal(Log(LEAVES, SigningKey.generate()).call(0, 5), Seen()) is Reason.CHECKPOINT_INVALID
    other = checkpoint.sign(Checkpoint("other.example/log", 5, LOG.head(5).root), KEY, ORIGIN)
    assert refusal(AddCheckpoint(0, (), other), Seen()) is Reason.CHECKPOINT_INVALID


@pytest.mark.parametrize("old", [0, 4, 6, 9])
def test_a_proof_from_elsewhere_is_answered_with_the_size_where_the_witness_stands(old):
    with pytest.raises(Refused, match="stands at 5 entries") as caught:
        check(LOG.call(old, 9), LOG.seen(5))
    assert caught.value.reason is Reason.WITNESS_ELSEWHERE


def test_a_shorter_head_is_not_cosigned_and_is_not_said_to_contradict():
    assert refusal(AddCheckpoint(9, (), LOG.call(0, 5).note), LOG.seen(9)) is Reason.CHECKPOINT_OLDER


def test_the_same_head_with_a_proof_that_it_cannot_have_is_not_said_to_contradict():
    assert refusal(AddCheckpoint(9, (bytes(32),), LOG.call(9, 9).note), LOG.seen(9)) is Reason.MALFORMED


def test_another_head_of_the_same_size_is_not_cosigned():
    assert check(LOG.call(9, 9), LOG.seen(9)).size == 9
    other = Log([*LEAVES[:8], b"other"])
    assert refusal(other.call(9, 9), LOG.seen(9)) is Reason.CONSISTENCY_INVALID


@given(st.data())
@settings(max_examples=60)
def test_whatever_is_asked_in_whatever_order_all_that_is_cosigned_is_one_history(data):
    """A log that forks at a random place, and calls with honest, foreign, cut and mixed proofs."""
    fork = data.draw(st.integers(0, len(LEAVES) - 1))
    logs = [LOG, Log([*LEAVES[:fork], *(b"x%d" % number for number in range(len(LEAVES) - fork))])]
    seen, cosigned = Seen(), []
    for _ in range(data.draw(st.integers(1, 8))):
        log, proving = data.draw(st.sampled_from(logs)), data.draw(st.sampled_from(logs))
        size = data.draw(st.integers(1, len(LEAVES)))
        old = data.draw(st.sampled_from([seen.size, 0, min(seen.size + 1, size)]))
        proof = proving.call(min(old, size), size).proof
        proof = data.draw(st.sampled_from([proof, proof[:-1], (*proof, bytes(32))]))
        try:
            head = check(AddCheckpoint(old, proof, log.call(0, size).note), seen)
        except Refused:
            continue
        cosigned.append(head)
        seen = Seen(head.size, head.root)
    for log in logs:
        if cosigned and cosigned[-1] == log.head(cosigned[-1].size):
            assert [log.head(head.size) for head in cosigned] == cosigned
            break
    else:
        assert not cosigned
