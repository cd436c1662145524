"""The public LIME design: which perturbed records are computed, and the linear map from their outputs to coefficients.

Reference-contrast LIME: a perturbed record keeps some groups of features and replaces the others by the public
reference, which the schema encodes as zero. Masks, distances, kernel weights and the ridge operator depend on the seed
alone, never on the record, so the explanation is a public linear map of the secret outputs (Ribeiro, Singh, Guestrin,
KDD 2016, for LIME; the public regression matrix is known from Kernel SHAP under CKKS, the BHDR / CipherExplain work).

Masks are the rows of randomised Hadamard blocks and their complements: balanced, orthogonal, mirrored. Kernel and
ridge are the `lime` package's: weight sqrt(exp(-D² / w²)) at distance D = sqrt(masked groups), w = 0.75·sqrt(d), and
ridge penalty 1 with an unpenalised intercept. The weights are rounded to whole numbers first, so that operator, total
sum of squares and fit use exactly the same ones.

Nodes use the document's integers, named by digest, and never recompute them: a differing last bit between two
machines would make the opened result random.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import ring
from concordat.canonical import Json, digest
from concordat.fields import STRICT, DecimalText, Digest, Slug, Text, plain, read
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema

OPERATOR_BITS: Literal[20] = 20
"""The operator's entries are about 1e-2; at 20 bits a coefficient errs by less than 1e-5 of the largest output."""

WEIGHT_BITS: Literal[10] = 10
"""The kernel weights' bits; they lie between 0.41 and 1, so rounding moves them by less than 0.12 %."""

PERTURBATIONS = 128
KERNEL_WIDTH = 0.75
RIDGE = 1.0

KERNEL_WIDTHS = (0.25, 100.0)
"""Below, the weight of a wholly masked record vanishes at 10 bits; above, all weights are one."""

RIDGES = (0.001, 1000.0)
"""Below, nothing is left of the penalty at 20 bits; above, nothing is left of the coefficients."""

RELIABLE = 0.5
"""Below this adjusted R² an explanation is called unreliable."""

Floats = NDArray[np.float64]
Bit = Annotated[int, Ge(0), Le(1)]


@with_config(STRICT)
class DesignDocument(TypedDict):
    """`masks` (n, d): 1 keeps a group, 0 replaces it; `operator` (d + 1, n): coefficient rows, then the intercept's."""

    v: Literal[1]
    method: Literal["reference-contrast-lime"]
    schema: Digest
    seed: Text
    kernel_width: DecimalText
    ridge: DecimalText
    groups: list[Slug]
    columns: list[Text]
    column_groups: list[int]
    reference: list[int]
    masks: list[list[Bit]]
    operator_bits: Literal[20]
    operator: list[list[int]]
    weight_bits: Literal[10]
    weights: list[int]


@dataclass(frozen=True)
class Fit:
    """The surrogate: `coefficients` (d,) and `intercept` in log-odds, `r_squared` weighted and in sample."""

    coefficients: Floats
    intercept: float
    r_squared: float
    adjusted_r_squared: float

    @property
    def reliable(self) -> bool:
        return self.adjusted_r_squared >= RELIABLE


