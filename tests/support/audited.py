"""An audit of the consortium's model: its plan, and what each party's institution has in its table."""

import csv
import json
from pathlib import Path

import numpy as np

from concordat.canonical import digest
from concordat.cohort import Row
from concordat.schema import FeatureSchema

SCHEMA = json.loads((Path(__file__).parents[2] / "examples/heart_disease/schema.json").read_text())
OUTCOME = "coronary-disease"
SNOMED = "http://snomed.info/sct"


def new_plan(**changes) -> dict:
    return {
        "v": 1,
        "method": "counts",
        "schema": digest(SCHEMA),
        "outcome": {
            "name": OUTCOME,
            "label": "coronary disease",
            "codes": [{"system": SNOMED, "code": "53741008", "display": "Coronary arteriosclerosis"}],
            "days": 365,
        },
        "groups": [
            group("women", feature="sex", values=["female"]),
            group("men", feature="sex", values=["male"]),
        ],
        "thresholds": ["0.3", "0.6"],
        "rows": 30,
    } | changes


def group(name, *, feature, values=(), at_least="", below="") -> dict:
    return {
        "name": name,
        "label": name,
        "feature": feature,
        "values": list(values),
        "at_least": at_least,
        "below": below,
    }


def people(count: int, seed: int) -> list[Row]:
    """Made up, with gaps where the schema allows them."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        values = {}
        for feature in SCHEMA["features"]:
            if feature["kind"] == "number":
                low, high = map(float, feature["range"])
                values[feature["name"]] = round(float(generator.uniform(low, high)), 1)
            elif feature["kind"] == "boolean":
                values[feature["name"]] = bool(generator.integers(0, 2))
            else:
                values[feature["name"]] = str(generator.choice([level["value"] for level in feature["levels"]]))
            if feature["missing"] == "impute" and generator.random() < 0.1:
                values[feature["name"]] = None
        found.append(Row(values, bool(generator.integers(0, 2))))
    return found


def write_table(path: Path, rows: list[Row]) -> None:
    """As an institution's own tools write it."""
    names = [feature["name"] for feature in SCHEMA["features"]]
    path.touch(mode=0o600)
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow([*names, OUTCOME])
        for row in rows:
            table.writerow([*(_cell(row.values[name]) for name in names), _cell(row.outcome)])


def _cell(value) -> str:
    if value is None:
        return ""
    return str(value).upper() if isinstance(value, bool) else str(value)


FEATURES = FeatureSchema.from_json(SCHEMA)


def new_training(**changes) -> dict:
    plan = new_plan()
    return {
        "v": 1,
        "method": "gradient-descent",
        "schema": plan["schema"],
        "outcome": plan["outcome"],
        "rows": 30,
        "steps": 10,
        "rate": "0.45",
        "ridge": "0.01",
        "norm": "4",
        "epsilon": "8",
        "result": {"model": "heart", "version": "2"},
    } | changes
