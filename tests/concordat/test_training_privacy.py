"""What one row can change, and how much noise hides it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat import ring
from concordat.cohort import Encoded
from concordat.training_plan import TrainingPlan
from concordat.training_privacy import DELTA, deviation, sensitivity
from tests.support.audited import new_training

K, PARTIES = 4, 2


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["2", "3", "4"]),
    st.sampled_from(["0", "0.05", "0.3"]),
    st.integers(1, 60),
    st.integers(1, 30),
)
def test_weights_with_and_without_one_person_are_never_further_apart_than_that(seed, norm, ridge, steps, others):
    """Rows as long as they may be, all alike or all different, and whatever outcome."""
    generator = np.random.default_rng(seed)
    rate = f"{min(1.0, 1.99 / (float(norm) ** 2 / 4 + float(ridge))):.3f}"
    plan = TrainingPlan.from_json(new_training(rows=16, steps=steps, rate=rate, norm=norm, ridge=ridge))
    records = generator.normal(size=(32, K)) * generator.choice([0.0, 1.0], size=K) + generator.normal(size=K)
    records *= math.sqrt(float(norm) ** 2 - 1) * 0.9999 / np.linalg.norm(records, axis=1, keepdims=True)
    outcomes = generator.integers(0, 2, 32)

    def fitted(count):
        there = np.arange(32) < count
        members = np.stack([(1 - outcomes) * there, outcomes * there], axis=1)
        return plan.fit([Encoded(ring.encode(records * there[:, None]), members, {}, count)])

    apart = np.linalg.norm(fitted(others) - fitted(others + 1))
    bound = sensitivity(step=float(rate) / 32, steps=steps, norm=float(norm), rows=32, weights=K + 1)
    assert 0 < apart <= bound


def test_the_bound_is_reached_by_a_first_step():
    """By half: a residual is 1/2 there, and the bound takes it for 1."""
    plan = TrainingPlan.from_json(new_training(rows=16, steps=1, rate="0.4", norm="4", ridge="0"))
    record = ring.encode(np.full((1, K), math.sqrt(15) / 2))
    one = Encoded(np.pad(record, ((0, 31), (0, 0))), np.pad([[0, 1]], ((0, 31), (0, 0))), {}, 1)
    none = Encoded(np.zeros((32, K), dtype=np.int64), np.zeros((32, 2), dtype=np.int64), {}, 0)
    bound = sensitivity(step=0.4 / 32, steps=1, norm=4.0, rows=32, weights=K + 1)
    assert np.linalg.norm(plan.fit([one]) - plan.fit([none])) == pytest.approx(bound / 2, rel=0.02)


@pytest.mark.parametrize("epsilon", [0.01, 0.1, 1.0, 4.0, 8.0])
def test_noise_of_that_size_is_private_by_that_much(epsilon):
    """ρ = Δ²/2σ² (Bun, Steinke, Proposition 1.6), and ρ + 2·√(ρ·ln(1/δ)) is ε (Proposition 1.3)."""
    rho = 0.07**2 / (2 * deviation(0.07, epsilon) ** 2)
    assert rho + 2 * math.sqrt(rho * math.log(1 / DELTA)) == pytest.approx(epsilon)


def test_the_exact_bound_of_the_gaussian_mechanism_allows_it_too():
    """Balle, Wang (ICML 2018), Theorem 8: the δ that noise of this size really needs for ε is smaller."""
    normal = lambda x: 0.5 * math.erfc(-x / math.sqrt(2))  # noqa: E731
    for epsilon in (0.5, 2.0, 8.0):
        ratio = 1 / deviation(1.0, epsilon)
        needed = normal(ratio / 2 - epsilon / ratio) - math.exp(epsilon) * normal(-ratio / 2 - epsilon / ratio)
        assert 0 < needed < DELTA


def test_more_rows_fewer_steps_and_a_larger_epsilon_need_less_noise():
    def noise(**changes):
        return TrainingPlan.from_json(new_training(**changes)).noise(PARTIES, K + 1)

    usual = noise()
    assert noise(rows=300) < usual / 9
    assert noise(steps=5) < usual / 1.9
    assert noise(epsilon="4") > usual
