"""What every design has: a surrogate that is fitted by a public linear map, how well it fits, and how sure it is.

Kernel and ridge are the `lime` package's: weight sqrt(exp(-D² / w²)) at distance D, w = 0.75·sqrt(d), and ridge
penalty 1 with an unpenalised intercept (Ribeiro, Singh, Guestrin, KDD 2016; the public regression matrix is known from
Kernel SHAP under CKKS, the BHDR / CipherExplain work). The weights are rounded to whole numbers first, so that
operator, sum of squares and fit use exactly the same ones.

Records of a mirrored design come in pairs, whose odd part alone the coefficients depend on (`odd_weights`). What
the surrogate leaves of it is how much a coefficient would vary with the design's seed; what it leaves of the even part,
curvature and interactions of two, is not.

Nodes use a document's integers, named by digest, and never recompute them: a differing last bit between two machines
would make the opened result random.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import with_config
from typing_extensions import TypedDict

from concordat.design.wording import Wording
from concordat.fields import STRICT, DecimalText, Digest, Slug, Text
from concordat.reasons import Reason, Refused
from concordat.ring import Ring
from concordat.schema import Feature, FeatureSchema

OPERATOR_BITS: Literal[20] = 20
"""The operator's entries are about 1e-2; at 20 bits a coefficient errs by less than 1e-5 of the largest output."""

WEIGHT_BITS: Literal[10] = 10
"""The kernel weights' bits."""

KERNEL_WIDTH = 0.75
RIDGE = 1.0

KERNEL_WIDTHS = (0.25, 100.0)
"""Below, the weights of most perturbed records vanish at 10 bits; above, all weights are one."""

RIDGES = (0.001, 1000.0)
"""Below, nothing is left of the penalty at 20 bits; above, nothing is left of the coefficients."""

RELIABLE = 0.5
"""Below this adjusted R² an explanation is called unreliable."""

CONFIDENCE = 0.95
"""Of the coefficients' intervals."""

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@with_config(STRICT)
class CommonDocument(TypedDict):
    """`groups`: what has a coefficient each; `columns`: the schema's; `kernel_width` in units of sqrt(d)."""

    v: Literal[1]
    schema: Digest
    seed: Text
    kernel_width: DecimalText
    ridge: DecimalText
    groups: list[Slug]
    columns: list[Text]
    operator_bits: Literal[20]
    operator: list[list[int]]
    weight_bits: Literal[10]
    weights: list[int]


