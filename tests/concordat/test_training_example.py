"""What noise costs the example's training: docs/how-to/train-a-model.md states it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from concordat.cohort import Row
from concordat.reasons import Refused
from concordat.schema import FeatureSchema
from concordat.training_plan import check_plan

EXAMPLE = Path(__file__).parents[2] / "examples/heart_disease"
TRAINING, ELSEWHERE = ("Cleveland", "Hungary", "Switzerland"), "VA Long Beach"


@pytest.fixture(scope="module")
def schema() -> FeatureSchema:
    return FeatureSchema.from_json(json.loads((EXAMPLE / "schema.json").read_text()))


@pytest.fixture(scope="module")
def people(schema: FeatureSchema) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    with (EXAMPLE / "uci_heart_4_hospitals.csv").open() as file:
        for row in csv.DictReader(file):
            try:
                values = schema.from_row(row)
                schema.encode_row(values)
            except Refused:
                continue
            found.setdefault(row["dataset"], []).append(Row(values, row["num"] != "0"))
    return found


def test_of_three_hospitals_rows_noise_leaves_a_model_of_use_at_the_fourth(schema, people):
    plan = check_plan(json.loads((EXAMPLE / "training.json").read_text()), schema)
    brought = [plan.encode(schema, people[name]) for name in TRAINING]
    assert sum(each.counted for each in brought) == 720
    weights = plan.fit(brought)
    records = np.array([schema.encode_row(row.values).vector for row in people[ELSEWHERE]])
    outcomes = [row.outcome for row in people[ELSEWHERE]]
    size = plan.noise(len(TRAINING), len(weights)) * np.sqrt(len(TRAINING))
    noise = np.random.default_rng(0).normal(scale=size, size=(300, len(weights)))
    noisy = [roc_auc_score(outcomes, records @ each) for each in (weights + noise)[:, :-1]]
    assert roc_auc_score(outcomes, records @ weights[:-1]) == pytest.approx(0.737, abs=1e-3)
    assert np.median(noisy) == pytest.approx(0.734, abs=2e-3)
    assert np.quantile(noisy, 0.05) == pytest.approx(0.72, abs=1e-2)
