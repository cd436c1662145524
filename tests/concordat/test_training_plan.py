"""The plan of a training: what it may say, how long the rows are that are brought, and where it arrives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from concordat import ring
from concordat.cohort import Encoded
from concordat.reasons import Reason, Refused
from concordat.training_plan import TrainingPlan, check_plan, largest_weight
from tests.support.audited import FEATURES, new_training, people


def refused(document) -> tuple[Reason, str]:
    with pytest.raises(Refused) as caught:
        check_plan(document, FEATURES)
    return caught.value.reason, caught.value.field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": 101}, "steps"),
        ({"rate": "0"}, "rate"),
        ({"rate": "1.5"}, "rate"),
        ({"ridge": "-0.1"}, "ridge"),
        ({"ridge": "1.1"}, "ridge"),
        ({"rate": "0.51"}, "rate"),
        ({"norm": "1"}, "norm"),
        ({"norm": "16.5"}, "norm"),
        ({"epsilon": "0.001"}, "epsilon"),
        ({"epsilon": "8.1"}, "epsilon"),
        ({"rows": 0}, "rows"),
        ({"result": {"model": "Heart", "version": "2"}}, "result.model"),
    ],
)
def test_what_no_plan_may_say_is_refused_by_its_field(changes, field):
    assert refused(new_training(**changes)) == (Reason.FIELD_INVALID, field)


def test_a_plan_is_for_its_own_schema():
    assert refused(new_training(schema="sha256:" + 64 * "0")) == (Reason.DIGEST_MISMATCH, "schema")


@given(st.integers(0, 2**32 - 1), st.sampled_from(["1.5", "3", "4"]))
def test_no_row_is_longer_than_the_norm_and_a_short_one_stays_as_it_is(seed, norm):
    plan = TrainingPlan.from_json(new_training(norm=norm))
    rows = people(20, seed)
    found, before = plan.encode(FEATURES, rows), [FEATURES.encode_row(row.values).vector for row in rows]
    for vector, encoded in zip(before, ring.decode(found.records), strict=False):
        assert encoded @ encoded + 1 <= plan.norm**2 + 1e-12
        if vector @ vector + 1 < 0.99 * plan.norm**2:
            assert encoded == pytest.approx(vector, abs=2.0**-16)
        else:
            assert encoded @ vector >= 0.99 * np.linalg.norm(encoded) * np.linalg.norm(vector)


def test_more_people_than_rows_are_not_brought():
    """One more would put another one out: two rows would change."""
    plan = TrainingPlan.from_json(new_training(rows=5))
    assert plan.encode(FEATURES, people(5, 1)).counted == 5
    with pytest.raises(Refused) as caught:
        plan.encode(FEATURES, people(6, 1))
    assert (caught.value.reason, caught.value.field) == (Reason.TOO_LARGE, "rows")


def test_a_step_is_never_longer_than_the_rate_says():
    plan = TrainingPlan.from_json(new_training(rows=4064, rate="0.03125", norm="16", ridge="0"))
    assert plan.factors(2)[0] / 2**24 * 8128 <= 0.03125


def test_a_rate_that_so_many_rows_make_nothing_of_is_refused():
    plan = TrainingPlan.from_json(new_training(rows=8192, rate="0.08"))
    assert plan.factors(2)[0] == 81
    with pytest.raises(Refused) as caught:
        plan.factors(3)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "rate")


def test_weights_that_may_come_out_keep_every_record_in_range():
    largest, (lowest, highest) = largest_weight(FEATURES), FEATURES.reach
    worst = np.maximum(np.abs(lowest), np.abs(highest)).sum() * largest + largest
    assert 200 < worst < 256


def test_the_descent_ends_where_a_library_s_fit_does():
    """Ridge of this plan is scikit-learn's 1 / (C·n), and neither penalises the bias."""
    generator = np.random.default_rng(2)
    records = np.clip(generator.normal(size=(400, len(FEATURES.columns))), -1, 1)
    likely = 1 / (1 + np.exp(-records @ generator.normal(size=records.shape[1])))
    outcomes = (generator.random(400) < likely).astype(int)
    members = np.stack([1 - outcomes, outcomes], axis=1)
    plan = TrainingPlan.from_json(new_training(rows=400, steps=100, rate="1", ridge="0.1", norm="2.7"))
    found = plan.fit([Encoded(ring.encode(records), members, {}, 400)])
    library = LogisticRegression(C=1 / (0.1 * 400), tol=1e-8, max_iter=1000).fit(records, outcomes)
    assert found == pytest.approx([*library.coef_[0], *library.intercept_], abs=2e-2)
