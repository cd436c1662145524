"""The jobs that are measured: a random model and record, with the design that the target of the measurement names."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compute.engine.arithmetic import Party
from compute.engine.lime import Explained, Surrogate, explain
from compute.engine.perturbed import order
from compute.engine.protocol import Protocol, parallel
from compute.engine.ranges import count_outside
from compute.engine.rows import Masked, Shifted
from concordat import ring
from concordat.design import OPERATOR_BITS, WEIGHT_BITS
from concordat.design.common import KERNEL_WIDTH, RIDGE, ridge_operator
from concordat.design.masks import hadamard_masks, kernel
from concordat.kinds import KINDS
from concordat.kinds.kind import UNCLAMPED, Scale

Name = Literal["lr", "mlp", "trees"]
DesignName = Literal["slopes", "masks"]
KIND: dict[Name, str] = {"lr": "linear", "mlp": "mlp", "trees": "trees"}
COLUMNS = 30
SIGMA = 0.25
"""Standard deviation of the offsets of the slopes design."""

RANGE = 5
"""What no column of a row exceeds: that is proven for the model, and checked for a record where that is measured."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """One job in the clear. Offsets or masks, in the mirrored `order`, operator and weights are public; the rest is
    what gets shared."""

    name: Name
    design: DesignName
    tensors: dict[str, Floats]
    record: Floats
    perturbations: NDArray[np.int64]
    surrogate: Surrogate

    @classmethod
    def make(cls, name: Name, design_name: DesignName, n: int) -> "Case":
        """The same for the same arguments: every party makes it for itself. For masks, n is a multiple of 64."""
        generator = np.random.default_rng(7)
        kind = KINDS[KIND[name]]
        tensors = {each: generator.normal(scale=0.3, size=shape) for each, shape in kind.shapes(COLUMNS)}
        if name == "trees":
            tensors["features"] = np.eye(COLUMNS)[generator.integers(0, COLUMNS, tensors["thresholds"].shape)]
        record = generator.normal(size=COLUMNS)
        if design_name == "masks":
            masks = hadamard_masks(COLUMNS, n, "bench")
            weights = ring.encode(kernel(masks, KERNEL_WIDTH), WEIGHT_BITS)
            surrogate = _surrogate(masks.astype(np.float64), weights)
            return cls(name, design_name, tensors, record, masks[order(n, mirrored=True)], surrogate)
        half = np.concatenate([_orthogonal(generator) for _ in range(-(-n // (2 * COLUMNS)))])[: n // 2]
        offsets = ring.encode(SIGMA * np.concatenate([half, -half]))
        scaled = ring.decode(offsets) / SIGMA
        distances = (scaled**2).sum(axis=1)
        width = KERNEL_WIDTH**2 * COLUMNS
        weights = ring.encode(np.sqrt(np.exp(-distances / width / 4)), WEIGHT_BITS).clip(1)
        return cls(name, design_name, tensors, record, offsets[order(n, mirrored=True)], _surrogate(scaled, weights))

    def public(self) -> Tensor:
        """(n + 1, k) masks, or offsets at 2^16: those of the record itself, then of the perturbed rows."""
        own = np.full((1, COLUMNS), int(self.design == "masks"))
        return torch.from_numpy(np.vstack([own, self.perturbations]))

    @property
    def clamped(self) -> bool:
        """Whether log-odds might exceed what probabilities are made of as they are, for rows within `RANGE`."""
        bound = np.full(COLUMNS, float(RANGE))
        return KINDS[KIND[self.name]].prove(self.tensors, -bound, bound) > UNCLAMPED

    def shares(self, rank: int, parties: int) -> tuple[dict[str, Tensor], Tensor]:
        """Party `rank`'s shares of tensors and record at 2^16, of whole numbers at 1. Every party splits them for
        itself, from a public seed: nothing here is secret."""
        whole = KINDS[KIND[self.name]].whole
        tensors = {
            each: _share(ring.encode(value, 0 if each in whole else ring.BITS), rank, parties)
            for each, value in self.tensors.items()
        }
        return tensors, _share(ring.encode(self.record), rank, parties)

    def protocol(self, rank: int, parties: int, target: Scale) -> Callable[[Party], Protocol[Explained]]:
        """What party `rank` runs."""
        tensors, record = self.shares(rank, parties)
        rows = (Masked if self.design == "masks" else Shifted)(record, self.public())
        surrogate, clamped = self.surrogate, self.clamped
        return lambda party: explain(party, KIND[self.name], tensors, rows, surrogate, target, clamped=clamped)

    def checked(self, rank: int, parties: int, target: Scale) -> Callable[[Party], Protocol[dict[str, Any]]]:
        """The same beside the check of the record's ranges, as in a job of the service."""
        explained, (_, record) = self.protocol(rank, parties, target), self.shares(rank, parties)
        bound = torch.full((COLUMNS,), RANGE << ring.BITS)
        return lambda party: parallel(
            {"outside": count_outside(party, record, -bound, bound), "explained": explained(party)}
        )

    def plaintext(self, target: Scale) -> Floats:
        """(d + 2,) prediction, coefficients and intercept in float64 with numpy."""
        if self.design == "masks":
            X = np.vstack([self.record, self.perturbations * self.record])  # noqa: N806
        else:
            X = self.record + np.vstack([np.zeros(COLUMNS), ring.decode(self.perturbations)])  # noqa: N806
        y = KINDS[KIND[self.name]].forward(self.tensors, X)
        if target == "probability":
            y = 1 / (1 + np.exp(-y))
        differences = np.append(y[:1], y[1:] - y[0])
        coefficients: Floats = ring.decode(self.surrogate.operator.numpy(), OPERATOR_BITS) @ differences
        return coefficients


def _surrogate(features: Floats, weights: NDArray[np.int64]) -> Surrogate:
    operator = ridge_operator(features, ring.decode(weights, WEIGHT_BITS), RIDGE)
    encoded = ring.encode(operator, OPERATOR_BITS)
    return Surrogate.of_arrays(torch.from_numpy(encoded), torch.from_numpy(weights), mirrored=True)


def _orthogonal(generator: np.random.Generator) -> Floats:
    """(k, k) orthogonal rows with the lengths of Gaussian ones."""
    rotation, _ = np.linalg.qr(generator.normal(size=(COLUMNS, COLUMNS)))
    lengths = np.sqrt(generator.chisquare(COLUMNS, size=COLUMNS))
    rotated: Floats = rotation * lengths[:, None]
    return rotated


def _share(secret: NDArray[np.int64], rank: int, parties: int) -> Tensor:
    generator = np.random.default_rng(11)
    low, high = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    masks = [generator.integers(low, high, secret.shape, dtype=np.int64) for _ in range(parties - 1)]
    with np.errstate(over="ignore"):
        shares = [*masks, np.asarray(secret - sum(masks, np.int64(0)))]
    return torch.as_tensor(shares[rank])
