"""Reference-contrast LIME: a perturbed record keeps some groups of features and replaces the others by the reference.

The public reference record is encoded as zero by the schema. Masks, distances, kernel weights and the ridge operator
depend on the seed alone, never on the record, so the explanation is a public linear map of the secret outputs.

Masks are the rows of randomised Hadamard blocks and their complements: balanced, orthogonal, mirrored. Distance is
sqrt(masked groups), as `lime` has it for categories; so a mask and its complement do not weigh the same.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le
from pydantic import with_config

from concordat import ring
from concordat.canonical import Json, digest
from concordat.design import common, streams
from concordat.design.common import (
    KERNEL_WIDTH,
    KERNEL_WIDTHS,
    OPERATOR_BITS,
    RIDGE,
    RIDGES,
    WEIGHT_BITS,
    CommonDocument,
    Design,
    Floats,
    Whole,
)
from concordat.design.wording import CONTRAST
from concordat.fields import STRICT, plain, read
from concordat.reasons import Reason, Refused
from concordat.schema import Feature, FeatureSchema

METHOD: Literal["reference-contrast-lime"] = "reference-contrast-lime"
PERTURBATIONS = 128

MIRRORED_WIDTH = 0.6
"""Of the kernel: below it the weights of a mask and of its complement differ so much, by more than a factor of four,
that intervals made of their odd parts were found to miss too often."""

Bit = Annotated[int, Ge(0), Le(1)]


@with_config(STRICT)
class MaskDocument(CommonDocument):
    """`masks` (n, d): 1 keeps a group, 0 replaces it; `operator` (d + 1, n): coefficient rows, then the intercept's."""

    method: Literal["reference-contrast-lime"]
    column_groups: list[int]
    reference: list[int]
    masks: list[list[Bit]]


@dataclass(frozen=True, kw_only=True)
class MaskDesign(Design):
    """A checked design of masks.

    Attributes:
        masks: (n, d) int64, 1 where a group keeps the record's value.
        column_masks: (n, k) int64, the same for columns; the perturbed records are ``column_masks * x``.
    """

    wording = CONTRAST
    masks: Whole
    column_masks: Whole

    def perturbed(self, record: Floats) -> Floats:
        return self.column_masks * record

    def features(self, schema: FeatureSchema) -> tuple[tuple[Feature, ...], ...]:
        if (self.groups, self.columns) != (schema.groups, schema.columns):
            raise Refused(Reason.DIGEST_MISMATCH, detail="The design was made for another schema.", field="design")
        return tuple(tuple(each for each in schema.features if each.group == group) for group in self.groups)

    @classmethod
    def from_json(cls, document: Json) -> "MaskDesign":
        """Read a document of this method.

        Raises:
            Refused: FIELD_MISSING, FIELD_UNKNOWN or FIELD_INVALID, naming the field.
        """
        checked = read(document, MaskDocument)
        kernel_width = common.number("kernel_width", checked["kernel_width"], KERNEL_WIDTHS)
        ridge = common.number("ridge", checked["ridge"], RIDGES)
        n, d, k = len(checked["masks"]), len(checked["groups"]), len(checked["columns"])
        if n <= d + 1:
            detail = "There are more perturbations than numbers fitted to them."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="masks")
        shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
            "masks": (checked["masks"], (n, d)),
            "operator": (checked["operator"], (d + 1, n)),
            "weights": (checked["weights"], (n,)),
            "column_groups": (checked["column_groups"], (k,)),
            "reference": (checked["reference"], (k,)),
        }
        arrays = {name: common.array(name, value, shape) for name, (value, shape) in shapes.items()}
        if set(arrays["column_groups"].tolist()) != set(range(d)):
            raise Refused(Reason.FIELD_INVALID, detail="Every group has a column.", field="column_groups")
        if arrays["reference"].any():
            raise Refused(Reason.FIELD_INVALID, detail="The reference record is encoded as zero.", field="reference")
        common.check_weights(arrays["weights"])
        half = n // 2
        complements = n % 2 == 0 and bool((arrays["masks"][:half] + arrays["masks"][half:] == 1).all())
        return cls(
            groups=tuple(checked["groups"]),
            columns=tuple(checked["columns"]),
            regressors=arrays["masks"].astype(np.float64),
            masks=arrays["masks"],
            column_masks=arrays["masks"][:, arrays["column_groups"]],
            operator=arrays["operator"],
            weights=arrays["weights"],
            kernel_width=kernel_width,
            ridge=ridge,
            digest=digest(document),
            mirrored=complements and half > d and kernel_width >= MIRRORED_WIDTH,
        )


