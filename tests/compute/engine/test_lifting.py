"""Numbers out of the small ring and their squares: right up to the edges, uniform in what is opened, exact in cost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from compute.engine import lifting
from tests.support.parties import shares, together

PARTIES = pytest.mark.parametrize("parties", [2, 3, 4])
LIMIT = 1 << lifting.LIFTED
EDGES = [0, 1, -1, 127, 128, -128, -129, LIMIT - 1, LIMIT - 2, -LIMIT, -LIMIT + 1, LIMIT // 3, -LIMIT // 3]


def lifted(numbers, bits, parties=3):
    """The opened numbers and squares, and the run. The shares' upper halves are noise, as after `narrow`."""
    secret = shares(numbers, parties)
    noise = [share << 32 for share in shares(numbers, parties)]
    noise[0] = noise[0] + (12345 << 32)

    def start(party):
        return lifting.lift(party, secret[party.rank] + noise[party.rank], bits)

    run = together(start, parties)
    results = run.results
    run.results = [result.number for result in results]
    opened = run.sum
    run.results = [result.square for result in results]
    return opened, run.sum, run


def right(numbers, squares, bits):
    """Whether each is the square of the whole number next below or next above number / 2^bits."""
    below, above = (np.array([f(number) for number in numbers]) for f in (lambda x: x >> bits, lambda x: -(-x >> bits)))
    return np.all((squares == below**2) | (squares == above**2))


@PARTIES
@pytest.mark.parametrize("bits", [1, 7, 10, 20, 30])
def test_numbers_are_exact_and_squares_rounded_as_far_as_the_edges(parties, bits):
    numbers = EDGES * 100
    opened, squares, _ = lifted(numbers, bits, parties)
    assert opened.tolist() == numbers
    assert right(numbers, squares, bits)


@settings(max_examples=50)
@given(st.integers(1, 30), st.lists(st.integers(-LIMIT, LIMIT - 1), min_size=1, max_size=30), st.integers(2, 4))
def test_they_are_right_everywhere(bits, numbers, parties):
    opened, squares, _ = lifted(numbers, bits, parties)
    assert opened.tolist() == numbers
    assert right(numbers, squares, bits)


def test_outside_its_range_a_number_is_off_by_the_small_ring():
    numbers = np.array([LIMIT + LIMIT // 2, -LIMIT - LIMIT // 2] * 20)
    wrong = lifted(numbers, 8)[0] - numbers
    assert set(np.abs(wrong)) == {0, 1 << 32}


def test_squares_are_right_on_average_but_for_the_rounding():
    """Of a number with a fraction f of a unit, the square is larger by f·(1 - f) units² on average."""
    number, bits = (1000 << 7) + 32, 7
    average = lifted([number] * 20_000, bits)[1].mean()
    assert average == pytest.approx(1000.25**2 + 0.25 * 0.75, abs=6 * 2000 * 0.433 / 20_000**0.5)


@PARTIES
def test_a_number_is_narrowed_without_a_message_and_off_by_no_more_units_than_there_are_parties(parties):
    numbers = np.array([0, 1, -1, 1 << 61, -(1 << 61), (1 << 62) - 1, -(1 << 62), 5 << 32, (5 << 32) - 1] * 200)
    secret = shares(numbers, parties)
    total = sum(lifting.narrow(share) for share in secret).numpy()
    off = (numbers >> 32) - total
    assert np.all((off & 0xFFFFFFFF) < parties)  # modulo 2^32


def test_a_lift_costs_one_round_four_bytes_and_forty_of_the_dealer():
    _, _, run = lifted([7] * 10, 4)
    assert (run.rounds, run.bytes_sent, run.bytes_dealt) == (1, 6 * 4 * 10, 40 * 10)


@pytest.mark.parametrize("value", [0, 1, -1, LIMIT - 1, -LIMIT, 123456])
def test_what_is_opened_is_uniform_whatever_the_secret(value):
    _, _, run = lifted([value] * 8000, 8)
    (opened,) = run.opened
    assert 0 <= int(opened.min()) <= int(opened.max()) < 1 << 32
    data = np.frombuffer(opened.numpy().astype("<u4").tobytes(), dtype=np.uint8)
    counts = np.bincount(data, minlength=256)
    assert chi2.sf(((counts - counts.mean()) ** 2 / counts.mean()).sum(), df=255) > 1e-6
