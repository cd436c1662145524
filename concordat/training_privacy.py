"""What the weights of a training tell of one person, and the noise that keeps it to that.

Claim. Let one person's row be among those that an institution brings, or not. The weights that come out are
(ε, δ)-differentially private for it, with δ = 10^-6, against everybody else together: all other parties, the requester
and whoever reads the weights may pool what they saw. All engines compute as the protocol says (one that does not can
make a gradient weigh one row more), and the other rows are as the plan allows. It is about one row in one training, and
an institution brings one row of a person (decision 49): of several trainings, and of a person with a row at several
institutions, the ε add up, and so do the δ.

Why. One step of gradient descent on a convex, L-smooth loss takes two points no further apart if it goes by at most
2/L (Nesterov, Introductory Lectures on Convex Optimization, 2.1.5; Hardt, Recht, Singer, ICML 2016, Lemma 3.7); for the
mean log-loss of rows no longer than R with ridge penalty λ, L ≤ R²/4 + λ. A row more or less changes a step by at most
c·R, since a residual is at most 1. So after T steps weights differ by at most T·c·R, and by what fixed-point arithmetic
errs in each of the two runs. Gaussian noise of deviation Δ/√(2ρ) makes that ρ-zero-concentrated differentially private,
and ρ is (ρ + 2·√(ρ·ln(1/δ)), δ) (Bun, Steinke, TCC 2016, Propositions 1.6 and 1.3).

Noise has whole multiples of 2^-16 only, made of 52 uniform bits each: what finer digits of a normal number could tell
(Mironov, CCS 2012) does not come out. The difference from a normal distribution that was rounded is not in δ.
"""

import math

DELTA = 1e-6
SMALLEST_EPSILON, LARGEST_EPSILON = 0.01, 8
LARGEST_STRIDE = 2
"""Rate times smoothness: 2/L in steps of 1/L."""

RESIDUAL_ERROR = 2.0**-15
"""By how much the engines' residual of a row differs from the exact one: logistic function 1.4·10^-5, and a unit of
2^-16 of truncation."""

STEP_ERROR, RESULT_ERROR = 2.0**-23, 2.0**-15
"""The same of a weight in a step, and at the end."""


def sensitivity(*, step: float, steps: int, norm: float, rows: int, weights: int) -> float:
    """By how much, in Euclidean norm, one row can change the weights.

    Args:
        step: what the summed gradient is multiplied by.
        norm: how long a row is, at most.
        rows: how many there are, padding included.
        weights: how many, with the bias.
    """
    of_a_row = step * norm
    of_arithmetic = 2 * (step * norm * rows * RESIDUAL_ERROR + STEP_ERROR * math.sqrt(weights))
    return steps * (of_a_row + of_arithmetic) + 2 * RESULT_ERROR * math.sqrt(weights)


def deviation(of: float, epsilon: float) -> float:
    """The standard deviation of Gaussian noise that makes what is `of` such a sensitivity (ε, δ)-private."""
    log = math.log(1 / DELTA)
    root = epsilon / (math.sqrt(log + epsilon) + math.sqrt(log))  # of ρ, from ρ + 2·√(ρ·log) = ε
    return of / (math.sqrt(2) * root)