def build(
    schema: FeatureSchema,
    *,
    seed: str,
    n: int = PERTURBATIONS,
    kernel_width: float = KERNEL_WIDTH,
    ridge: float = RIDGE,
) -> dict[str, Json]:
    """The design document for a schema; the same masks for the same seed, on every machine and for ever.

    `kernel_width` is in units of sqrt(d). Raises ValueError unless n is a multiple of twice the Hadamard order.
    """
    masks = hadamard_masks(len(schema.groups), n, seed)
    weights = ring.encode(kernel(masks, kernel_width), WEIGHT_BITS)
    operator = common.ridge_operator(masks, ring.decode(weights, WEIGHT_BITS), ridge)
    document: MaskDocument = {
        "v": 1,
        "method": METHOD,
        "schema": schema.digest,
        "seed": seed,
        "kernel_width": f"{kernel_width}",
        "ridge": f"{ridge}",
        "groups": list(schema.groups),
        "columns": list(schema.columns),
        "column_groups": list(schema.column_groups),
        "reference": [0] * len(schema.columns),
        "masks": masks.tolist(),
        "operator_bits": OPERATOR_BITS,
        "operator": ring.encode(operator, OPERATOR_BITS).tolist(),
        "weight_bits": WEIGHT_BITS,
        "weights": weights.tolist(),
    }
    return dict(plain(document))


def check(document: Json, schema: FeatureSchema) -> MaskDesign:
    """Rebuild a document from its seed and compare: masks and weights to the bit, the operator to one unit.

    Raises:
        Refused: FIELD_INVALID naming the first field that differs.
    """
    checked, design = read(document, MaskDocument), MaskDesign.from_json(document)
    try:
        rebuilt = read(
            build(
                schema,
                seed=checked["seed"],
                n=len(checked["masks"]),
                kernel_width=design.kernel_width,
                ridge=design.ridge,
            ),
            MaskDocument,
        )
    except (ArithmeticError, ValueError) as error:
        raise Refused(Reason.FIELD_INVALID, detail="No seed gives this number of masks.", field="masks") from error
    other = MaskDesign.from_json(plain(rebuilt))
    common.check_as_rebuilt(
        {
            "groups": checked["groups"] == rebuilt["groups"],
            "columns": checked["columns"] == rebuilt["columns"],
            "column_groups": checked["column_groups"] == rebuilt["column_groups"],
            "masks": np.array_equal(design.masks, other.masks),
            "weights": np.array_equal(design.weights, other.weights),
            "operator": bool(np.abs(design.operator - other.operator).max() <= 1),
        }
    )
    return design


def hadamard_masks(d: int, n: int, seed: str) -> Whole:
    """(n, d) masks of 0 and 1: n/2 rows of randomised Hadamard blocks, then their complements.

    Each block takes d random non-constant columns of Sylvester's matrix of the next order above d and gives each a
    random sign, so within a block every group is kept in half of the rows and independently of every other group.
    """
    order = 1 << d.bit_length()
    if n % (2 * order):
        raise ValueError(f"the number of perturbations is a multiple of {2 * order}")
    hadamard = np.ones((1, 1), dtype=np.int64)
    while len(hadamard) < order:
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    stream = streams.uniform(seed, b"concordat/design/v1")
    blocks = []
    for _ in range(n // (2 * order)):
        columns = streams.choose(stream, order - 1, d)
        signs = 1 - 2 * (streams.take(stream, d) & 1)
        blocks.append(hadamard[:, [column + 1 for column in columns]] * signs)
    signed = np.concatenate(blocks)
    masks: Whole = (1 + np.concatenate([signed, -signed])) // 2
    return masks


def kernel(masks: Whole, kernel_width: float) -> Floats:
    """(n,) LIME's weights; they lie between 0.41 and 1 at the usual width, so rounding moves them by up to 0.12 %."""
    d = masks.shape[1]
    return common.kernel((d - masks.sum(axis=1)).astype(np.float64), d, kernel_width)
