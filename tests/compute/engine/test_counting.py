"""The secure audit: counts by group, outcome and bin are those of the plaintext, small ones come out as nothing, what
each party brings is shared without a message, and what all of it costs."""

import numpy as np
import pytest
import torch

from compute.engine import counting
from concordat import ring
from concordat.kinds import KINDS
from concordat.model import shapes_of
from tests.compute.engine.test_kinds import encoded, tensors_of
from tests.support.parties import shares, together

K, ROWS, GROUPS = 6, 20, 2
THRESHOLDS = (0.2, 0.5, 0.9)
SIZES = {"linear": (), "mlp": (5,), "trees": (3, 3), "forest": (10, 2)}
ROUNDS = {"linear": 9, "mlp": 14, "trees": 13, "forest": 13}


def cohorts(parties=3):
    """By party, rows and members: the last rows of each are padding."""
    generator = np.random.default_rng(5)
    found = []
    for place in range(parties):
        rows = np.round(generator.normal(size=(ROWS, K)), 2)
        outcome, inside = generator.integers(0, 2, (2, ROWS))
        members = np.zeros((ROWS, 2 * GROUPS), dtype=np.int64)
        members[np.arange(ROWS), outcome] = 1
        members[np.arange(ROWS), 2 + outcome] = inside
        rows[ROWS - place :], members[ROWS - place :] = 0, 0
        found.append((rows, members))
    return found


def expected(kind, tensors, brought):
    rows, members = (np.concatenate(parts) for parts in zip(*brought, strict=True))
    answers = KINDS[kind].forward(tensors, rows)
    ends = counting.bounds(THRESHOLDS, KINDS[kind].scale, 30).numpy() / 2**30
    bins = np.searchsorted(ends, answers, side="right")
    return members.T @ np.eye(len(THRESHOLDS) + 1, dtype=np.int64)[bins]


def counted(kind, tensors, brought, smallest=1):
    parties = len(brought)
    model = {name: shares(tensor, parties) for name, tensor in encoded(kind, tensors).items()}
    own = [(torch.from_numpy(ring.encode(rows)), torch.from_numpy(members)) for rows, members in brought]

    def start(party):
        rows, members = (counting.share_own(party, parties, part) for part in own[party.rank])
        tensors = {name: share[party.rank] for name, share in model.items()}
        return counting.count(party, kind, tensors, rows, members, thresholds=THRESHOLDS, smallest=smallest)

    return together(start, parties)


@pytest.mark.parametrize("kind", SIZES)
def test_counts_are_those_of_the_plaintext(kind):
    tensors, brought = tensors_of(kind, SIZES[kind]), cohorts()
    run = counted(kind, tensors, brought)
    assert run.sum.reshape(2 * GROUPS, -1).tolist() == expected(kind, tensors, brought).tolist()
    assert run.rounds == ROUNDS[kind]


def test_every_kind_with_one_answer_is_counted():
    assert set(SIZES) == {name for name, kind in KINDS.items() if not kind.several}
    assert all(shapes_of(kind, dict(KINDS[kind].shapes(K, sizes)), K) for kind, sizes in SIZES.items())


@pytest.mark.parametrize("parties", [2, 4])
def test_any_number_of_parties_brings_rows(parties):
    tensors, brought = tensors_of("linear", ()), cohorts(parties)
    run = counted("linear", tensors, brought)
    assert run.sum.reshape(2 * GROUPS, -1).tolist() == expected("linear", tensors, brought).tolist()


def test_counts_below_the_smallest_cell_come_out_as_nothing():
    tensors, brought = tensors_of("mlp", (5,)), cohorts()
    exact = expected("mlp", tensors, brought).flatten()
    smallest = int(np.median(exact))
    run = counted("mlp", tensors, brought, smallest)
    assert run.sum.tolist() == [max(0, each - smallest + 1) for each in exact]
    assert 0 < sum(run.sum == 0) < len(exact)


def test_a_row_at_a_threshold_is_above_it():
    """As `AuditPlan.count` has it: the answer 0 is a probability of exactly a half."""
    tensors = {"weight": np.eye(K)[0], "bias": np.array(0.0)}
    rows = np.zeros((3, K))
    rows[:, 0] = [-(2.0**-10), 0, 2.0**-10]
    members = np.tile([0, 1, 0, 0], (3, 1))
    run = counted("linear", tensors, [(rows, members), (0 * rows, 0 * members)])
    assert run.sum.reshape(4, -1)[1].tolist() == [0, 1, 2, 0]


def test_blocks_of_rows_give_the_same_counts(monkeypatch):
    tensors, brought = tensors_of("trees", (3, 3)), cohorts()
    monkeypatch.setattr(counting, "ROWS", 7)
    run = counted("trees", tensors, brought)
    assert run.sum.reshape(2 * GROUPS, -1).tolist() == expected("trees", tensors, brought).tolist()


def test_what_a_party_brings_costs_no_message_and_tells_the_others_nothing():
    """Shares of what party 0 brings are uniform at every other party, and differ each time."""
    own = [torch.full((50, 4), 7), torch.zeros(50, 4, dtype=torch.int64), torch.zeros(50, 4, dtype=torch.int64)]

    def start(party):
        yield from ()
        return counting.share_own(party, 3, own[party.rank])

    run, again = together(start), together(start)
    assert (run.rounds, run.bytes_sent) == (0, 0)
    assert (run.sum[:50] == 7).all()
    assert not run.sum[50:].any()
    for rank in (1, 2):
        mine = run.results[rank][:50].numpy().view(np.uint64)
        assert len(np.unique(mine >> np.uint64(56))) > 60
        assert (run.results[rank] != again.results[rank]).all()


def test_nothing_but_masked_values_is_opened():
    """Of two cohorts that could not differ more, views look alike: every opened bit is one as often as not."""
    tensors = tensors_of("linear", ())
    for fill in (0.0, 3.0):
        rows = np.full((400, K), fill)
        members = np.tile([1, 0, 1, 0], (400, 1))
        run = counted("linear", tensors, [(rows, members)] * 2, smallest=5)
        wide = np.concatenate([each.numpy().ravel() for each in run.opened if each.dtype == torch.int64])
        bits = np.unpackbits(wide.view(np.uint8)[: 8 * 4000])
        assert abs(bits.mean() - 0.5) < 0.02, fill


def test_what_an_audit_costs_is_exact():
    run = counted("mlp", tensors_of("mlp", (5,)), cohorts())
    assert (run.rounds, run.bytes_sent, run.bytes_dealt) == (14, 90924, 41018)
