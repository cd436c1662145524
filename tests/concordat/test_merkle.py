"""The Merkle tree against RFC 9162, written a second time here as the RFC's recursive definitions."""

import hashlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from concordat.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    root_at,
    verify_consistency,
    verify_inclusion,
)

# The leaves and tree heads that Certificate Transparency implementations share (RFC 6962 hashing, as RFC 9162's).
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LARGEST = 70
DATA = [f"leaf {index}".encode() for index in range(LARGEST)]
HASHES = [leaf_hash(data) for data in DATA]


def H(data):
    return hashlib.sha256(data).digest()


def k(n):
    power = 1
    while power * 2 < n:
        power *= 2
    return power


def MTH(D):
    """RFC 9162, 2.1.1."""
    if not D:
        return H(b"")
    if len(D) == 1:
        return H(b"\0" + D[0])
    return H(b"\1" + MTH(D[: k(len(D))]) + MTH(D[k(len(D)) :]))


def PATH(m, D):
    """RFC 9162, 2.1.3.1."""
    if len(D) == 1:
        return []
    split = k(len(D))
    if m < split:
        return [*PATH(m, D[:split]), MTH(D[split:])]
    return [*PATH(m - split, D[split:]), MTH(D[:split])]


def SUBPROOF(m, D, b):
    """RFC 9162, 2.1.4.1."""
    if m == len(D):
        return [] if b else [MTH(D)]
    split = k(len(D))
    if m <= split:
        return [*SUBPROOF(m, D[:split], b), MTH(D[split:])]
    return [*SUBPROOF(m - split, D[split:], False), MTH(D[:split])]


def subtree(start, stop):
    """What a log stores: complete subtrees only, so that asking for any other fails."""
    length = stop - start
    assert length > 0
    assert length & (length - 1) == 0
    assert start % length == 0
    return MTH(DATA[start:stop])


@st.composite
def inclusions(draw):
    size = draw(st.integers(1, LARGEST))
    index = draw(st.integers(0, size - 1))
    return index, size, inclusion_proof(index, size, subtree), root(HASHES[:size])


@st.composite
def consistencies(draw):
    second = draw(st.integers(1, LARGEST))
    first = draw(st.integers(1, second))
    return first, second, root(HASHES[:first]), root(HASHES[:second]), consistency_proof(first, second, subtree)


def flip(data, draw):
    bit = draw(st.integers(0, len(data) * 8 - 1))
    altered = bytearray(data)
    altered[bit // 8] ^= 1 << bit % 8
    return bytes(altered)


@pytest.mark.parametrize("size", range(1, 9))
def test_the_shared_reference_roots(size):
    assert root([leaf_hash(leaf) for leaf in LEAVES[:size]]).hex() == ROOTS[size - 1]


def test_the_empty_tree():
    assert root([]) == root_at(0, subtree) == EMPTY_ROOT == MTH([])


def test_roots_are_those_of_the_definition():
    for size in range(1, LARGEST + 1):
        assert root(HASHES[:size]) == root_at(size, subtree) == MTH(DATA[:size])


def test_every_inclusion_proof_is_that_of_the_definition_and_verifies():
    for size in range(1, 34):
        head = MTH(DATA[:size])
        for index in range(size):
            proof = inclusion_proof(index, size, subtree)
            assert proof == PATH(index, DATA[:size])
            assert verify_inclusion(HASHES[index], index, size, proof, head)


def test_every_consistency_proof_is_that_of_the_definition_and_verifies():
    for second in range(1, 34):
        for first in range(1, second + 1):
            proof = consistency_proof(first, second, subtree)
            assert proof == SUBPROOF(first, DATA[:second], True)
            assert verify_consistency(first, second, MTH(DATA[:first]), MTH(DATA[:second]), proof)


@given(inclusions(), st.data())
def test_an_inclusion_proof_holds_for_nothing_else(proven, data):
    index, size, proof, head = proven
    leaf = HASHES[index]
    assert not verify_inclusion(flip(leaf, data.draw), index, size, proof, head)
    assert not verify_inclusion(leaf, index, size, proof, flip(head, data.draw))
    assert not verify_inclusion(leaf, index, size, [*proof, head], head)
    assert not verify_inclusion(leaf, index, size, [head, *proof], head)
    wrong = data.draw(st.integers(-2, LARGEST * 2).filter(lambda other: other != index))
    assert not verify_inclusion(leaf, wrong, size, proof, head)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        assert not verify_inclusion(
            leaf, index, size, [*proof[:at], flip(proof[at], data.draw), *proof[at + 1 :]], head
        )
        assert not verify_inclusion(leaf, index, size, proof[:at] + proof[at + 1 :], head)
        assert not verify_inclusion(leaf, index, size, [*proof[:at], proof[at][:31], *proof[at + 1 :]], head)


@given(consistencies(), st.data())
def test_a_consistency_proof_holds_for_nothing_else(proven, data):
    first, second, old, new, proof = proven
    assert not verify_consistency(first, second, flip(old, data.draw), new, proof)
    assert not verify_consistency(first, second, old, flip(new, data.draw), proof)
    assert not verify_consistency(first, second, old, new, [*proof, new])
    assert not verify_consistency(first, second, old, new, [old, *proof])
    if first != second:
        assert not verify_consistency(second, first, new, old, proof)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        assert not verify_consistency(
            first, second, old, new, [*proof[:at], flip(proof[at], data.draw), *proof[at + 1 :]]
        )
        assert not verify_consistency(first, second, old, new, proof[:at] + proof[at + 1 :])
        assert not verify_consistency(first, second, old, new, [*proof[:at], proof[at] + b"x", *proof[at + 1 :]])


@given(inclusions(), st.integers(-1, 2 * LARGEST))
def test_a_size_under_which_the_proof_would_have_another_shape_is_refused(proven, other):
    # Two sizes can give one leaf the same path; the head, which a checkpoint ties to its size, tells them apart.
    index, size, proof, head = proven
    shape = len(PATH(index, range_of(other))) if index < other else None
    if other != size and shape != len(proof):
        assert not verify_inclusion(HASHES[index], index, other, proof, head)


def range_of(size):
    return [b""] * size


def test_nothing_is_proven_about_an_empty_tree():
    assert not verify_inclusion(HASHES[0], 0, 0, [], EMPTY_ROOT)
    assert not verify_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, [])
    assert not verify_consistency(0, 1, EMPTY_ROOT, HASHES[0], [])
    assert not verify_consistency(0, 1, EMPTY_ROOT, HASHES[0], [HASHES[0]])


