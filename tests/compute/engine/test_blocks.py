"""Rows in blocks: the same numbers, rounds times the blocks, and no correlation larger than a block's."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.jobs import Job
from compute.engine import lime
from compute.engine.arithmetic import Party
from compute.engine.correlations import Square
from compute.engine.dealing import Dealt, Rehearsal, deal, size
from compute.engine.lime import Surrogate, explain
from compute.engine.perturbed import order
from compute.engine.protocol import rehearse
from compute.engine.rows import Composed, Masked, Private, Shifted, Stacked
from compute.engine.streams import new_key
from concordat import design, ring
from concordat.design import LARGEST_DIFFERENCE
from concordat.kinds import KINDS
from concordat.reasons import Reason, Refused
from tests.support.engines import SCHEMA, Case, opened, random_case, run_here
from tests.support.parties import shares, together

ROUNDS = {"lr": 1, "mlp": 6, "trees": 5}
"""Of the model, on slopes."""


def run(job):
    case = job.case()
    done = together(lambda party: case.protocol(party.rank, job.parties, job.target)(party), job.parties)
    done.results = [torch.cat([result.prediction, result.explanation]) for result in done.results]
    return ring.decode(done.sum, ring.RESULT_BITS), done, case


@pytest.mark.parametrize("parties", [2, 3, 4])
@pytest.mark.parametrize(
    ("model", "target", "more"),
    [("lr", "log-odds", 0), ("lr", "probability", 1), ("mlp", "log-odds", 0), ("mlp", "probability", 4)],
)
def test_blocks_add_up_and_rounds_are_those_of_a_block_times_the_blocks(monkeypatch, model, target, more, parties):
    monkeypatch.setattr(lime, "ROWS", 50)
    found, done, case = run(Job("concordat", model, 128, target, parties=parties))
    assert found[:-2] == pytest.approx(case.plaintext(target), abs=2e-4)
    assert done.rounds == 3 * (ROUNDS[model] + more + 1) + 1
    monkeypatch.undo()
    whole, done, _ = run(Job("concordat", model, 128, target, parties=parties))
    assert found[:-2] == pytest.approx(whole[:-2], abs=2e-5)
    assert found[-2:] == pytest.approx(whole[-2:], rel=1e-3)
    assert done.rounds == ROUNDS[model] + more + 2


@pytest.mark.parametrize("design", ["slopes", "masks"])
def test_trees_come_in_blocks_too(monkeypatch, design):
    monkeypatch.setattr(lime, "ROWS", 100)
    found, done, case = run(Job("concordat", "trees", 128, design=design))
    assert found[:-2] == pytest.approx(case.plaintext("log-odds"), abs=1e-3)
    assert done.rounds == 2 * (ROUNDS["trees"] + (design == "masks") + 1) + 1


@pytest.mark.parametrize(
    ("kind", "sizes", "rows"), [("linear", (), 1 << 16), ("mlp", (16, 8), 1 << 16), ("trees", (50, 3), 2995)]
)
def test_a_block_has_as_many_rows_as_fit(kind, sizes, rows):
    assert min(lime.ROWS, lime.CELLS // KINDS[kind].width(sizes)) == rows


def test_trees_come_in_smaller_blocks(monkeypatch):
    monkeypatch.setattr(lime, "CELLS", 350 * 50)
    _, done, _ = run(Job("concordat", "trees", 128))
    assert done.rounds == 3 * (ROUNDS["trees"] + 1) + 1


def test_what_is_dealt_at_once_does_not_grow_with_the_number_of_rows(monkeypatch):
    monkeypatch.setattr(lime, "ROWS", 64)

    def plan(n):
        rehearsal = Rehearsal()
        job = Job("concordat", "mlp", n)
        rehearse(job.case().protocol(0, 3, job.target)(Party(0, rehearsal)))
        return rehearsal.plan

    def largest(plan):
        return max(math.prod(part.shape) for each in plan for part in (*each.free(), *each.bound()))

    assert len(plan(1000)) == 16 * 4 + 2
    assert largest(plan(1000)) == largest(plan(128))


@pytest.mark.parametrize("rows", [Masked, Shifted, Composed, Private])
def test_a_part_of_the_rows_has_their_secret(rows):
    public = torch.arange(12).reshape(4, 3)
    secret = torch.arange(3)
    whole = rows(public) if rows is Private else rows(secret, public)
    part = whole.part(slice(1, 3))
    assert (len(whole), len(part), type(part)) == (4, 2, rows)
    assert torch.equal(vars(part)["rows" if rows is Private else list(vars(part))[1]], public[1:3])
    assert rows is Private or torch.equal(next(iter(vars(part).values())), secret)


@pytest.mark.parametrize(("start", "stop"), [(0, 2), (2, 5), (3, 4), (4, 7), (0, 9)])
def test_a_part_of_stacked_rows_is_taken_from_the_sorts_that_it_reaches_into(start, stop):
    sorts = Masked(torch.arange(3), torch.arange(9).reshape(3, 3)), Private(torch.arange(9, 21).reshape(4, 3))
    whole = Stacked(sorts)
    part = whole.part(slice(start, stop))
    assert (len(whole), len(part)) == (7, min(stop, 7) - start)
    rows = torch.cat([each.masks if isinstance(each, Masked) else each.rows for each in part.parts])
    assert torch.equal(rows, torch.arange(21).reshape(7, 3)[start:stop])


@pytest.mark.parametrize("kind", ["linear", "mlp", "trees"])
@pytest.mark.parametrize("rows", [60, 129, 1 << 16])
def test_what_ifs_are_predicted_whatever_block_they_are_in(monkeypatch, kind, rows):
    """The record's own row and 128 perturbed ones come before the three."""
    monkeypatch.setattr(lime, "ROWS", rows)
    generator = np.random.default_rng(4)
    case = random_case(kind)
    what_ifs = [generator.normal(size=len(case.record)) for _ in range(3)]
    case = Case(kind, case.record, case.tensors, what_ifs=what_ifs)
    prediction, explanation = opened(case, run_here(case))
    wanted, coefficients, squares = case.expected()
    assert prediction == pytest.approx(wanted, abs=1e-3)
    assert explanation[:-2] == pytest.approx(coefficients, abs=1e-3)
    assert explanation[-2:] == pytest.approx(squares, rel=5e-3, abs=1e-3)


