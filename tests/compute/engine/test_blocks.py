"""Rows in blocks: the same numbers, rounds times the blocks, and no correlation larger than a block's."""

import math

import numpy as np
import pytest
import torch

from bench.jobs import Job
from compute.engine import lime
from compute.engine.arithmetic import Party
from compute.engine.correlations import Square
from compute.engine.dealing import Dealt, Rehearsal, deal, size
from compute.engine.lime import Surrogate, explain
from compute.engine.protocol import rehearse
from compute.engine.rows import Composed, Masked, Private, Shifted, Stacked
from compute.engine.streams import new_key
from concordat import ring
from concordat.kinds import KINDS
from concordat.reasons import Reason, Refused
from tests.support.engines import Case, opened, random_case, run_here
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
    assert found[:-1] == pytest.approx(case.plaintext(target), abs=2e-4)
    assert done.rounds == 3 * (ROUNDS[model] + more + 1) + 1
    monkeypatch.undo()
    whole, done, _ = run(Job("concordat", model, 128, target, parties=parties))
    assert found[:-1] == pytest.approx(whole[:-1], abs=2e-5)
    assert found[-1] == pytest.approx(whole[-1], rel=1e-3)
    assert done.rounds == ROUNDS[model] + more + 2


@pytest.mark.parametrize("design", ["slopes", "masks"])
def test_trees_come_in_blocks_too(monkeypatch, design):
    monkeypatch.setattr(lime, "ROWS", 100)
    found, done, case = run(Job("concordat", "trees", 128, design=design))
    assert found[:-1] == pytest.approx(case.plaintext("log-odds"), abs=1e-3)
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
    wanted, coefficients, _ = case.expected()
    assert prediction == pytest.approx(wanted, abs=1e-3)
    assert explanation[:-1] == pytest.approx(coefficients, abs=1e-3)


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
def test_the_sum_of_squares_fits_and_uses_what_room_there_is(target, n):
    surrogate = Surrogate.of_arrays(torch.zeros(2, n, dtype=torch.int64), torch.full((n,), 1 << 10))
    surrogate.check(target)
    bits = surrogate.square_bits(target)
    most = n * (lime.SIZE[target] << bits) ** 2 << 10
    assert most < 1 << 62
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
    """The record's log-odds at one end and those of the other rows at the other: differences of nearly 2^9."""
    masks = torch.tensor([[1, 0]] + [[0, 1]] * 70)
    record, tensors = shares(ring.encode([2.0, -2.0]), parties), {"weight": [weight, weight], "bias": 0.0}
    model = {name: shares(ring.encode(tensor), parties) for name, tensor in tensors.items()}
    operator = torch.full((2, 70), (1 << 20) // 70)
    surrogate = Surrogate.of_arrays(operator, torch.full((70,), 1 << 10))
    surrogate.check("log-odds")

    def start(party):
        mine = {name: share[party.rank] for name, share in model.items()}
        return explain(party, "linear", mine, Masked(record[party.rank], masks), surrogate)

    done = together(start, parties)
    done.results = [torch.cat([result.prediction, result.explanation]) for result in done.results]
    prediction, coefficient, intercept, squares = ring.decode(done.sum, ring.RESULT_BITS)
    assert prediction == pytest.approx(2 * weight, abs=1e-2)
    assert coefficient == pytest.approx(-4 * weight, abs=0.1)
    assert intercept == pytest.approx(-2 * weight, abs=0.1)
    assert squares == pytest.approx(70 * (4 * weight) ** 2, rel=1e-4)