@dataclass(frozen=True)
class Design:
    """A checked design as arrays. n perturbations, d groups, k columns.

    Attributes:
        masks: (n, d) int64, 1 where a group keeps the record's value.
        column_masks: (n, k) int64, the same for columns; the perturbed records are ``column_masks * x``.
        operator: (d + 1, n) int64 at 2^20; ``operator @ y`` is the coefficients and, last, the intercept.
        weights: (n,) int64 at 2^10, of the regression and of its ``sum w (y - mean)²`` with the weighted mean.
    """

    groups: tuple[str, ...]
    masks: NDArray[np.int64]
    column_masks: NDArray[np.int64]
    operator: NDArray[np.int64]
    weights: NDArray[np.int64]
    kernel_width: float
    ridge: float
    digest: str

    @classmethod
    def from_json(cls, document: Json) -> "Design":
        """Read a design document.

        Raises:
            Refused: FIELD_MISSING, FIELD_UNKNOWN or FIELD_INVALID, naming the field.
        """
        checked = read(document, DesignDocument)
        kernel_width = _number("kernel_width", checked["kernel_width"], KERNEL_WIDTHS)
        ridge = _number("ridge", checked["ridge"], RIDGES)
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
        arrays = {name: _array(name, value, shape) for name, (value, shape) in shapes.items()}
        if set(arrays["column_groups"].tolist()) != set(range(d)):
            raise Refused(Reason.FIELD_INVALID, detail="Every group has a column.", field="column_groups")
        if arrays["reference"].any():
            raise Refused(Reason.FIELD_INVALID, detail="The reference record is encoded as zero.", field="reference")
        if arrays["weights"].min() <= 0:
            raise Refused(Reason.FIELD_INVALID, detail="Kernel weights are positive.", field="weights")
        return cls(
            groups=tuple(checked["groups"]),
            masks=arrays["masks"],
            column_masks=arrays["masks"][:, arrays["column_groups"]],
            operator=arrays["operator"],
            weights=arrays["weights"],
            kernel_width=kernel_width,
            ridge=ridge,
            digest=digest(document),
        )

    def fit(self, prediction: float, coefficients: Floats, intercept: float, sum_of_squares: float) -> Fit:
        """Judge the opened numbers, in public: R² follows from them, so nothing more need be opened.

        `sum_of_squares` is that of the weighted differences between outputs y and prediction p. The intercept has no
        penalty, so the surrogate's weighted mean is that of y, m, and TSS = sum w (y - p)² - (sum w) (m - p)². With
        centred masks Z, weights W, ridge a and G = Z'WZ, the fitted b solves (G + aI) b = Z'Wy. The residual sum of
        squares is TSS - 2 b'Z'Wy + b'Gb = TSS - 2 b'(G + aI) b + b'Gb. Adjusted R² counts d coefficients.
        """
        weights = self.weights / (1 << WEIGHT_BITS)
        means = np.average(self.masks, axis=0, weights=weights)
        centred = self.masks - means
        gram = centred.T @ (weights[:, None] * centred)
        b = coefficients
        total = sum_of_squares - float(weights.sum() * (intercept + means @ b - prediction) ** 2)
        residual = total - 2 * (b @ gram @ b + self.ridge * (b @ b)) + b @ gram @ b
        n, d = self.masks.shape
        # A model that does not react at all has nothing to explain: its flat surrogate is no explanation.
        r_squared = min(1.0, 1 - float(residual) / total) if total > 0 else 0.0
        return Fit(b, intercept, r_squared, 1 - (1 - r_squared) * (n - 1) / (n - d - 1))


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
    operator = ridge_operator(masks, ring.decode(weights, WEIGHT_BITS), ridge)
    document: DesignDocument = {
        "v": 1,
        "method": "reference-contrast-lime",
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


def check_design(document: Json, schema: FeatureSchema) -> Design:
    """Rebuild a design from its seed and compare: nobody chose the perturbations by hand.

    Raises:
        Refused: DIGEST_MISMATCH for another schema, FIELD_INVALID naming the first field that differs. The
            operator may differ by one unit, the last bit of another machine's arithmetic.
    """
    checked = read(document, DesignDocument)
    if checked["schema"] != schema.digest:
        raise Refused(Reason.DIGEST_MISMATCH, detail="The design was made for another schema.", field="schema")
    design = Design.from_json(document)
    try:
        rebuilt = read(
            build(
                schema,
                seed=checked["seed"],
                n=len(checked["masks"]),
                kernel_width=design.kernel_width,
                ridge=design.ridge,
            ),
            DesignDocument,
        )
    except (ArithmeticError, ValueError) as error:
        raise Refused(Reason.FIELD_INVALID, detail="No seed gives this number of masks.", field="masks") from error
    other = Design.from_json(plain(rebuilt))
    same = {
        "groups": checked["groups"] == rebuilt["groups"],
        "columns": checked["columns"] == rebuilt["columns"],
        "column_groups": checked["column_groups"] == rebuilt["column_groups"],
        "masks": np.array_equal(design.masks, other.masks),
        "weights": np.array_equal(design.weights, other.weights),
        "operator": np.abs(design.operator - other.operator).max() <= 1,
    }
    for field, equal in same.items():
        if not equal:
            raise Refused(Reason.FIELD_INVALID, detail="This is not what the design's seed gives.", field=field)
    return design


def hadamard_masks(d: int, n: int, seed: str) -> NDArray[np.int64]:
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
    stream = _stream(seed)
    blocks = []
    for _ in range(n // (2 * order)):
        columns = _choose(stream, order - 1, d)
        signs = np.array([1 - 2 * (next(stream) & 1) for _ in range(d)], dtype=np.int64)
        blocks.append(hadamard[:, [column + 1 for column in columns]] * signs)
    signed = np.concatenate(blocks)
    masks: NDArray[np.int64] = (1 + np.concatenate([signed, -signed])) // 2
    return masks


def kernel(masks: NDArray[np.int64], kernel_width: float) -> Floats:
    """(n,) LIME's exponential kernel: sqrt(exp(-D² / w²)), D² = number of masked groups, w = kernel_width·sqrt(d)."""
    d = masks.shape[1]
    masked: Floats = (d - masks.sum(axis=1)).astype(np.float64)
    weights: Floats = np.sqrt(np.exp(-masked / (kernel_width**2 * d)))
    return weights


def ridge_operator(masks: NDArray[np.int64], weights: Floats, ridge: float) -> Floats:
    """(d + 1, n): weighted ridge regression of the outputs on the masks; the last row is the unpenalised intercept."""
    mean = np.average(masks, axis=0, weights=weights)
    centred = masks - mean
    gram = centred.T @ (weights[:, None] * centred)
    coefficients = np.linalg.solve(gram + ridge * np.eye(len(gram)), centred.T * weights)
    return np.vstack([coefficients, weights / weights.sum() - mean @ coefficients])


def _stream(seed: str) -> Iterator[int]:
    """Uniform 32-bit integers: AES-256 in counter mode under SHA-256 of the seed, since numpy's streams may change."""
    key = hashlib.sha256(b"concordat/design/v1\x00" + seed.encode()).digest()
    encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    while True:
        yield int.from_bytes(encryptor.update(bytes(4)), "little")


def _choose(stream: Iterator[int], population: int, size: int) -> list[int]:
    """`size` different numbers below `population` (Fisher-Yates, by rejection so that none is favoured)."""
    items = list(range(population))
    for place in range(size):
        span = population - place
        limit = (1 << 32) - (1 << 32) % span
        draw = next(number for number in stream if number < limit)
        other = place + draw % span
        items[place], items[other] = items[other], items[place]
    return items[:size]


def _number(name: str, text: str, bounds: tuple[float, float]) -> float:
    number, (least, most) = float(text), bounds
    if not least <= number <= most:
        raise Refused(Reason.FIELD_INVALID, detail=f"A number from {least} to {most} is expected.", field=name)
    return number


def _array(name: str, value: Sequence[Any], shape: tuple[int, ...]) -> NDArray[np.int64]:
    rows = value if len(shape) == 2 else [value]
    if len(value) != shape[0] or any(len(row) != shape[-1] for row in rows) or math.prod(shape) == 0:
        expected = " x ".join(map(str, shape))
        raise Refused(Reason.FIELD_INVALID, detail=f"An array of {expected} whole numbers is expected.", field=name)
    return np.array(value, dtype=np.int64)
