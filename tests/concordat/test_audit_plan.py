"""The plan of an audit: what it may say, who is in which group, and how rows are encoded and counted in plaintext."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat import ring
from concordat.audit_plan import EVERYBODY, AuditPlan, check_plan
from concordat.cohort import Row
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema
from tests.support.audited import SCHEMA, group, new_plan, people

FEATURES = FeatureSchema.from_json(SCHEMA)
MEN, OLD = group("men", feature="sex", values=["male"]), group("old", feature="age", at_least="60")


def refused(document) -> tuple[Reason, str]:
    with pytest.raises(Refused) as caught:
        check_plan(document, FEATURES)
    return caught.value.reason, caught.value.field


def test_a_plan_counts_its_groups_and_everybody_where_there_are_none():
    plan = check_plan(new_plan(), FEATURES)
    assert plan.names == ("women", "men")
    assert (plan.shape, plan.cells) == ((2, 2, 3), 12)
    assert check_plan(new_plan(groups=[]), FEATURES).names == (EVERYBODY,)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"thresholds": ["0.6", "0.3"]}, "thresholds"),
        ({"thresholds": ["0.3", "0.3"]}, "thresholds"),
        ({"thresholds": ["0"]}, "thresholds"),
        ({"thresholds": ["1"]}, "thresholds"),
        ({"thresholds": []}, "thresholds"),
        ({"rows": 0}, "rows"),
        ({"rows": 1 << 20}, "rows"),
        ({"rows": 1 << 13, "thresholds": ["0.1", "0.2", "0.3", "0.4", "0.5"]}, "rows"),
        ({"groups": [group("everybody", feature="sex", values=["male"])]}, "groups"),
        ({"groups": [group("men", feature="sex", values=["male"])] * 2}, "groups"),
        (
            {"groups": [group("men", feature="sex", values=["male"]), group("old", feature="age", at_least="60")]},
            "groups.1.feature",
        ),
        (
            {
                "groups": [
                    group("all", feature="sex", values=["male", "female"]),
                    group("men", feature="sex", values=["male"]),
                ]
            },
            "groups.1",
        ),
        (
            {"groups": [group("old", feature="age", at_least="60"), group("older", feature="age", at_least="60.0001")]},
            "groups.1",
        ),
        ({"groups": [group("men", feature="gender", values=["male"])]}, "groups.0.feature"),
        ({"groups": [group("men", feature="sex", values=["man"])]}, "groups.0"),
        ({"groups": [group("men", feature="sex")]}, "groups.0"),
        ({"groups": [group("men", feature="sex", values=["male"], below="3")]}, "groups.0"),
        ({"groups": [group("old", feature="age")]}, "groups.0"),
        ({"groups": [group("old", feature="age", values=["80"])]}, "groups.0"),
        ({"groups": [group("old", feature="age", at_least="80", below="70")]}, "groups.0"),
        ({"groups": [group("old", feature="age", at_least="eighty")]}, "groups.0.at_least"),
        ({"groups": [group("sugar", feature="fbs", values=["yes"])]}, "groups.0"),
    ],
)
def test_what_no_plan_may_say_is_refused_by_its_field(changes, field):
    assert refused(new_plan(**changes)) == (Reason.FIELD_INVALID, field)


def test_a_plan_is_for_its_own_schema():
    assert refused(new_plan(schema="sha256:" + 64 * "0")) == (Reason.DIGEST_MISMATCH, "schema")


def test_a_field_that_is_no_field_is_refused():
    assert refused(new_plan(sample=3)) == (Reason.FIELD_UNKNOWN, "sample")


def test_a_group_is_of_measured_values_and_its_upper_end_is_outside():
    plan = check_plan(
        new_plan(
            groups=[
                group("young", feature="age", below="40"),
                group("sixties", feature="age", at_least="60", below="70"),
            ]
        ),
        FEATURES,
    )
    assert plan.members({"age": 39.9}) == [True, False]
    assert plan.members({"age": 40.0}) == [False, False]
    assert plan.members({"age": 60.0}) == [False, True]
    assert plan.members({"age": 70.0}) == [False, False]
    assert plan.members({"age": None}) == plan.members({}) == [False, False]
    sugar = check_plan(new_plan(groups=[group("sugar", feature="fbs", values=["true"])]), FEATURES)
    assert (sugar.members({"fbs": True}), sugar.members({"fbs": False})) == ([True], [False])


def test_an_outcome_has_no_feature_s_name():
    assert refused(new_plan(outcome=new_plan()["outcome"] | {"name": "sex"})) == (Reason.FIELD_INVALID, "outcome.name")


def test_rows_are_padded_with_nothing():
    plan = check_plan(new_plan(rows=10), FEATURES)
    encoded = plan.encode(FEATURES, people(4, seed=1))
    assert (encoded.counted, encoded.left_out) == (4, {})
    assert encoded.records.shape == (10, len(FEATURES.columns))
    assert not encoded.records[4:].any()
    assert not encoded.members[4:].any()
    assert encoded.members[:4].sum() == sum(row.values["sex"] is not None for row in people(4, seed=1))


def test_who_cannot_be_counted_is_left_out_and_counted_by_the_reason():
    plan = check_plan(new_plan(rows=3), FEATURES)
    wrong = [Row({**people(1, seed=2)[0].values, "age": 900.0}, outcome=True), Reason.FEATURE_MISSING]
    encoded = plan.encode(FEATURES, [*wrong, *people(5, seed=3)])
    assert encoded.counted == 3
    assert encoded.left_out == {Reason.VALUE_OUT_OF_RANGE: 1, Reason.FEATURE_MISSING: 1, Reason.TOO_LARGE: 2}


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=30), st.integers(0, 5))
def test_every_row_is_in_one_bin_for_each_of_its_groups(answers, seed):
    plan = AuditPlan.from_json(new_plan())
    rows = [Row(row.values, outcome) for row, (_, outcome) in zip(people(30, seed), answers, strict=False)]
    encoded = plan.encode(FEATURES, rows)
    probabilities = np.zeros(plan.rows)
    probabilities[: len(rows)] = [probability for probability, _ in answers]
    counts = plan.count(probabilities, encoded)
    everybody = AuditPlan.from_json(new_plan(groups=[]))
    total = everybody.count(probabilities, everybody.encode(FEATURES, rows))
    assert (total.sum(), total[0, 1].sum()) == (len(rows), sum(row.outcome for row in rows))
    for place, name in enumerate(plan.names):
        inside = [plan.members(row.values)[place] for row in rows]
        assert counts[place].sum() == sum(inside), name
    assert ring.encode(np.zeros(1)).sum() == 0
