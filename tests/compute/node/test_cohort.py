"""What a node remembers of the rows that it brought."""

import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest

from compute.node.cohort import Cohort
from compute.node.opened import OpenedNumbers
from concordat import clock
from concordat.reasons import Reason, Refused
from concordat.training_plan import TrainingPlan
from tests.support.audited import new_training


def test_a_training_from_before_there_was_noise_counts_as_having_told_all(tmp_path):
    state, opened = tmp_path / "state.sqlite3", OpenedNumbers(tmp_path / "state.sqlite3")
    with closing(sqlite3.connect(state)) as database, database:
        database.execute(
            "CREATE TABLE brought (ticket TEXT PRIMARY KEY, job TEXT NOT NULL, kind TEXT NOT NULL, at TEXT NOT NULL, "
            "definition TEXT NOT NULL, requester TEXT NOT NULL, rows TEXT NOT NULL, salt BLOB NOT NULL, "
            "counted INTEGER NOT NULL, left_out TEXT NOT NULL)"
        )
        database.execute(
            "INSERT INTO brought VALUES ('t', 'j', 'train', '2020-01-01T00:00:00Z', 'd', 'r', '', '', 1, '{}')"
        )
    opened.spend("t", definition="d", model="m", requester="r", scalars=0, budget=0)
    cohort = Cohort(SimpleNamespace(state=state, policy={"epsilon": "100"}), opened)
    grant = SimpleNamespace(plan=TrainingPlan.from_json(new_training()), role="party", ticket={"ticket": "u"})
    with pytest.raises(Refused) as caught:
        cohort.check(grant, now=clock.now())
    assert (caught.value.reason, caught.value.field) == (Reason.POLICY_REFUSES, "epsilon")
    assert cohort.taught("t")
    assert not cohort.taught("u")