class Estimate(NamedTuple):
    """A coefficient, and the ends of its interval; None of a design that is not mirrored."""

    coefficient: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Fit:
    """The surrogate: `coefficients` (d,) and `intercept` on the scale that was explained, `r_squared` weighted and in
    sample. `intervals` (d, 2) are the coefficients' lower and upper ends at `CONFIDENCE`; None of a design that is not
    mirrored."""

    coefficients: Floats
    intercept: float
    r_squared: float
    adjusted_r_squared: float
    intervals: Floats | None

    @property
    def reliable(self) -> bool:
        return self.adjusted_r_squared >= RELIABLE

    @property
    def estimates(self) -> list[Estimate]:
        """Of each coefficient in turn."""
        if self.intervals is None:
            return [Estimate(float(each), None, None) for each in self.coefficients]
        return [
            Estimate(float(each), float(low), float(high))
            for each, (low, high) in zip(self.coefficients, self.intervals, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class Design(ABC):
    """A checked design as arrays. n perturbations, d groups, k columns.

    Attributes:
        columns: (k,) names of the schema's.
        regressors: (n, d) what the outputs are regressed on.
        step: in units of the regressors; a coefficient as it is said is the fitted one divided by it.
        operator: (d + 1, n) int64 at 2^operator_bits; ``operator @ y`` is the fitted coefficients and, last, the
            intercept.
        weights: (n,) int64 at 2^10, of the regression and of its ``sum w (y - mean)²`` with the weighted mean.
        mirrored: whether the records are n/2 > d pairs, record i with i + n/2, whose regressors lie the same way on
            both sides of one centre; the squares of their odd parts are then opened too.
        secrets: how many numbers the requester shares with each record besides: none, where a design is public.
    """

    operator_bits: ClassVar[int] = OPERATOR_BITS
    secrets: ClassVar[int] = 0
    step: float = 1.0
    groups: tuple[str, ...]
    columns: tuple[str, ...]
    regressors: Floats
    operator: Whole
    weights: Whole
    kernel_width: float
    ridge: float
    digest: str
    mirrored: bool = False

    @property
    def n(self) -> int:
        """How many perturbed records are computed."""
        return len(self.weights)

    @property
    @abstractmethod
    def wording(self) -> Wording:
        """What its coefficients are called."""

    def at(self, record: Floats) -> "Design":
        """The design for one encoded record (k,): the same one for all records."""
        return self

    @property
    def secret(self) -> Ring:
        """(secrets,) what the requester shares with the record that the design is for: nothing, where it is public."""
        return np.zeros(0, dtype=np.int64)

    @abstractmethod
    def perturbed(self, record: Floats) -> Floats:
        """(n, k) the perturbed records of one encoded record (k,), in plaintext."""

    @abstractmethod
    def features(self, schema: FeatureSchema) -> tuple[tuple[Feature, ...], ...]:
        """For each group, the features that it stands for. Raises Refused(DIGEST_MISMATCH) for another schema."""

    def squares(self, differences: Floats) -> Floats:
        """What is opened of the outputs' differences (n,) from the prediction, besides coefficients and intercept:
        their weighted sum of squares and, of a mirrored design, that of `odd_weights`."""
        weights = self.weights / (1 << WEIGHT_BITS)
        sums = [weights @ differences**2]
        if self.mirrored:
            own, pairs = (each / (1 << WEIGHT_BITS) for each in odd_weights(self.weights))
            first, second = np.split(differences, 2)
            sums.append(own @ differences**2 + pairs @ (first - second) ** 2)
        return np.array(sums)

    def fit(
        self,
        prediction: float,
        coefficients: Floats,
        intercept: float,
        sum_of_squares: float,
        odd_squares: float | None = None,
    ) -> Fit:
        """Judge the opened numbers (`judge`): R² and intervals follow from them, so nothing more need be opened.

        `odd_squares` is the sum of `odd_weights` over the same differences; None of a design that is not mirrored.
        """
        weights = self.weights / (1 << WEIGHT_BITS)
        b = coefficients
        judged = judge(self.regressors, weights, self.ridge, prediction, b, intercept, sum_of_squares)
        intervals = None
        if odd_squares is not None:
            means, gram = moments(self.regressors, weights)
            plain = b + self.ridge * (np.linalg.pinv(gram, hermitian=True) @ b)  # without the penalty
            surrogate = intercept + means @ (b - plain) - prediction + self.regressors @ plain
            margins = self._margins(gram, odd_squares - self.squares(surrogate)[-1])
            intervals = (b[:, None] + margins[:, None] * [-1, 1]) / self.step
        return replace(judged, coefficients=b / self.step, intervals=intervals)

    def _margins(self, gram: Floats, residual: float) -> Floats:
        """(d,) half of each coefficient's interval, from what the unpenalised surrogate leaves of `odd_squares`.

        With half differences h, weights w = w+ + w-, and G and a as for `fit`, b varies as (G + aI)⁻¹ sum w h u with
        the odd parts u that are left over, whose variance is taken to be s² / w: Student's t with n/2 - d degrees.
        Exact where the weights of a pair are equal. Otherwise left-over odd parts and the surrogate's need not be
        orthogonal, since (w+ - w-) / w is not quite linear in the regressors: a few percent of s.
        """
        from scipy.special import stdtrit  # half a second, which who fits nothing does not have to wait

        first, second = np.split(self.regressors, 2)
        half, weights = (first - second) / 2, np.add(*np.split(self.weights, 2)) / (1 << WEIGHT_BITS)
        degrees = len(half) - half.shape[1]
        # Squares are rounded: of an exactly linear model as much as nothing is left, on either side of it.
        variance = max(residual, 0.0) / 2 / degrees
        shrink = np.linalg.inv(gram + self.ridge * np.eye(len(gram)))
        spread = shrink @ (half.T @ (weights[:, None] * half)) @ shrink
        margins: Floats = stdtrit(degrees, (1 + CONFIDENCE) / 2) * np.sqrt(variance * np.diag(spread))
        return margins


def moments(regressors: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """(d,) weighted means of the regressors (n, d), and G (d, d) their weighted products about them."""
    means: Floats = np.average(regressors, axis=0, weights=weights)
    centred = regressors - means
    return means, centred.T @ (weights[:, None] * centred)


def judge(
    regressors: Floats,
    weights: Floats,
    ridge: float,
    prediction: float,
    b: Floats,
    intercept: float,
    sum_of_squares: float,
) -> Fit:
    """How well opened coefficients b (d,) fit.

    `sum_of_squares` is that of the weighted differences between outputs y and prediction p. The intercept has no
    penalty, so the surrogate's weighted mean is that of y, m, and TSS = sum w (y - p)² - (sum w) (m - p)². With
    centred regressors Z, weights W, ridge a and G = Z'WZ, the fitted b solves (G + aI) b = Z'Wy. The residual sum
    of squares is TSS - 2 b'Z'Wy + b'Gb = TSS - 2 b'(G + aI) b + b'Gb. Adjusted R² counts d coefficients.
    """
    means, gram = moments(regressors, weights)
    total = sum_of_squares - float(weights.sum() * (intercept + means @ b - prediction) ** 2)
    residual = total - 2 * (b @ gram @ b + ridge * (b @ b)) + b @ gram @ b
    n, d = regressors.shape
    # A model that does not react at all has nothing to explain: its flat surrogate is no explanation.
    r_squared = min(1.0, 1 - float(residual) / total) if total > 0 else 0.0
    return Fit(b, intercept, r_squared, 1 - (1 - r_squared) * (n - 1) / (n - d - 1), None)


def odd_weights(weights: Whole) -> tuple[Whole, Whole]:
    """(n,) and (n/2,) at 2^10, from the weights (n,) of a mirrored design: ``sum own y² + sum pairs (y+ - y-)²`` is
    twice the weighted sum of squared odd parts.

    The odd part of a pair is (w+ y+ - w- y-) / (w+ + w-), half the difference where both weigh the same. It is what
    coefficients depend on: their normal equations have, besides sums that the intercept takes up, only its products
    with the regressors' half differences, weighted with w+ + w-. Its square, so weighted and doubled, is that of the
    difference times the harmonic mean of the weights, and that of each output times twice what its own weight is more
    than that mean. The mean is rounded down, so that the sum stays one of squares.
    """
    first, second = np.split(weights, 2)
    pairs = 2 * first * second // (first + second)
    return 2 * (weights - np.tile(pairs, 2)), pairs


def kernel(squared_distances: Floats, d: int, kernel_width: float) -> Floats:
    """(n,) LIME's exponential kernel: sqrt(exp(-D² / w²)), w = kernel_width·sqrt(d)."""
    weights: Floats = np.sqrt(np.exp(-squared_distances / (kernel_width**2 * d)))
    return weights


def ridge_operator(regressors: NDArray[Any], weights: Floats, ridge: float) -> Floats:
    """(d + 1, n): weighted ridge regression of outputs on regressors (n, d); last, the unpenalised intercept's row."""
    mean = np.average(regressors, axis=0, weights=weights)
    centred = regressors - mean
    gram = centred.T @ (weights[:, None] * centred)
    coefficients = np.linalg.solve(gram + ridge * np.eye(len(gram)), centred.T * weights)
    return np.vstack([coefficients, weights / weights.sum() - mean @ coefficients])


def number(name: str, text: str, bounds: tuple[float, float]) -> float:
    """A decimal within bounds. Raises Refused(FIELD_INVALID)."""
    value, (least, most) = float(text), bounds
    if not least <= value <= most:
        raise Refused(Reason.FIELD_INVALID, detail=f"A number from {least} to {most} is expected.", field=name)
    return value


def array(name: str, value: Sequence[Any], shape: tuple[int, ...]) -> Whole:
    """Lists of whole numbers as an array of exactly this shape, which is not empty. Raises Refused(FIELD_INVALID)."""
    rows = value if len(shape) == 2 else [value]
    if len(value) != shape[0] or any(len(row) != shape[-1] for row in rows) or math.prod(shape) == 0:
        expected = " x ".join(map(str, shape))
        raise Refused(Reason.FIELD_INVALID, detail=f"An array of {expected} whole numbers is expected.", field=name)
    try:
        return np.array(value, dtype=np.int64)
    except OverflowError as error:
        raise Refused(Reason.FIELD_INVALID, detail="A number does not fit in 64 bits.", field=name) from error


def check_weights(weights: Whole) -> None:
    """Raises Refused(FIELD_INVALID) unless all are positive, and none is more than one."""
    if weights.min() <= 0 or weights.max() > 1 << WEIGHT_BITS:
        raise Refused(Reason.FIELD_INVALID, detail="Kernel weights are positive, and at most one.", field="weights")


def check_as_rebuilt(same: dict[str, bool]) -> None:
    """Raises Refused(FIELD_INVALID) naming the first field that is not what the seed gives."""
    for field, equal in same.items():
        if not equal:
            raise Refused(Reason.FIELD_INVALID, detail="This is not what the design's seed gives.", field=field)