def surrogate(n, what_ifs=0, *, mirrored=True):
    weights = torch.arange(1, n + 1)
    return Surrogate.of_arrays(torch.zeros(2, n, dtype=torch.int64), weights, what_ifs, mirrored=mirrored)


@given(half=st.integers(1, 40), what_ifs=st.integers(0, 4), most=st.integers(0, 100))
def test_no_pair_is_divided_and_every_row_and_pair_comes_once(half, what_ifs, most):
    public = surrogate(2 * half, what_ifs)
    blocks = list(public.blocks(most))
    assert [row for block in blocks for row in range(block.start, block.stop)] == list(range(1 + 2 * half + what_ifs))
    assert max(block.stop - block.start for block in blocks) <= max(2, most)
    pairs = [(pair, block) for block in blocks for pair in range(half)[public.pairs_in(block)]]
    assert [pair for pair, _ in pairs] == list(range(half))
    assert all(block.start <= 1 + 2 * pair and 2 + 2 * pair < block.stop for pair, block in pairs)


@given(n=st.integers(1, 40), what_ifs=st.integers(0, 4), most=st.integers(2, 100))
def test_a_design_that_is_not_mirrored_has_no_pairs(n, what_ifs, most):
    public = surrogate(n, what_ifs, mirrored=False)
    blocks = list(public.blocks(most))
    assert all(block.stop - block.start == most for block in blocks[:-1])
    assert [public.pairs_in(block) for block in blocks] == [slice(0, 0)] * len(blocks)
    assert (len(public.weights), public.weights[0].tolist()) == (1, [0, *range(1, n + 1), *[0] * what_ifs])


def test_the_rows_of_a_pair_and_their_weights_stand_side_by_side():
    """Weights 1 and 3 have the harmonic mean 3/2, 2 and 4 have 8/3, rounded down both."""
    public = surrogate(4, 1)
    assert public.weights.tolist() == [[0, 1, 3, 2, 4, 0], [0, 0, 4, 0, 4, 0]]
    assert public.pairs.tolist() == [[0, 0], [1, 2]]
    assert order(6, mirrored=True).tolist() == [0, 3, 1, 4, 2, 5]
    assert order(5, mirrored=False).tolist() == list(range(5))


