"""What an audit says: rates between two ends where counts were too small, calibration, and that nobody is told more."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat import ring
from concordat.audit_plan import AuditPlan
from concordat.figures import Between, largest_gaps, open_counts, read_counts, seal_counts
from concordat.reasons import Reason, Refused
from concordat.sealing import SealingKey
from tests.support.audited import new_plan

PLAN = AuditPlan.from_json(new_plan())
SMALLEST = 5


def figures(counts, smallest=SMALLEST, plan=PLAN):
    """As the engines leave them: what of each count is above the smallest less one."""
    left = np.maximum(np.asarray(counts, dtype=np.int64) - smallest + 1, 0)
    return read_counts(ring.split(left.flatten(), 3), plan, smallest=smallest)


def counts(**by_group):
    """(without the outcome, with it) by bin, for the groups that are named."""
    found = np.zeros(PLAN.shape, dtype=np.int64)
    for name, rows in by_group.items():
        found[PLAN.names.index(name.replace("_", "-"))] = rows
    return found


def test_rates_are_those_of_the_counts():
    found = figures(counts(men=[[40, 20, 10], [5, 15, 30]]))
    low, high = found.rates("men")
    assert (low.threshold, high.threshold) == (0.3, 0.6)
    assert low.sensitivity == Between(45 / 50, 45 / 50)
    assert low.specificity == Between(40 / 70, 40 / 70)
    assert low.precision == Between(45 / 75, 45 / 75)
    assert low.selected == Between(75 / 120, 75 / 120)
    assert high.sensitivity == Between(30 / 50, 30 / 50)
    assert high.specificity == Between(60 / 70, 60 / 70)
    bins = found.calibration("men")
    assert [(each.low, each.high) for each in bins] == [(0, 0.3), (0.3, 0.6), (0.6, 1)]
    assert bins[2].observed == Between(30 / 40, 30 / 40)


def test_a_small_count_gives_a_rate_two_ends():
    found = figures(counts(women=[[40, 20, 10], [3, 6, 9]]))
    rate = found.rates("women")[0].sensitivity
    assert rate == Between(15 / 19, 15 / 15)
    assert found.suppressed == 1 + 6  # the other group is empty: nobody can tell nothing from a few


def test_of_nobody_there_is_no_rate():
    found = figures(np.zeros(PLAN.shape), smallest=1)
    assert found.rates("men")[0].sensitivity is None
    assert found.calibration("men")[0].observed is None


def test_the_gap_between_groups_has_two_ends_where_a_rate_has():
    whole = {"women": [[9, 9, 9], [10, 10, 20]], "men": [[9, 9, 9], [10, 30, 40]]}
    assert largest_gaps(figures(counts(**whole)))[0.3] == Between(70 / 80 - 30 / 40, 70 / 80 - 30 / 40)
    partly = whole | {"women": [[9, 9, 9], [3, 10, 20]]}
    gap = largest_gaps(figures(counts(**partly)))[0.3]
    assert (gap.least, gap.most) == pytest.approx((max(0, 30 / 34 - 70 / 80), 1 - 70 / 80))


@given(
    st.lists(st.integers(0, 60), min_size=PLAN.cells, max_size=PLAN.cells),
    st.integers(1, 20),
)
def test_the_truth_lies_between_the_ends(flat, smallest):
    exact = np.array(flat).reshape(PLAN.shape)
    found, truth = figures(exact, smallest), figures(exact, 1)
    assert (found.least <= exact).all()
    assert (exact <= found.most).all()
    for name in PLAN.names:
        for bounds, only in zip(found.rates(name), truth.rates(name), strict=True):
            for which in ("sensitivity", "specificity", "precision", "selected"):
                rate, real = getattr(bounds, which), getattr(only, which)
                if real is not None:
                    assert rate.least - 1e-12 <= real.least == real.most <= rate.most + 1e-12
        for bounds, only in zip(found.calibration(name), truth.calibration(name), strict=True):
            if only.observed is not None:
                assert bounds.observed.least - 1e-12 <= only.observed.least <= bounds.observed.most + 1e-12


def test_the_document_says_null_for_what_was_not_opened():
    document = figures(counts(women=[[40, 20, 10], [3, 6, 9]])).document()
    assert document["groups"]["women"]["with_outcome"] == [None, 6, 9]
    assert document["groups"]["women"]["rates"][0]["sensitivity"] == {"least": "0.7895", "most": "1.0000"}
    assert document["smallest_count"] == SMALLEST


@pytest.mark.parametrize("wrong", [-1, 1000])
def test_what_no_count_can_be_is_refused(wrong):
    shares = ring.split(np.full(PLAN.cells, wrong, dtype=np.int64), 3)
    with pytest.raises(Refused) as caught:
        read_counts(shares, PLAN, smallest=SMALLEST)
    assert caught.value.reason is Reason.RESULT_OUT_OF_RANGE


class TestSealing:
    """Every party's share is sealed to the requester, and held against what the party's receipt commits to."""

    @pytest.fixture
    def case(self):
        key, job = SealingKey.generate(), "0b1c1f3e-8f5c-4f0e-9a52-111111111111"
        shares = ring.split(np.full(PLAN.cells, 7, dtype=np.int64), 2)
        sealed, receipts = {}, {}
        for party, share in zip(("cleveland", "zurich"), shares, strict=True):
            commitment, sealed[party] = seal_counts(ring.to_bytes(share), job=job, node=party, output_key=key.public)
            receipts[party] = {"job": job, "node": party, "counts": commitment}
        receipts["notary"] = {"job": job, "node": "notary"}
        return key, sealed, receipts

    def test_they_add_up(self, case):
        key, sealed, receipts = case
        found = open_counts(sealed, receipts, PLAN, smallest=SMALLEST, key=key)
        assert (found.least == 7 + SMALLEST - 1).all()

    def test_another_key_opens_nothing(self, case):
        _, sealed, receipts = case
        with pytest.raises(Refused) as caught:
            open_counts(sealed, receipts, PLAN, smallest=SMALLEST, key=SealingKey.generate())
        assert caught.value.reason is Reason.SEAL_BROKEN

    def test_a_missing_share_names_its_party(self, case):
        key, sealed, receipts = case
        del sealed["zurich"]
        with pytest.raises(Refused) as caught:
            open_counts(sealed, receipts, PLAN, smallest=SMALLEST, key=key)
        assert caught.value.reason is Reason.NODE_SILENT

    def test_one_party_cannot_hand_in_the_share_of_another(self, case):
        key, sealed, receipts = case
        sealed["zurich"] = sealed["cleveland"]
        with pytest.raises(Refused) as caught:
            open_counts(sealed, receipts, PLAN, smallest=SMALLEST, key=key)
        assert caught.value.reason is Reason.SEAL_BROKEN

    def test_a_share_that_was_not_committed_to_names_its_party(self, case):
        key, sealed, receipts = case
        _, sealed["zurich"] = seal_counts(
            bytes(8 * PLAN.cells), job=receipts["zurich"]["job"], node="zurich", output_key=key.public
        )
        with pytest.raises(Refused) as caught:
            open_counts(sealed, receipts, PLAN, smallest=SMALLEST, key=key)
        assert (caught.value.reason, caught.value.field) == (Reason.OPENING_MISMATCH, "zurich")