@pytest.mark.parametrize("bad", [b"", b"\0" * 31, b"\0" * 33, "0" * 32, None])
def test_only_hashes_of_32_bytes_are_taken(bad):
    assert not verify_inclusion(bad, 0, 1, [], bad)
    assert not verify_inclusion(HASHES[0], 0, 2, [bad], MTH(DATA[:2]))
    assert not verify_consistency(1, 1, bad, bad, [])
    assert not verify_consistency(1, 2, HASHES[0], MTH(DATA[:2]), [bad])


@given(inclusions(), consistencies())
def test_a_proof_that_goes_on_above_the_root_is_refused_though_its_hashes_add_up(included, consistent):
    beside = HASHES[-1]
    index, size, proof, head = included
    for above in (node_hash(beside, head), node_hash(head, beside)):
        assert not verify_inclusion(HASHES[index], index, size, [*proof, beside], above)
    first, second, old, new, path = consistent
    assert not verify_consistency(first, second, node_hash(beside, old), node_hash(beside, new), [*path, beside])
    assert not verify_consistency(first, second, old, node_hash(new, beside), [*path, beside])


@pytest.mark.parametrize("first", [1, 2, 4, 8])
def test_a_proof_that_stops_below_the_root_is_refused_though_its_hashes_add_up(first):
    old = MTH(DATA[:first])
    assert not verify_consistency(first, first + 1, old, old, [])
    assert not verify_inclusion(HASHES[0], 0, first + 1, PATH(0, DATA[:first]), old)


def test_a_node_cannot_pass_for_a_leaf():
    inner = MTH(DATA[:2])
    head = MTH(DATA[:4])
    assert not verify_inclusion(leaf_hash(HASHES[0] + HASHES[1]), 0, 2, [MTH(DATA[2:4])], head)
    assert leaf_hash(HASHES[0] + HASHES[1]) != inner


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3)])
def test_there_is_no_inclusion_proof_of_a_missing_leaf(index, size):
    with pytest.raises(ValueError, match="index"):
        inclusion_proof(index, size, subtree)


@pytest.mark.parametrize(("first", "second"), [(0, 3), (4, 3), (-1, 1), (0, 0)])
def test_there_is_no_consistency_proof_with_such_sizes(first, second):
    with pytest.raises(ValueError, match="sizes"):
        consistency_proof(first, second, subtree)


HASH = st.binary(min_size=32, max_size=32)


@given(st.integers(0, 2**62), st.integers(1, 2**62), HASH, st.lists(HASH, max_size=66), HASH)
def test_hashes_that_no_tree_gave_prove_nothing_and_nothing_raises(index, size, leaf, proof, head):
    assume(leaf != head)
    assert not verify_inclusion(leaf, index, size, proof, head)
    assert not verify_consistency(index, size, leaf, head, proof)


@given(inclusions(), consistencies(), st.data())
def test_a_proof_in_another_order_or_of_another_tree_proves_nothing(included, consistent, data):
    index, size, proof, head = included
    shuffled = data.draw(st.permutations(proof))
    assert verify_inclusion(HASHES[index], index, size, shuffled, head) is (shuffled == proof)
    first, second, old, new, path = consistent
    shuffled = data.draw(st.permutations(path))
    assert verify_consistency(first, second, old, new, shuffled) is (shuffled == path)
    assert verify_inclusion(HASHES[index], index, size, path, head) is (path == proof)
