"""Designs of LIME's tabular samplers for the example's patients, and `lime` itself on the same training data."""

from functools import cache
from pathlib import Path

import numpy as np
from lime.lime_tabular import LimeTabularExplainer

from concordat import design
from concordat.design import training
from concordat.design.training import Sampler
from config.demo.training import read_rows
from tests.support.engines import SCHEMA

SEED = 3
_TABLE = Path(__file__).parents[2] / "examples/heart_disease/uci_heart_4_hospitals.csv"


@cache
def patients() -> tuple[dict, ...]:
    """Every tenth patient's values, some of them missing."""
    return tuple(SCHEMA.from_row(row) for row in read_rows(_TABLE)[::10])


@cache
def table() -> np.ndarray:
    """(patients, d) as lime has them."""
    return np.array([training.codes(SCHEMA, SCHEMA.encode_row(each).vector) for each in patients()])


@cache
def document(sampler: Sampler = "quartiles", samples: int = 60, seed: int = SEED) -> dict:
    statistics = training.summarise(patients(), SCHEMA, sampler)
    return design.build_tabular(SCHEMA, statistics, seed=seed, samples=samples, sampler=sampler)


def lime(data: np.ndarray, schema=SCHEMA, *, sampler: Sampler = "quartiles", seed: int = SEED) -> LimeTabularExplainer:
    """`lime`'s own explainer of training data (patients, d), for a model that answers with one number."""
    return LimeTabularExplainer(
        data,
        mode="regression",
        feature_names=[each.name for each in schema.features],
        categorical_features=[place for place, each in enumerate(schema.features) if each.kind != "number"],
        discretize_continuous=sampler == "quartiles",
        feature_selection="none",
        random_state=np.random.RandomState(seed),
    )


def encoded(codes: np.ndarray, schema=SCHEMA) -> np.ndarray:
    """(n, columns) what a model gets for rows (n, d) as lime has them."""
    return np.hstack([training.columns_of(each, codes[:, place]) for place, each in enumerate(schema.features)])
