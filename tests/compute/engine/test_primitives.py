"""Each protocol among two, three and four parties: right at and beyond the edges, uniform in what it opens, exact in
what it costs."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from compute.engine import arithmetic, comparison, sigmoid
from compute.engine.arithmetic import Value
from compute.engine.protocol import parallel
from concordat import ring
from tests.support.parties import shares, together, xor_shares

PARTIES = pytest.mark.parametrize("parties", [2, 3, 4])
SIGNED = st.integers(-(1 << 63), (1 << 63) - 1)
EDGES = [0, 1, -1, 2, -2, 15, 16, -15, -16, -17, (1 << 62) - 1, 1 << 62, -(1 << 62), (1 << 63) - 1, -(1 << 63)]


def wrapped(numbers):
    """Python integers as elements of the ring."""
    return np.array([(int(number) + (1 << 63)) % (1 << 64) - (1 << 63) for number in numbers], dtype=np.int64)


# --- products


@PARTIES
def test_a_product_is_exact_and_wraps(parties):
    a = np.array(EDGES)
    left, right = shares(a, parties), shares(a[::-1].copy(), parties)
    run = together(lambda party: arithmetic.product(party, left[party.rank], right[party.rank]), parties)
    expected = wrapped(int(x) * int(y) for x, y in zip(a, a[::-1], strict=True))
    assert np.array_equal(run.sum, expected)
    assert run.rounds == 1
    assert run.bytes_sent == parties * (parties - 1) * 2 * 8 * len(a)
    assert run.bytes_dealt == 8 * len(a)


def test_a_matrix_product_is_exact():
    generator = np.random.default_rng(0)
    a, b = generator.integers(-99, 99, (5, 4)), generator.integers(-99, 99, (4, 3))
    left, right = shares(a), shares(b)
    run = together(lambda party: arithmetic.product(party, left[party.rank], right[party.rank], "matmul"))
    assert np.array_equal(run.sum, a @ b)
    assert (run.rounds, run.bytes_sent, run.bytes_dealt) == (1, 6 * 8 * (20 + 12), 8 * 15)


# --- truncation

LIMIT = 1 << arithmetic.TRUNCATED


def truncated(numbers, bits, parties=3):
    secret = shares(numbers, parties)
    return together(lambda party: arithmetic.truncate(party, secret[party.rank], bits), parties)


def rounded_either_way(results, numbers, bits):
    """Whether each is the whole number next below or next above number / 2^bits, or that very number."""
    below = np.array([number >> bits for number in numbers])
    above = np.array([-(-number >> bits) for number in numbers])
    return np.all((results == below) | (results == above))


@PARTIES
@pytest.mark.parametrize("bits", [1, 5, 16, 32, 41, 61])
def test_truncation_rounds_down_or_up_as_far_as_the_edges(parties, bits):
    most = LIMIT - 1
    half = 1 << (bits - 1)
    numbers = [0, 1, -1, half, -half, half - 1, most, most - 1, -LIMIT, -LIMIT + 1, most // 3, -LIMIT // 3] * 100
    assert rounded_either_way(truncated(numbers, bits, parties).sum, numbers, bits)


@settings(max_examples=50)
@given(st.integers(1, 61), st.lists(st.integers(-LIMIT, LIMIT - 1), min_size=1, max_size=30), st.integers(2, 4))
def test_truncation_rounds_down_or_up_everywhere(bits, numbers, parties):
    assert rounded_either_way(truncated(numbers, bits, parties).sum, numbers, bits)


def test_truncation_is_right_on_average():
    """Ten thousand times a number and a third, or two thirds: the average is off by less than six deviations."""
    for number in (1 << 20) // 3, -(1 << 20) // 3:
        average = truncated([number] * 10_000, 16).sum.mean()
        assert average == pytest.approx(number / (1 << 16), abs=6 * 0.5 / 100)


def test_outside_its_range_truncation_is_wrong_and_says_nothing():
    """Why ranges are proven for models and checked for inputs."""
    numbers = [LIMIT + LIMIT // 2, -LIMIT - LIMIT // 2] * 20
    wrong = truncated(numbers, 16).sum - np.array([number >> 16 for number in numbers])
    assert (np.abs(wrong) > 1 << 40).any()


def test_truncation_costs_one_round_and_sixteen_bytes_of_the_dealer():
    run = truncated([7] * 10, 4)
    assert (run.rounds, run.bytes_sent, run.bytes_dealt) == (1, 480, 160)


# --- comparison


@PARTIES
def test_the_sign_of_every_ring_element_is_right(parties):
    numbers = EDGES * 50
    secret = shares(numbers, parties)
    run = together(lambda party: comparison.negative(party, secret[party.rank], 64), parties)
    assert np.array_equal(run.xor, np.array(numbers) < 0)


@settings(max_examples=30)
@given(st.lists(SIGNED, min_size=1, max_size=50), st.integers(2, 4))
def test_the_sign_is_right_everywhere(numbers, parties):
    secret = shares(numbers, parties)
    run = together(lambda party: comparison.negative(party, secret[party.rank], 64), parties)
    assert np.array_equal(run.xor, np.array(numbers) < 0)


@pytest.mark.parametrize("bits", [24, 48])
def test_a_narrow_comparison_is_right_up_to_its_edges_and_not_beyond(bits):
    limit = 1 << (bits - 1)
    inside = [0, 1, -1, limit - 1, -limit, limit // 2, -limit // 2] * 60
    secret = shares(inside)
    run = together(lambda party: comparison.negative(party, secret[party.rank], bits))
    assert np.array_equal(run.xor, np.array(inside) < 0)
    outside = shares([limit, -limit - 1] * 20)
    run = together(lambda party: comparison.negative(party, outside[party.rank], bits))
    assert run.xor.tolist() == [1, 0] * 20


@pytest.mark.parametrize("bits", [24, 48, 64])
@PARTIES
def test_a_sign_can_be_a_number(bits, parties):
    numbers = [5, -5, 0, -1] * 20
    secret = shares(numbers, parties)
    run = together(lambda party: comparison.is_negative(party, secret[party.rank], bits), parties)
    assert np.array_equal(run.sum, np.array(numbers) < 0)


@pytest.mark.parametrize("bits", [24, 48, 64])
@PARTIES
def test_relu_is_exact(bits, parties):
    limit = 1 << (bits - 1)
    numbers = [0, 1, -1, limit - 1, -limit, 12345, -12345] * 40
    secret = shares(numbers, parties)
    run = together(lambda party: comparison.relu(party, secret[party.rank], bits), parties)
    assert np.array_equal(run.sum, np.maximum(numbers, 0))


# Three parties, 1000 elements. Opened: z, then the wires of each level, one bit each; as a number or gate one bit more.
# Dealt: two tables of 16 bits a digit, the top bit, the products of the wires' masks, and a ring element or two.
@pytest.mark.parametrize(
    ("protocol", "bits", "rounds", "sent", "dealt"),
    [
        (comparison.negative, 24, 2, 6 * (3000 + 1250), 24000 + 125 + 83 * 125),
        (comparison.negative, 48, 3, 6 * (6000 + 21 * 125 + 500), 48000 + 125 + 3 * 22 * 125 + 5 * 125),
        (comparison.negative, 64, 3, 6 * (8000 + 28 * 125 + 750), 64000 + 125 + 4 * 22 * 125 + 15 * 125),
        (comparison.is_negative, 24, 3, 6 * (3000 + 1250 + 125), 24000 + 125 + 83 * 125 + 8000),
        (comparison.relu, 48, 4, 6 * (8000 + 21 * 125 + 500 + 125), 48000 + 125 + 3 * 22 * 125 + 5 * 125 + 16000),
    ],
)
def test_a_comparison_costs_exactly_this(protocol, bits, rounds, sent, dealt):
    secret = shares([1] * 1000)
    run = together(lambda party: protocol(party, secret[party.rank], bits))
    assert (run.rounds, run.bytes_sent, run.bytes_dealt) == (rounds, sent, dealt)


# --- bits and trees


def test_both():
    left, right = xor_shares([0, 0, 1, 1] * 9), xor_shares([0, 1, 0, 1] * 9)
    run = together(lambda party: comparison.both(party, left[party.rank], right[party.rank]))
    assert run.xor.tolist() == [0, 0, 0, 1] * 9
    assert run.rounds == 1


@pytest.mark.parametrize(("depth", "rounds"), [(1, 1), (2, 1), (3, 1), (4, 1), (5, 2), (6, 2), (9, 3)])
@PARTIES
def test_exactly_the_leaf_at_the_end_of_the_path_is_chosen(depth, rounds, parties):
    nodes = (1 << depth) - 1
    ways = np.random.default_rng(depth).integers(0, 2, (nodes, 200), dtype=np.uint8)
    secret = xor_shares(ways, parties)
    run = together(lambda party: comparison.leaves(party, secret[party.rank], depth), parties)
    for case in range(ways.shape[1]):
        node = 0
        while node < nodes:
            node = 2 * node + (1 if ways[node, case] else 2)
        expected = np.zeros(nodes + 1)
        expected[node - nodes] = 1
        assert np.array_equal(run.xor[:, case], expected)
    assert run.rounds == rounds


@PARTIES
def test_chosen_values_are_added_up(parties):
    values = np.array([3, -(1 << 40), 7, 11])
    chosen = np.array(list(itertools.product([0, 1], repeat=4)), dtype=np.uint8)
    bits, secret = xor_shares(chosen, parties), shares(values, parties)
    run = together(lambda party: comparison.choose(party, bits[party.rank], secret[party.rank]), parties)
    assert np.array_equal(run.sum, chosen.astype(np.int64) @ values)
    assert run.rounds == 1
    assert run.bytes_sent == parties * (parties - 1) * (64 // 8 + 8 * 4)
    assert run.bytes_dealt == 2 * 8 * 64


# --- together


def test_protocols_in_parallel_share_their_rounds():
    secret = shares([4, -4])

    def start(party):
        mine = secret[party.rank]
        results = yield from parallel(
            {
                "square": arithmetic.product(party, mine, mine),
                "sign": comparison.is_negative(party, mine, 64),
                "half": arithmetic.truncate(party, mine, 1),
            }
        )
        return torch.stack([results["square"], results["sign"], results["half"]])

    run = together(start)
    assert run.rounds == 4
    assert run.sum[:2].tolist() == [[16, 16], [0, 1]]


# --- what a view shows


def uniformity(values):
    """The probability that uniform bytes look less uniform than these."""
    data = np.frombuffer(values.numpy().tobytes(), dtype=np.uint8)
    counts = np.bincount(data, minlength=256)
    return chi2.sf(((counts - counts.mean()) ** 2 / counts.mean()).sum(), df=255)


def balance(bits):
    """How many standard deviations the number of ones is from half."""
    return abs(float(bits.to(torch.float64).mean()) - 0.5) * 2 * bits.numel() ** 0.5


@pytest.mark.parametrize("value", [0, 1, -1, 123456789, -(1 << 61)])
def test_what_is_opened_is_uniform_whatever_the_secret(value):
    secret = shares([value] * 4000)

    def start(party):
        mine = secret[party.rank]
        yield from arithmetic.product(party, mine, mine)
        yield from arithmetic.truncate(party, mine, 16)
        yield from comparison.relu(party, mine, 64)
        yield from comparison.is_negative(party, mine, 64)
        return mine

    run = together(start)
    rings = [opened for opened in run.opened if opened.dtype == torch.int64]
    bits = [opened for opened in run.opened if opened.dtype == torch.uint8]
    assert len(rings) == 5
    assert len(bits) == 6
    for opened in rings:
        assert uniformity(opened) > 1e-6
    for opened in bits:
        for wire in opened.reshape(-1, 4000):
            assert balance(wire) < 6


@pytest.mark.parametrize("leaf", [0, 5])
def test_the_bits_of_a_tree_are_uniform_whatever_its_path(leaf):
    ways = np.array([[leaf >> 2 & 1]] + [[leaf >> 1 & 1]] * 2 + [[leaf & 1]] * 4, dtype=np.uint8) ^ 1
    secret = xor_shares(np.repeat(ways, 4000, axis=1))
    values = shares([1, 2, 3, 4, 5, 6, 7, 8])

    def start(party):
        chosen = yield from comparison.leaves(party, secret[party.rank], 3)
        return (yield from comparison.choose(party, chosen.T, values[party.rank]))

    run = together(start)
    assert set(run.sum.tolist()) == {leaf + 1}
    nodes, chosen, _ = run.opened
    for wire in (*nodes, *chosen.T):
        assert balance(wire) < 6


# --- the logistic function


def clamped_logistic(party, x):
    return (yield from sigmoid.sigmoid(party, (yield from sigmoid.clamped(party, x))))


def logistic(numbers, parties=3, protocol=sigmoid.sigmoid, bits=32):
    secret = shares(np.rint(np.asarray(numbers) * 2.0**bits), parties)
    run = together(lambda party: protocol(party, Value(secret[party.rank], bits)), parties)
    run.results = [value.share for value in run.results]
    return ring.decode(run.sum, sigmoid.PROBABILITY_BITS), run


def expected_logistic(numbers):
    return 1 / (1 + np.exp(-np.clip(numbers, -100, 100)))


@PARTIES
@pytest.mark.parametrize("bits", [16, 32, 48])
def test_the_logistic_function_is_close_up_to_50(parties, bits):
    numbers = np.concatenate([np.linspace(-50, 50, 1001), np.linspace(-12, 12, 1000), [0.0, 2.0**-16]])
    result, run = logistic(numbers, parties, bits=bits)
    errors = result - expected_logistic(numbers)
    assert np.abs(errors).max() < 2e-5
    assert np.sqrt((errors**2).mean()) < 5e-6
    assert run.rounds == 1


def test_beyond_its_range_the_bare_series_turns_the_risk_round():
    """Why it is clamped: a log-odds of 90 would be shown as a small risk."""
    assert logistic([90.0])[0][0] < 0.01


@PARTIES
@pytest.mark.parametrize("bits", [16, 32, 48])
def test_clamping_keeps_the_risk_the_right_way_round(parties, bits):
    numbers = [-256.0, -54.5, -50.0, -49.9, 0.0, 2.5, 49.9, 50.0, 54.5, 64.0, 90.0, 128.0, 256.0]
    result, run = logistic(numbers, parties, protocol=clamped_logistic, bits=bits)
    assert result == pytest.approx(expected_logistic(numbers), abs=2e-5)
    assert run.rounds == 4


@PARTIES
@pytest.mark.parametrize("bits", [16, 32, 48])
def test_a_clamped_number_is_right_but_for_a_few_units_of_14_bits(parties, bits):
    unit = 2.0**-bits
    numbers = [-256.0, -50.0 - unit, -50.0, -50.0 + unit, -unit, 0.0, 50.0 - unit, 50.0, 50.0 + unit, 256.0]
    secret = shares(np.rint(np.asarray(numbers) * 2.0**bits), parties)
    run = together(lambda party: sigmoid.clamped(party, Value(secret[party.rank], bits)), parties)
    run.results = [value.share for value in run.results]
    clamped = ring.decode(run.sum, bits)
    assert clamped == pytest.approx(np.clip(numbers, -50, 50), abs=parties * 2.0**-14)
    assert clamped[4:6].tolist() == numbers[4:6]
    assert run.rounds == 3


def test_the_logistic_function_costs_one_round_and_360_bytes_of_the_dealer():
    _, run = logistic([1.0] * 100)
    assert (run.rounds, run.bytes_sent, run.bytes_dealt) == (1, 6 * 4 * 100, 360 * 100)


def test_public_sines_are_whole_numbers_and_right():
    phase = torch.arange(0, 1 << 32, 12345677)
    sine = sigmoid._sine(phase)
    assert sine.dtype == torch.int64
    assert np.abs(sine.numpy() / 2**30 - np.sin(2 * np.pi * phase.numpy() / 2**32)).max() < 2e-8


@pytest.mark.parametrize("value", [0.0, 3.25, -54.0])
def test_what_the_logistic_function_opens_is_uniform(value):
    _, run = logistic([value] * 8000)
    (opened,) = run.opened
    assert int(opened.min()) >= 0
    assert int(opened.max()) < 1 << 32
    counts = np.bincount((opened >> 24).numpy(), minlength=256)
    assert chi2.sf(((counts - counts.mean()) ** 2 / counts.mean()).sum(), df=255) > 1e-6
