"""Attacks on a secret model by a requester who is curious: from what explanations open to a model of its own.

The requester knows its own records, the public design and the model's kind, and gets the opened numbers. It deviates
from nothing and asks about real patients only; one that makes records up to learn more from each is not tried. So an
attack shows what suffices, never what is needed. That answers of a secret model train another one is due to Tramèr,
Zhang, Juels, Reiter and Ristenpart (USENIX Security 2016); that explanations help, to Milli, Schmidt, Dragan and Hardt
(FAT* 2019).
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from sklearn.linear_model import LogisticRegression

from bench import boosting, network
from bench.victims import Seen, Victim
from concordat.design import OPERATOR_BITS, MaskDesign
from concordat.kinds import KINDS
from concordat.kinds.kind import Scale

Floats = NDArray[np.float64]

What = Literal["explanations", "predictions"]
"""What the requester makes use of: all opened numbers, or the predictions among them alone."""


def surrogate(victim: Victim, seen: Seen, what: What, seed: int) -> Floats:
    """The outputs (m,) that a surrogate of the model's own family gives for the held-out patients: a network for a
    network, boosted trees for trees and forests."""
    design = victim.design if what == "explanations" else None
    if victim.kind == "mlp":
        return network.train(seen, seed, design)(victim.held_out)
    return boosting.grow(seen, seed, design)(victim.held_out)


def fidelity(victim: Victim, outputs: Floats) -> tuple[float, float]:
    """How well `outputs` (m,) stand in for the model's own on the held-out patients: the part of decisions that agree,
    and R² of the outputs on the model's scale, which is below 0 where a constant would do better."""
    true = victim.outputs(victim.held_out)
    agreed = (outputs > victim.undecided) == (true > victim.undecided)
    return float(agreed.mean()), float(1 - np.square(outputs - true).sum() / np.square(true - true.mean()).sum())


def without(victim: Victim) -> float:
    """The part of decisions that agree if the requester asks nothing, and fits a logistic regression to the diagnoses
    of its own 256 patients. What an attack adds is what it has beyond this."""
    own = LogisticRegression(max_iter=1000).fit(victim.asked, victim.diagnoses)
    decided = victim.outputs(victim.held_out) > victim.undecided
    return float(np.mean((own.predict(victim.held_out) > 0) == decided))


def linear_weights(design: MaskDesign, seen: Seen, scale: Scale) -> tuple[Floats, float]:
    """The weights (k,) and bias of a linear model, from the first explanation alone.

    In log-odds the opened numbers are linear in the weights, which follow by least squares; in probabilities, by
    Gauss-Newton steps. A column in which the record is the reference tells nothing: its weight is NaN.
    """
    record = seen.records[0]
    told = np.flatnonzero(record)
    rows = np.vstack([record, design.column_masks * record])[:, told]
    inputs = np.column_stack([rows, np.ones(len(rows))])
    public = np.zeros((len(design.operator) + 1, len(inputs)))
    public[0, 0], public[1:, 1:] = 1, design.operator / (1 << OPERATOR_BITS)
    opened = np.append(seen.predictions[0], seen.coefficients[0])
    if scale == KINDS["linear"].scale:
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
