"""LIME designs: which perturbed records are computed, and the linear map from their outputs to coefficients.

A design is a document that a definition names by its digest. `masks` replace groups of features by the reference;
`slopes` move numbers a little; `tabular` has rows that the `lime` package draws from training data, and a linear map
that depends on the record (`TabularDesign.at`). `build` makes the document of a method, `read_design` reads one, and
`check_design` also rebuilds it from its seed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from concordat import ring
from concordat.canonical import Json
from concordat.design import masks, slopes, tabular
from concordat.design.common import (
    CONFIDENCE,
    OPERATOR_BITS,
    RELIABLE,
    WEIGHT_BITS,
    Design,
    Estimate,
    Fit,
    odd_weights,
)
from concordat.design.masks import MaskDesign, build
from concordat.design.slopes import SlopeDesign
from concordat.design.slopes import build as build_slopes
from concordat.design.tabular import LocalDesign, TabularDesign
from concordat.design.tabular import build as build_tabular
from concordat.reasons import Reason, Refused
from concordat.ring import Ring
from concordat.schema import FeatureSchema

__all__ = [
    "CONFIDENCE",
    "METHODS",
    "OPERATOR_BITS",
    "RELIABLE",
    "WEIGHT_BITS",
    "Design",
    "Estimate",
    "Fit",
    "LocalDesign",
    "MaskDesign",
    "Plan",
    "SlopeDesign",
    "TabularDesign",
    "build",
    "build_slopes",
    "build_tabular",
    "check_design",
    "check_secret",
    "odd_weights",
    "read_design",
]

Plan = Design | TabularDesign
"""What a document says. `at` a record it is a `Design`, the same for all records or not."""


@dataclass(frozen=True)
class Method:
    """How documents of one method are read, and rebuilt from their seed for a schema; both refuse."""

    read: Callable[[Json], Plan]
    check: Callable[[Json, FeatureSchema], Plan]


METHODS: Mapping[str, Method] = {
    masks.METHOD: Method(MaskDesign.from_json, masks.check),
    slopes.METHOD: Method(SlopeDesign.from_json, slopes.check),
    tabular.METHOD: Method(TabularDesign.from_json, tabular.check),
}


def read_design(document: Json) -> Plan:
    """Read a design document of any method.

    Raises:
        Refused: FIELD_MISSING, FIELD_UNKNOWN or FIELD_INVALID, naming the field.
    """
    return _method(document).read(document)


def check_design(document: Json, schema: FeatureSchema) -> Plan:
    """Rebuild a design from its seed and compare: nobody chose the perturbations by hand.

    Raises:
        Refused: DIGEST_MISMATCH for another schema, FIELD_INVALID naming the first field that differs. What is floating
            point may differ by one unit, the last bit of another machine's arithmetic.
    """
    method = _method(document)
    assert isinstance(document, Mapping)
    if document.get("schema", schema.digest) != schema.digest:
        raise Refused(Reason.DIGEST_MISMATCH, detail="The design was made for another schema.", field="schema")
    design = method.check(document, schema)
    design.features(schema)
    return design


def check_secret(plan: Plan, shared: Ring) -> None:
    """That what was shared of a record is what the plan gives for it, within one unit.

    Args:
        shared: the encoded record (k,) at 2^16, its what-ifs, and the secrets, in one row.

    Raises:
        Refused: OPERATOR_FALSE; VALUE_OUT_OF_RANGE for a record to which the plan gives no operator that fits.
    """
    if not plan.secrets:
        return
    record, secret = shared[: len(plan.columns)], shared[-plan.secrets :]
    off = plan.at(ring.decode(record)).secret - secret
    if ((off + 1).view(np.uint64) > 2).any():  # modulo 2^64, in which shares are added up
        raise Refused(Reason.OPERATOR_FALSE)


def _method(document: Json) -> Method:
    if not isinstance(document, Mapping):
        raise Refused(Reason.FIELD_INVALID, detail="A design is a JSON object.", field="design")
    if "method" not in document:
        raise Refused(Reason.FIELD_MISSING, field="method")
    name = document["method"]
    if not isinstance(name, str) or name not in METHODS:
        detail = f"This version computes designs by the methods {', '.join(METHODS)}, and no other."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="method")
    return METHODS[name]
