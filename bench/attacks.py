"""Attacks on a secret model by a requester who is curious: from what explanations open to a model of its own.

The requester knows its own records, the public design, and the opened numbers. It deviates from nothing, and asks about
real patients only; one that makes records up to learn more from each is not tried here. That a requester trains its own
model on the answers of a secret one is due to Tramèr, Zhang, Juels, Reiter and Ristenpart (USENIX Security 2016), and
that explanations help it, to Milli, Schmidt, Dragan and Hardt (FAT* 2019).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import least_squares
from torch import Tensor

from bench.victims import Seen, Victim
from concordat.design import OPERATOR_BITS, WEIGHT_BITS, Design
from concordat.kinds.kind import Scale

Floats = NDArray[np.float64]

HIDDEN = 32
STEPS = 1000
RATE = 0.02
PENALTY = 1e-4
"""Of the surrogate network and its training. Chosen once, on two of the cases; a better choice attacks better."""

AT_ONCE = 8
"""How many explanations, or so many times eight predictions, one step of the training looks at."""


def linear_weights(design: Design, seen: Seen, scale: Scale) -> tuple[Floats, float]:
    """The weights (k,) and bias of a linear model, from the first explanation alone.

    In log-odds the opened numbers are linear in the weights, which follow by least squares; in probabilities, by
    Gauss-Newton steps from there. A column in which the record is the reference says nothing: its weight is NaN.
    """
    record = seen.records[0]
    told = np.flatnonzero(record)
    rows = np.vstack([record, design.column_masks * record])[:, told]
    inputs = np.column_stack([rows, np.ones(len(rows))])
    public = np.zeros((len(design.operator) + 1, len(inputs)))
    public[0, 0], public[1:, 1:] = 1, design.operator / (1 << OPERATOR_BITS)
    opened = np.append(seen.predictions[0], seen.coefficients[0])
    if scale == "log-odds":
        found = np.linalg.lstsq(public @ inputs, opened, rcond=None)[0]
    else:
        found = least_squares(
            lambda guess: public @ (1 / (1 + np.exp(-inputs @ guess))) - opened,
            np.zeros(inputs.shape[1]),
            xtol=1e-15,
            ftol=1e-15,
            gtol=1e-15,
        ).x
    weights = np.full(len(record), np.nan)
    weights[told] = found[:-1]
    return weights, float(found[-1])


@dataclass(frozen=True)
class Surrogate:
    """A network of one hidden layer that answers on the secret model's scale."""

    parameters: list[Tensor]
    scale: Scale

    @classmethod
    def start(cls, columns: int, scale: Scale, seed: int) -> "Surrogate":
        generator = torch.Generator().manual_seed(seed)
        first = torch.randn(columns, HIDDEN, generator=generator) * columns**-0.5
        last = torch.randn(HIDDEN, 1, generator=generator) * HIDDEN**-0.5
        parameters = [first, torch.zeros(HIDDEN), last, torch.zeros(1)]
        return cls([each.requires_grad_() for each in parameters], scale)

    def __call__(self, records: Tensor) -> Tensor:
        """(…, k) to (…)."""
        first, bias, last, offset = self.parameters
        output = (torch.relu(records @ first + bias) @ last + offset)[..., 0]
        return output if self.scale == "log-odds" else torch.sigmoid(output)

    def penalty(self) -> Tensor:
        return self.parameters[0].square().sum() + self.parameters[2].square().sum()

    def outputs(self, records: Floats) -> Floats:
        with torch.no_grad():
            found: Floats = self(torch.as_tensor(records, dtype=torch.float32)).numpy().astype(np.float64)
        return found


def train(seen: Seen, scale: Scale, seed: int, design: Design | None = None) -> Surrogate:
    """A surrogate that opens, at the requester's records, what the secret model has opened.

    With a `design` its own coefficients, intercept and total sum of squares are to be the opened ones, besides its
    predictions: each is a function of its outputs at the public perturbations, and differentiable. Without, it knows
    predictions alone.
    """
    surrogate = Surrogate.start(seen.records.shape[1], scale, seed)
    optimiser = torch.optim.Adam(surrogate.parameters, lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    records, predictions, coefficients, totals = (
        torch.as_tensor(part, dtype=torch.float32)
        for part in (seen.records, seen.predictions, seen.coefficients, seen.totals.clip(0))
    )
    public = _Public.of(design) if design else None
    size = _size(seen, public)
    some = min(AT_ONCE if public else 8 * AT_ONCE, len(records))
    generator, order = torch.Generator().manual_seed(seed), torch.empty(0, dtype=torch.int64)
    for _ in range(STEPS):
        if len(order) < some:
            order = torch.randperm(len(records), generator=generator)
        chosen, order = order[:some], order[some:]
        loss = (surrogate(records[chosen]) - predictions[chosen]).square().mean()
        if public:
            fitted, spread = public.explain(surrogate, records[chosen])
            loss = loss + (fitted - coefficients[chosen]).square().sum(dim=-1).mean()
            loss = loss + (spread - totals[chosen].sqrt()).square().mean() / len(public.weights)
        optimiser.zero_grad()
        (loss / size + PENALTY * surrogate.penalty()).backward()
        optimiser.step()
        schedule.step()
    return surrogate


@dataclass(frozen=True)
class _Public:
    """The design as tensors: `masks` (n, k), `operator` (d + 1, n), `weights` (n,)."""

    masks: Tensor
    operator: Tensor
    weights: Tensor

    @classmethod
    def of(cls, design: Design) -> "_Public":
        return cls(
            torch.as_tensor(design.column_masks, dtype=torch.float32),
            torch.as_tensor(design.operator / (1 << OPERATOR_BITS), dtype=torch.float32),
            torch.as_tensor(design.weights / (1 << WEIGHT_BITS), dtype=torch.float32),
        )

    def explain(self, surrogate: Surrogate, records: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients with intercept (q, d + 1), and roots of the total sums of squares (q,), of records (q, k)."""
        outputs = surrogate(self.masks * records[:, None])
        mean = (outputs @ self.weights / self.weights.sum())[:, None]
        total = (outputs - mean).square() @ self.weights
        return outputs @ self.operator.T, total.clamp(min=1e-9).sqrt()  # a root has no slope at zero


def _size(seen: Seen, public: _Public | None) -> float:
    """The variance of what the surrogate is fitted to, by which losses are divided."""
    between = float(np.var(seen.predictions))
    within = float(np.mean(seen.totals) / public.weights.sum()) if public else 0.0
    return max(between, within, 1e-3)


def fidelity(victim: Victim, outputs: Floats) -> tuple[float, float]:
    """How well `outputs` (m,) stand in for the model's own on the held-out patients: the part of decisions that agree,
    and R² of the outputs on the model's scale, which is below 0 where a constant would do better."""
    true = victim.outputs(victim.held_out)
    agreed = (outputs > victim.undecided) == (true > victim.undecided)
    return float(agreed.mean()), float(1 - np.square(outputs - true).sum() / np.square(true - true.mean()).sum())
