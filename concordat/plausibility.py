"""How many of a design's perturbed records no patient could have: a number out of its range, or a broken rule.

A model's answer to an impossible record is an answer about nothing, so an explanation says how much of it rests on
such answers. The requester alone can count for a patient, whose record nobody else has; everybody can count for the
reference record (docs/decisions/0015).
"""

import numpy as np
from numpy.typing import NDArray

from concordat.design import Plan
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema

Floats = NDArray[np.float64]


def impossible(schema: FeatureSchema, records: Floats) -> NDArray[np.bool_]:
    """(n,) whether each encoded record (n, k) has a number out of its feature's range, or breaks a rule."""
    lowest, highest = schema.bounds
    broken: NDArray[np.bool_] = np.any((records < lowest) | (records > highest), axis=1)
    numbers = {each.name: each for each in schema.features if each.kind == "number"}
    for rule in schema.rules:
        left, right = (numbers[name].decode(records[:, schema.columns.index(name)]) for name in (rule.left, rule.right))
        broken |= rule.broken(left, right)
    return broken


def impossible_share(design: Plan, schema: FeatureSchema, records: Floats) -> float:
    """Which part, from 0 to 1, of the perturbed records of these encoded records (m, k) is impossible."""
    return float(np.mean([impossible(schema, design.perturbed(record)).mean() for record in records]))


def check(design: Plan, schema: FeatureSchema, record: Floats, *, most: str) -> None:
    """Hold the perturbed records of one encoded record (k,) against the share that a definition allows.

    Raises:
        Refused: DESIGN_IMPLAUSIBLE.
    """
    share = impossible_share(design, schema, record[None])
    if share > float(most):
        detail = f"{share:.1%} of the perturbed records are clinically impossible; {float(most):.1%} are allowed."
        raise Refused(Reason.DESIGN_IMPLAUSIBLE, detail=detail, field="design")


def check_reference(design: Plan, schema: FeatureSchema, *, most: str) -> None:
    """The same for the reference record, the one that everybody has. A design that fails here fails for the most
    ordinary patient; that it passes says nothing about others.

    Raises:
        Refused: DESIGN_IMPLAUSIBLE.
    """
    check(design, schema, np.zeros(len(schema.columns)), most=most)
