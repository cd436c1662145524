"""A surrogate network, trained to give the explanations that a secret network gave.

Its coefficients are a public linear map of its outputs at the public perturbations, so that they have gradients like
any other loss.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.victims import Seen
from concordat.design import OPERATOR_BITS, WEIGHT_BITS, MaskDesign

Floats = NDArray[np.float64]

HIDDEN = 32
STEPS = 1000
RATE = 0.02
PENALTY = 1e-4
"""Chosen once, by trying few; a better choice attacks better."""

AT_ONCE = 8
"""How many explanations a step looks at; of predictions, eight times as many."""


@dataclass(frozen=True)
class Network:
    """One hidden layer of ReLUs. Called with records (m, k), it answers log-odds (m,)."""

    parameters: list[Tensor]

    @classmethod
    def start(cls, columns: int, seed: int) -> "Network":
        generator = torch.Generator().manual_seed(seed)
        first = torch.randn(columns, HIDDEN, generator=generator) * columns**-0.5
        last = torch.randn(HIDDEN, 1, generator=generator) * HIDDEN**-0.5
        return cls([each.requires_grad_() for each in (first, torch.zeros(HIDDEN), last, torch.zeros(1))])

    def outputs(self, records: Tensor) -> Tensor:
        """(…, k) to (…)."""
        first, bias, last, offset = self.parameters
        return (torch.relu(records @ first + bias) @ last + offset)[..., 0]

    def penalty(self) -> Tensor:
        return self.parameters[0].square().sum() + self.parameters[2].square().sum()

    def __call__(self, records: Floats) -> Floats:
        with torch.no_grad():
            found: Floats = self.outputs(torch.as_tensor(records, dtype=torch.float32)).numpy().astype(np.float64)
        return found


def train(seen: Seen, seed: int, design: MaskDesign | None) -> Callable[[Floats], Floats]:
    """A network whose predictions are those that were opened; with a `design`, its coefficients, intercepts and total
    sums of squares as well."""
    network = Network.start(seen.records.shape[1], seed)
    optimiser = torch.optim.Adam(network.parameters, lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    records, predictions, coefficients, totals = (
        torch.as_tensor(part, dtype=torch.float32)
        for part in (seen.records, seen.predictions, seen.coefficients, seen.totals.clip(0))
    )
    public = _Public.of(design) if design else None
    size = max(float(np.var(seen.predictions)), float(np.mean(seen.totals) / public.total) if public else 0.0, 1e-3)
    some = min(AT_ONCE if public else 8 * AT_ONCE, len(records))
    generator, order = torch.Generator().manual_seed(seed), torch.empty(0, dtype=torch.int64)
    for _ in range(STEPS):
        if len(order) < some:
            order = torch.randperm(len(records), generator=generator)
        chosen, order = order[:some], order[some:]
        loss = (network.outputs(records[chosen]) - predictions[chosen]).square().mean()
        if public:
            fitted, spread = public.explain(network, records[chosen])
            loss = loss + (fitted - coefficients[chosen]).square().sum(dim=-1).mean()
            loss = loss + (spread - totals[chosen].sqrt()).square().mean() / public.total
        optimiser.zero_grad()
        (loss / size + PENALTY * network.penalty()).backward()
        optimiser.step()
        schedule.step()
    return network


@dataclass(frozen=True)
class _Public:
    """The design as tensors: `masks` (n, k), `operator` (d + 1, n), `weights` (n,) and their sum `total`."""

    masks: Tensor
    operator: Tensor
    weights: Tensor
    total: float

    @classmethod
    def of(cls, design: MaskDesign) -> "_Public":
        weights = design.weights / (1 << WEIGHT_BITS)
        return cls(
            torch.as_tensor(design.column_masks, dtype=torch.float32),
            torch.as_tensor(design.operator / (1 << OPERATOR_BITS), dtype=torch.float32),
            torch.as_tensor(weights, dtype=torch.float32),
            float(weights.sum()),
        )

    def explain(self, network: Network, records: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients with intercept (q, d + 1), and roots of the total sums of squares (q,), of records (q, k)."""
        outputs = network.outputs(self.masks * records[:, None])
        mean = (outputs @ self.weights / self.total)[:, None]
        squares = (outputs - mean).square() @ self.weights
        return outputs @ self.operator.T, squares.clamp(min=1e-9).sqrt()  # a root has no slope at zero
