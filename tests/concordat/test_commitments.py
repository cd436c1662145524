"""A commitment opens to what was committed to, and to nothing else."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat.commitments import INPUT_SHARE, commit, new_salt, open_commitment
from concordat.reasons import Reason, Refused

SALT = bytes(range(32))
PART = st.binary(max_size=20) | st.text(max_size=20) | st.integers(0, 2**64 - 1)
PARTS = st.lists(PART, min_size=1, max_size=5)


def as_bytes(part):
    return part if isinstance(part, bytes) else part.encode() if isinstance(part, str) else part.to_bytes(8, "big")


def test_the_bytes_hashed_are_the_documented_ones():
    written_out = (
        b"\0\0\0\0\0\0\0\x05label" + b"\0\0\0\0\0\0\0\x20" + SALT + b"\0\0\0\0\0\0\0\x02ab" + b"\0\0\0\0\0\0\0\x08"
    ) + b"\0\0\0\0\0\0\x01\x00"
    assert commit("label", SALT, "ab", 256) == "sha256:" + hashlib.sha256(written_out).hexdigest()


@given(PARTS)
def test_a_commitment_opens_to_its_own_parts(parts):
    assert open_commitment(commit(INPUT_SHARE, SALT, *parts), INPUT_SHARE, SALT, *parts)


@given(PARTS, PARTS)
def test_other_parts_or_other_boundaries_between_them_do_not_open_it(one, other):
    same = [as_bytes(part) for part in one] == [as_bytes(part) for part in other]
    assert open_commitment(commit("l", SALT, *one), "l", SALT, *other) == same


def test_label_and_salt_are_part_of_it():
    commitment = commit("one", SALT, b"x")
    assert not open_commitment(commitment, "two", SALT, b"x")
    assert not open_commitment(commitment, "one", new_salt(), b"x")
    assert not open_commitment(commitment, "one", SALT[:31], b"x")
    assert not open_commitment("é", "one", SALT, b"x")


def test_salts_are_32_bytes_and_fresh():
    salts = {new_salt() for _ in range(100)}
    assert len(salts) == 100
    assert {len(salt) for salt in salts} == {32}


@pytest.mark.parametrize(
    "call",
    [
        lambda: commit("l", SALT[:31], b"x"),
        lambda: commit("l", SALT + b"x", b""),
        lambda: commit("l", SALT),
        lambda: commit("l", SALT, -1),
        lambda: commit("l", SALT, 2**64),
    ],
)
def test_what_cannot_be_committed_to_is_refused(call):
    with pytest.raises(Refused) as refusal:
        call()
    assert refusal.value.reason is Reason.MALFORMED
