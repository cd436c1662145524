import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from concordat import ring
from concordat.reasons import Reason, Refused

ELEMENTS = hnp.arrays(np.int64, hnp.array_shapes(max_dims=2, max_side=5), elements=st.integers(-(2**63), 2**63 - 1))


@given(hnp.arrays(np.float64, 6, elements=st.floats(-(2.0**29), 2.0**29)))
def test_encoding_rounds_to_the_nearest_step(values):
    assert np.abs(ring.decode(ring.encode(values)) - values).max() <= 2.0**-17


@pytest.mark.parametrize("value", [-13 + 2**-16, -6 + 2**-16, -(2**-16)])
def test_negative_numbers_one_step_above_a_whole_number_come_back_exactly(value):
    assert ring.decode(ring.encode([value])) == value


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2.0**30])
def test_what_does_not_fit_is_refused(value):
    with pytest.raises(Refused) as refusal:
        ring.encode([value])
    assert refusal.value.reason is Reason.VALUE_OUT_OF_RANGE


@given(ELEMENTS, st.integers(2, 5))
def test_shares_add_up_to_the_secret_whatever_it_is(secret, parties):
    shares = ring.split(secret, parties)
    assert len(shares) == parties
    assert np.array_equal(ring.combine(shares), secret)


def test_a_missing_share_leaves_noise():
    secret = np.zeros(1000, dtype=np.int64)
    partial = ring.combine(ring.split(secret, 3)[:2])
    assert len(set(partial.tolist())) == 1000
    assert abs((partial < 0).mean() - 0.5) < 0.1


def test_one_party_is_no_sharing():
    with pytest.raises(ValueError, match="two parties"):
        ring.split(np.zeros(1, dtype=np.int64), 1)


def test_shares_of_different_shapes_are_refused():
    with pytest.raises(Refused):
        ring.combine([np.zeros(2, dtype=np.int64), np.zeros(3, dtype=np.int64)])


@given(ELEMENTS)
def test_bytes_and_back(elements):
    assert np.array_equal(ring.from_bytes(ring.to_bytes(elements), elements.shape), elements)


def test_bytes_are_little_endian_whatever_the_memory_order():
    assert ring.to_bytes(np.array([[1, 2], [3, 4]], dtype=np.int64).T).hex() == "".join(
        f"{number:02x}" + "00" * 7 for number in (1, 3, 2, 4)
    )


def test_bytes_of_the_wrong_length_are_refused():
    with pytest.raises(Refused) as refusal:
        ring.from_bytes(b"\x00" * 15, (2,))
    assert refusal.value.reason is Reason.MALFORMED
