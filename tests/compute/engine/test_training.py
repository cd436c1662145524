"""The secure training: weights are those of the plaintext descent and the parties' noise, padding changes nothing, and
neither does one row more than it may; weights that grow too large are found out, and what a step costs."""

import numpy as np
import pytest
import torch

from compute.engine import counting, training
from concordat import ring
from concordat.cohort import Encoded
from concordat.training_plan import TrainingPlan, largest_weight
from concordat.training_privacy import sensitivity
from tests.support.audited import FEATURES, new_training
from tests.support.parties import together

K = len(FEATURES.columns)


def cohorts(rows, parties=3, missing=1):
    """By party, what it brings: as many rows, but for `missing` ones times its place."""
    generator = np.random.default_rng(5)
    truth = generator.normal(size=K)
    found = []
    for place in range(parties):
        records = np.clip(np.round(generator.normal(size=(rows, K)), 2), *FEATURES.bounds)
        outcomes = (generator.random(rows) < 1 / (1 + np.exp(-records @ truth))).astype(np.int64)
        members = np.stack([1 - outcomes, outcomes], axis=1)
        records[rows - missing * place :], members[rows - missing * place :] = 0, 0
        found.append(Encoded(ring.encode(records), members, {}, rows - missing * place))
    return found


def trained(plan, brought, noise=None, largest=None):
    """Without noise, unless it is given by party."""
    parties = len(brought)
    added = ring.encode(np.zeros((parties, K + 1)) if noise is None else noise)
    step, decay = plan.factors(parties)
    bound = largest_weight(FEATURES) if largest is None else largest

    def run(party):
        own = brought[party.rank]
        members = torch.from_numpy(own.members)
        rows = torch.cat([torch.from_numpy(own.records), members.sum(dim=1, keepdim=True) << ring.BITS], dim=1)
        return training.train(
            party,
            counting.share_own(party, parties, rows),
            counting.share_own(party, parties, members[:, 1]),
            steps=plan.steps,
            step=step,
            decay=decay,
            noise=torch.from_numpy(added[party.rank]),
            largest=torch.full((K + 1,), int(bound * (1 << ring.BITS))),
        )

    done = together(run, parties)
    outside = {found[0] for found in done.results}
    done.results = [share for _, share in done.results]
    return ring.decode(done.sum), outside, done


@pytest.mark.parametrize("parties", [2, 3])
def test_weights_are_those_of_the_plaintext_descent(parties):
    plan = TrainingPlan.from_json(new_training(rows=40, steps=20))
    plan.check(FEATURES)
    brought = cohorts(40, parties)
    found, outside, _ = trained(plan, brought)
    expected = plan.fit(brought)
    assert outside == {0}
    assert np.abs(expected).max() > 0.3
    assert found == pytest.approx(expected, abs=2e-4)


def test_every_party_s_noise_is_in_the_weights_that_come_out():
    plan, brought = TrainingPlan.from_json(new_training(rows=40, steps=3)), cohorts(40)
    noise = np.random.default_rng(9).normal(size=(3, K + 1))
    found, _, _ = trained(plan, brought, noise)
    assert found == pytest.approx(plan.fit(brought) + noise.sum(axis=0), abs=3e-4)


def test_a_penalty_holds_weights_back():
    brought = cohorts(40)
    light, heavy = (TrainingPlan.from_json(new_training(rows=40, steps=10, ridge=ridge)) for ridge in ("0", "0.3"))
    found = {plan.ridge: trained(plan, brought)[0] for plan in (light, heavy)}
    for plan in (light, heavy):
        assert found[plan.ridge] == pytest.approx(plan.fit(brought), abs=2e-4)
    assert np.linalg.norm(found[0.3][:-1]) < np.linalg.norm(found[0.0][:-1])


def test_one_row_more_moves_the_engines_weights_by_no_more_than_noise_is_made_for():
    plan = TrainingPlan.from_json(new_training(rows=40, steps=10))
    more = cohorts(40, missing=0)
    longest = np.sqrt(plan.norm**2 - 1)
    for each in more:
        long = ring.decode(each.records)
        each.records[:] = ring.encode(long * longest * 0.999 / np.linalg.norm(long, axis=1, keepdims=True))
    less = [*more[:2], Encoded(more[2].records.copy(), more[2].members.copy(), {}, 39)]
    less[2].records[0], less[2].members[0] = 0, 0
    step, _ = plan.factors(3)
    bound = sensitivity(step=step / 2**24, steps=plan.steps, norm=plan.norm, rows=120, weights=K + 1)
    assert 0 < np.linalg.norm(trained(plan, more)[0] - trained(plan, less)[0]) <= bound


def test_padding_is_nothing():
    """Rows that are zeros, whoever brings them: the mean is over all places, so the same rate is a shorter step."""
    few = cohorts(20, missing=0)
    more = ((0, 20), (0, 0))
    many = [Encoded(np.pad(each.records, more), np.pad(each.members, more), {}, 20) for each in few]
    one = TrainingPlan.from_json(new_training(rows=20, steps=5, rate="0.2", ridge="0"))
    other = TrainingPlan.from_json(new_training(rows=40, steps=5, rate="0.4", ridge="0"))
    assert trained(one, few)[0] == pytest.approx(trained(other, many)[0], abs=2e-4)


def test_log_odds_beyond_the_clamp_turn_no_gradient_round():
    """Rows that no plan would take bring log-odds far outside of the series' period."""
    plan, brought = TrainingPlan.from_json(new_training(rows=40, steps=3)), cohorts(40)
    for each in brought:
        each.records[:] *= 64
    found, _, _ = trained(plan, brought)
    assert np.abs(ring.decode(brought[0].records) @ found[:-1]).max() > 1000
    assert found == pytest.approx(plan.fit(brought), abs=0.05)


def test_weights_that_are_too_large_are_counted_with_their_noise():
    plan, brought = TrainingPlan.from_json(new_training(rows=40, steps=2)), cohorts(40)
    noise = np.zeros((3, K + 1))
    noise[:, :2] = 1.0, -1.0
    _, outside, _ = trained(plan, brought, noise, largest=2.0)
    assert outside == {2}


def test_a_step_is_nine_rounds_and_its_bytes_are_exact():
    brought = cohorts(40)
    costs = [trained(TrainingPlan.from_json(new_training(rows=40, steps=steps)), brought)[2] for steps in (1, 2, 3)]
    assert [each.rounds for each in costs] == [15, 24, 33]
    sent = [each.bytes_sent for each in costs]
    assert sent[2] - sent[1] == sent[1] - sent[0] == 194_844


def test_shares_that_come_out_are_fresh():
    plan, brought = TrainingPlan.from_json(new_training(rows=10, steps=1)), cohorts(10)
    _, _, done = trained(plan, brought)
    wide = np.concatenate([share.numpy().view(np.uint64) >> np.uint64(60) for share in done.results])
    assert len(np.unique(wide)) > 5