@pytest.mark.parametrize("kind", ["linear", "mlp", "trees", "forest"])
@pytest.mark.parametrize("rows", [2, 17, 1 << 16])
def test_masks_that_are_not_mirrored_open_one_number_less(monkeypatch, kind, rows):
    """As are those of a narrow kernel. Rounds are what they are with an odd part, and bytes are fewer."""
    monkeypatch.setattr(lime, "ROWS", rows if kind == "linear" else max(rows, 60))
    target = KINDS[kind].scale
    base = random_case(kind, target=target, document=design.build(SCHEMA, seed="tests", n=32, kernel_width=0.5))
    assert not base.design.mirrored
    answers = run_here(base)
    prediction, explanation = opened(base, answers)
    wanted, coefficients, squares = base.expected()
    assert (len(explanation), len(squares)) == (12, 1)
    assert prediction == pytest.approx(wanted, abs=1e-3)
    assert explanation == pytest.approx([*coefficients, *squares], rel=5e-3, abs=1e-3)
    if rows == 1 << 16:
        mirrored = run_here(random_case(kind, target=target, document=design.build(SCHEMA, seed="tests", n=32)))
        assert answers[1]["rounds"] == mirrored[1]["rounds"]
        # 16 differences of 4 bytes, and one number of 8, to two parties
        assert mirrored[1]["bytes_sent"] - answers[1]["bytes_sent"] == 2 * (16 * 4 + 8)


# --- dealt as it is used


class Dealer:
    """Corrections as they were sent, and how many bytes of them have been asked for."""

    def __init__(self, corrections):
        self.corrections, self.asked = bytes(corrections), 0

    def __call__(self, count):
        self.asked += count
        return self.corrections[self.asked - count : self.asked]


def test_party_0_takes_so_much_before_the_first_round_and_the_rest_as_it_is_used():
    plan, keys = [Square((100,))] * 10, [new_key(), new_key()]
    dealer = Dealer(b"".join(deal(plan, keys)))
    first, second = Dealt(plan, keys[0], dealer, most=3 * size(plan[0].bound()[0])), Dealt(plan, keys[1], None)
    assert dealer.asked == 3 * 800
    for taken, wanted in enumerate(plan, start=1):
        (r, squared), (other, squared_too) = first.take(wanted), second.take(wanted)
        assert torch.equal(squared + squared_too, (r + other) ** 2)
        assert dealer.asked == 800 * max(3, taken)
    assert first.used_up


# --- ranges


@pytest.mark.parametrize("target", ["log-odds", "probability"])
@pytest.mark.parametrize("n", [64, 1000, 100_000])
def test_the_sums_of_squares_fit_and_use_what_room_there_is(target, n):
    weights = torch.full((n,), 1 << 10)
    surrogate = Surrogate.of_arrays(torch.zeros(2, n, dtype=torch.int64), weights, mirrored=True)
    surrogate.check(target)
    bits = surrogate.square_bits(target)
    most = n * (LARGEST_DIFFERENCE[target] << bits) ** 2 << 10
    assert most < 1 << 62  # and that of differences in half as many pairs
    assert most << 4 >= 1 << 62 or bits == lime.SCALE[target] - 33


def test_too_many_rows_or_too_large_an_operator_are_refused():
    n = 1 << 19
    for operator, weights in [
        (torch.zeros(2, n, dtype=torch.int64), torch.full((n,), 1 << 10)),
        (torch.full((2, 64), 1 << 47), torch.full((64,), 1 << 10)),
    ]:
        with pytest.raises(Refused) as caught:
            Surrogate.of_arrays(operator, weights).check("log-odds")
        assert caught.value.reason is Reason.FIELD_INVALID


@pytest.mark.parametrize("parties", [2, 3, 4])
@pytest.mark.parametrize("weight", [127.9, -127.9])
def test_outputs_at_the_ends_of_their_range_are_explained(parties, weight):
    """The record's log-odds at one end and those of the other rows at the other, or at both: differences of nearly
    2^9, from the record's and within pairs."""
    masks = torch.tensor([[1, 0]] + [[0, 1]] * 70 + [[1, 0], [0, 1]] * 35)
    record, tensors = shares(ring.encode([2.0, -2.0]), parties), {"weight": [weight, weight], "bias": 0.0}
    model = {name: shares(ring.encode(tensor), parties) for name, tensor in tensors.items()}
    operator = torch.full((2, 140), (1 << 20) // 140)
    surrogate = Surrogate.of_arrays(operator, torch.full((140,), 1 << 10), mirrored=True)
    surrogate.check("log-odds")

    def start(party):
        mine = {name: share[party.rank] for name, share in model.items()}
        return explain(party, "linear", mine, Masked(record[party.rank], masks), surrogate)

    done = together(start, parties)
    done.results = [torch.cat([result.prediction, result.explanation]) for result in done.results]
    prediction, coefficient, intercept, squares, odd = ring.decode(done.sum, ring.RESULT_BITS)
    assert prediction == pytest.approx(2 * weight, abs=1e-2)
    assert coefficient == pytest.approx(-3 * weight, abs=0.1)
    assert intercept == pytest.approx(-weight, abs=0.1)
    assert squares == pytest.approx(105 * (4 * weight) ** 2, rel=1e-4)
    assert odd == pytest.approx(35 * (4 * weight) ** 2, rel=1e-4)
