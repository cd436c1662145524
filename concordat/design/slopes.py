"""Slopes: a perturbed record is the patient's own, with its numbers moved a little up and down together.

Offsets z come with -z, so whatever is even in them (curvature, and all that does not change) cancels in the
coefficients; a document carries one half of everything, and cancels to the bit. Only numbers are moved: truth values
and categories stay the patient's, and have no coefficient.

The surrogate is that of `lime` for a continuous table sampled around the instance with the standard deviation sigma:
regressors and distance are offsets in units of sigma. A coefficient is said for each whole standard deviation of the
schema, which is 1 / sigma times the fitted one.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import with_config

from concordat import ring
from concordat.canonical import Json, digest
from concordat.design import common
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
from concordat.design.offsets import SAMPLERS, Sampler
from concordat.design.wording import SLOPE
from concordat.fields import STRICT, DecimalText, plain, read
from concordat.reasons import Reason, Refused
from concordat.schema import NUMBER_MARGIN, Feature, FeatureSchema

METHOD: Literal["mirrored-slope-lime"] = "mirrored-slope-lime"
SIGMA = 0.25
PERTURBATIONS: dict[Sampler, int] = {"orthogonal-gaussian": 240, "sobol": 1024}
"""Gaussians for models that are smooth or nearly so; trees have steps, which a net covers more evenly."""

SIGMAS = (0.01, 0.5)
"""Below, an offset is a few hundred units of fixed point; above, offsets reach the margin too often."""

OFFSET_BITS: Literal[16] = 16
LARGEST = round(NUMBER_MARGIN * (1 << OFFSET_BITS))


@with_config(STRICT)
class SlopeDocument(CommonDocument):
    """One half of a mirrored design, n/2 = h: `offsets` (h, d) at 2^16 in standard deviations of the schema, for the
    columns `group_columns`; `weights` (h,). The other half's are -z, with the same weights.

    `operator` (d + 1, h): the coefficients' rows, which are negated for the other half, and the intercept's, which is
    not.
    """

    method: Literal["mirrored-slope-lime"]
    sampler: Sampler
    sigma: DecimalText
    group_columns: list[int]
    offset_bits: Literal[16]
    offsets: list[list[int]]


@dataclass(frozen=True, kw_only=True)
class SlopeDesign(Design):
    """A checked design of offsets: first those of the document, then their negations.

    Attributes:
        sampler: what the offsets are drawn with.
        group_columns: (d,) the column of each group.
        offsets: (n, k) int64 at 2^16, zero in other columns; the perturbed records are ``x + offsets``.
    """

    wording = SLOPE
    sampler: Sampler
    group_columns: tuple[int, ...]
    offsets: Whole

    def perturbed(self, record: Floats) -> Floats:
        return record + ring.decode(self.offsets, OFFSET_BITS)

    def features(self, schema: FeatureSchema) -> tuple[tuple[Feature, ...], ...]:
        numbers = _numbers(schema)
        named = (self.groups, self.group_columns, self.columns)
        if named != (tuple(numbers), tuple(numbers.values()), schema.columns):
            raise Refused(Reason.DIGEST_MISMATCH, detail="The design was made for another schema.", field="design")
        return tuple((each,) for each in schema.features if each.kind == "number")

    @classmethod
    def from_json(cls, document: Json) -> "SlopeDesign":
        """Read a document of this method.

        Raises:
            Refused: FIELD_MISSING, FIELD_UNKNOWN or FIELD_INVALID, naming the field.
        """
        checked = read(document, SlopeDocument)
        kernel_width = common.number("kernel_width", checked["kernel_width"], KERNEL_WIDTHS)
        ridge = common.number("ridge", checked["ridge"], RIDGES)
        sigma = common.number("sigma", checked["sigma"], SIGMAS)
        half, d, k = len(checked["offsets"]), len(checked["groups"]), len(checked["columns"])
        if 2 * half <= d + 1:
            detail = "There are more perturbations than numbers fitted to them."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="offsets")
        shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
            "offsets": (checked["offsets"], (half, d)),
            "operator": (checked["operator"], (d + 1, half)),
            "weights": (checked["weights"], (half,)),
            "group_columns": (checked["group_columns"], (d,)),
        }
        arrays = {name: common.array(name, value, shape) for name, (value, shape) in shapes.items()}
        columns = tuple(arrays["group_columns"].tolist())
        if len(set(columns)) != d or not set(columns) <= set(range(k)):
            raise Refused(Reason.FIELD_INVALID, detail="Every group has its own column.", field="group_columns")
        if np.abs(arrays["offsets"]).max() > LARGEST:
            detail = f"A number is moved by up to {NUMBER_MARGIN} standard deviations."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="offsets")
        common.check_weights(arrays["weights"])
        offsets = np.zeros((2 * half, k), dtype=np.int64)
        offsets[:, columns] = np.concatenate([arrays["offsets"], -arrays["offsets"]])
        coefficients, intercept = arrays["operator"][:-1], arrays["operator"][-1:]
        return cls(
            step=sigma,
            groups=tuple(checked["groups"]),
            columns=tuple(checked["columns"]),
            regressors=ring.decode(offsets[:, columns], OFFSET_BITS) / sigma,
            sampler=checked["sampler"],
            group_columns=columns,
            offsets=offsets,
            operator=np.vstack([np.hstack([coefficients, -coefficients]), np.hstack([intercept, intercept])]),
            weights=np.concatenate([arrays["weights"], arrays["weights"]]),
            kernel_width=kernel_width,
            ridge=ridge,
            digest=digest(document),
            mirrored=half > d,
        )


def build(
    schema: FeatureSchema,
    *,
    seed: str,
    sampler: Sampler = "orthogonal-gaussian",
    n: int | None = None,
    sigma: float = SIGMA,
    kernel_width: float = KERNEL_WIDTH,
    ridge: float = RIDGE,
) -> dict[str, Json]:
    """The design document for a schema. Another machine may come out one unit off: the document is what counts.

    `n` is the sampler's own number unless given; `sigma` is in standard deviations of the schema, `kernel_width` in
    units of sqrt(d).

    Raises ValueError for a schema without numbers, an odd n, a number of points that no net has, and a seed that moves
    a number beyond `NUMBER_MARGIN`.
    """
    numbers = _numbers(schema)
    count = PERTURBATIONS[sampler] if n is None else n
    if not numbers or count < 2 or count % 2:
        raise ValueError("a slope is that of a number, from an even number of perturbations")
    offsets = ring.encode(sigma * SAMPLERS[sampler](len(numbers), count // 2, seed), OFFSET_BITS)
    if np.abs(offsets).max() > LARGEST:
        raise ValueError(f"with this seed or sigma a number moves by more than {NUMBER_MARGIN} standard deviations")
    weights = _weights(offsets, sigma, kernel_width)
    document: SlopeDocument = {
        "v": 1,
        "method": METHOD,
        "schema": schema.digest,
        "seed": seed,
        "sampler": sampler,
        "sigma": f"{sigma}",
        "kernel_width": f"{kernel_width}",
        "ridge": f"{ridge}",
        "groups": list(numbers),
        "columns": list(schema.columns),
        "group_columns": list(numbers.values()),
        "offset_bits": OFFSET_BITS,
        "offsets": offsets.tolist(),
        "operator_bits": OPERATOR_BITS,
        "operator": _operator(offsets, weights, sigma, ridge).tolist(),
        "weight_bits": WEIGHT_BITS,
        "weights": weights.tolist(),
    }
    return dict(plain(document))


def check(document: Json, schema: FeatureSchema) -> SlopeDesign:
    """Rebuild the offsets from the seed, and weights and operator from the document's own offsets; each may be one unit
    off, the last bit of another machine's arithmetic.

    Raises:
        Refused: FIELD_INVALID naming the first field that differs.
    """
    checked, design = read(document, SlopeDocument), SlopeDesign.from_json(document)
    numbers, half = _numbers(schema), design.n // 2
    try:
        drawn = design.step * SAMPLERS[design.sampler](len(numbers), half, checked["seed"])
    except ValueError as error:
        raise Refused(Reason.FIELD_INVALID, detail="No seed gives this number of offsets.", field="offsets") from error
    common.check_as_rebuilt(
        {
            "groups": design.groups == tuple(numbers),
            "columns": checked["columns"] == list(schema.columns),
            "group_columns": design.group_columns == tuple(numbers.values()),
        }
    )
    offsets, weights = design.offsets[:half, design.group_columns], design.weights[:half]
    common.check_as_rebuilt({"offsets": _close(offsets, ring.encode(drawn, OFFSET_BITS))})
    common.check_as_rebuilt(
        {
            "weights": _close(weights, _weights(offsets, design.step, design.kernel_width)),
            "operator": _close(design.operator[:, :half], _operator(offsets, weights, design.step, design.ridge)),
        }
    )
    return design


def _numbers(schema: FeatureSchema) -> dict[str, int]:
    """The column of each number of a schema."""
    return {each.name: schema.columns.index(each.name) for each in schema.features if each.kind == "number"}


def _weights(offsets: Whole, sigma: float, kernel_width: float) -> Whole:
    """(h,) of one half. A weight is one unit at least: very far is not absent."""
    squared = ((ring.decode(offsets, OFFSET_BITS) / sigma) ** 2).sum(axis=1)
    return ring.encode(common.kernel(squared, offsets.shape[1], kernel_width), WEIGHT_BITS).clip(1)


def _operator(offsets: Whole, weights: Whole, sigma: float, ridge: float) -> Whole:
    """(d + 1, h) of one half. Of the intercept's row the sums are rounded, not the entries: it adds up to exactly 1/2,
    so that where all outputs are alike, the intercept is no other."""
    regressors = ring.decode(np.concatenate([offsets, -offsets]), OFFSET_BITS) / sigma
    both = ring.decode(np.concatenate([weights, weights]), WEIGHT_BITS)
    operator = common.ridge_operator(regressors, both, ridge)[:, : len(offsets)]
    intercept = np.diff(ring.encode(np.cumsum(operator[-1]), OPERATOR_BITS), prepend=0)
    return np.vstack([ring.encode(operator[:-1], OPERATOR_BITS), intercept])


def _close(ours: Whole, rebuilt: Whole) -> bool:
    return bool(np.abs(ours - rebuilt).max() <= 1)
